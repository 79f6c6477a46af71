//! One detector by itself, for measuring.

use super::{Hit, RULE_NAMES, Rule, Wanted, find};

/// A rule of the built-in masking, which can be asked by itself what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detector(Rule);

impl Detector {
    /// All that look into texts.
    pub const ALL: [Self; 9] = [
        Self(Rule::PaymentCard),
        Self(Rule::SecretValue),
        Self(Rule::UrlPassword),
        Self(Rule::BearerToken),
        Self(Rule::Jwt),
        Self(Rule::KnownKey),
        Self(Rule::PrivateKey),
        Self(Rule::Email),
        Self(Rule::SqlPassword),
    ];

    /// Its name among the counts of masked values.
    pub fn name(self) -> &'static str {
        RULE_NAMES.get(self.0 as usize).copied().unwrap_or_default()
    }

    /// How many secrets this detector finds in a text.
    pub fn count(self, text: &str) -> usize {
        count(text, Wanted::only(self.0))
    }

    /// How many secrets all detectors find in a text.
    pub fn count_all(text: &str) -> usize {
        count(text, Wanted::ALL)
    }
}

fn count(text: &str, wanted: Wanted) -> usize {
    let mut hits: Vec<Hit> = Vec::new();
    find(text, wanted, &mut hits);
    hits.len()
}
