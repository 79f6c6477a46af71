//! The embedded SQL engine over a lake folder, saved queries, result formats.
