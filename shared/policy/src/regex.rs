//! Regular expressions as the Collector's Go reads them.

pub(crate) use spanlake_ottl::regex::PatternCache;
