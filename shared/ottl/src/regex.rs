//! Regular expressions as the Collector's Go reads them.

mod template;
mod translate;

pub use template::Template;
pub use translate::compile;

#[cfg(test)]
mod tests;
