//! Rules on AWS: the Collector's configuration, less what an environment cannot change while it runs.

use std::sync::Arc;

use spanlake_pipeline::group::CompileRules;
use spanlake_policy::{DEFAULT_CONFIG, load};

/// How the names of environment variables begin that a configuration may ask for. Others are those of the function itself,
/// its credentials among them.
pub const VARIABLE_PREFIX: &str = "SPANLAKE_RULES_";

/// Compiles a configuration, or says why it cannot be used here.
#[must_use]
pub fn compiler() -> Arc<CompileRules> {
    Arc::new(|text: &str| {
        let variable = |name: &str| if name.starts_with(VARIABLE_PREFIX) { std::env::var(name).ok() } else { None };
        let loaded = load(text, &variable);
        let refusal = loaded.refusal();
        let rules = loaded.rules.ok_or(refusal)?;
        let default = load(DEFAULT_CONFIG, &|_| None).rules.ok_or("the built-in configuration does not load")?;
        if (rules.window_ms(), rules.late_horizon_ms()) != (default.window_ms(), default.late_horizon_ms()) {
            return Err("spanlake.window and spanlake.late_horizon cannot be changed on AWS: leave them out".to_owned());
        }
        Ok(Arc::new(rules))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_refused_by_line() {
        let refused = |text: &str| compiler()(text).unwrap_err();
        assert!(
            refused("processors:\n  surprise: {}\nservice: {pipelines: {traces: {processors: [surprise]}}}\n").contains("line ")
        );
        assert!(refused("spanlake: {window: 20s}\n").contains("cannot be changed on AWS"));
        assert!(compiler()(DEFAULT_CONFIG).is_ok());
    }

    #[test]
    fn no_variable_of_the_function_gets_into_a_configuration() {
        let text = "processors:\n  transform:\n    trace_statements:\n      - context: span\n        statements:\n          - set(attributes[\"k\"], \"${env:PATH}\")\nservice: {pipelines: {traces: {processors: [transform]}}}\n";
        let empty = text.replace("${env:PATH}", "");
        match (compiler()(text), compiler()(&empty)) {
            (Ok(one), Ok(other)) => assert_eq!(one.version(), other.version()),
            (one, other) => assert_eq!(one.is_err(), other.is_err()),
        }
    }
}
