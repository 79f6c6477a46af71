//! Regular expressions as the Collector's Go reads them.

mod cache;
mod template;
mod translate;

pub use cache::PatternCache;
pub use template::Template;
pub use translate::compile;

#[cfg(test)]
mod tests;
