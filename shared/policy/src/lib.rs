//! Rules: the Collector's configuration, sampling, redaction, explanations. Pure.
