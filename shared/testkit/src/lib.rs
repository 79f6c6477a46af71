//! Memory twins of the ports, faults, the seeded executor, OTLP builders.
