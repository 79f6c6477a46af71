//! Regular expressions as the Collector's Go reads them.

mod template;
mod translate;

pub(crate) use template::Template;
pub(crate) use translate::compile;

#[cfg(test)]
mod tests;
