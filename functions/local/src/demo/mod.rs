//! `spanlake demo`: a web shop whose every figure is known before it is sent.
//!
//! [`shop`] makes the requests and the truth about them, [`sender`] sends them to a URL and knows nothing else, and
//! [`report`] asks the lake and compares. Nothing here reaches into the process under demonstration.

mod export;
mod figures;
mod flows;
mod layout;
mod logs;
mod metrics;
mod report;
mod rng;
mod secrets;
mod sender;
mod shop;
mod spans;
mod truth;
mod values;

pub(crate) use export::Request;
pub(crate) use report::{Lake, LedgerLine, State, TableSize, print};
pub(crate) use sender::{Sent, Target, send};
pub(crate) use shop::{SEED, Size, build};
pub(crate) use truth::Truth;
pub(crate) use values::{int, string, text};

/// The rules that the report's figures hold for, as a Collector configuration.
pub(crate) const RULES: &str = include_str!("rules.yaml");

#[cfg(test)]
mod tests {
    #[test]
    fn the_rules_of_the_demo_load_without_a_complaint() {
        let loaded = spanlake_policy::load(super::RULES, &|_| None);
        let complaints: Vec<_> =
            loaded.findings.iter().filter(|finding| finding.severity != spanlake_policy::Severity::Note).collect();
        assert!(loaded.rules.is_some() && complaints.is_empty(), "{complaints:?}");
    }
}
