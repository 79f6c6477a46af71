//! Services of which everything is kept for a while: what an operator switches on during an incident.
//!
//! It is laid over a configuration as a second document behind it, so that the stored text of a rules version says all that
//! decides. It ends by itself: a span is compared by its arrival, whoever is or is not there to take the overlay away.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use spanlake_model::NANOS_PER_SECOND;

/// The policy that keeps what an overlay names, as decisions tell it.
pub const KEEP_ALL: &str = "keep_all";

/// The bit of a span that an overlay keeps. Conditions of policies take theirs from the other end.
pub(crate) const KEEP_ALL_BIT: u64 = 1 << 63;

/// What stands between a configuration and the overlay on it. A configuration with this line in it is refused: it would be a
/// second document there as well.
const SEAM: &str = "\n--- # spanlake keep-all\n";

/// The most services at a time: an incident that needs more needs other rules, and every span is compared with each.
pub const KEEP_ALL_SERVICES_MAX: usize = 16;

/// The most bytes of a service's name.
pub const KEEP_ALL_NAME_BYTES_MAX: usize = 256;

/// The shortest and the longest time that can be asked for, in seconds: shorter than what a change of rules takes would keep
/// nothing, and who needs more than a day changes the rules.
pub const KEEP_ALL_SECONDS: (i64, i64) = (60, 86_400);

/// Services, each with the end of its time: seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    until: BTreeMap<String, i64>,
}

impl Overlay {
    /// Reads an overlay's own text; none is an empty one.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        crate::config::read_overlay(text)
    }

    /// Its own text, which [`Overlay::parse`] reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{KEEP_ALL}:\n");
        for (service, until) in &self.until {
            // Names are bounded and without control characters (`add`): two characters are left to escape.
            let quoted = service.replace('\\', "\\\\").replace('"', "\\\"");
            let _infallible = writeln!(out, "  - {{service: \"{quoted}\", until_unix_seconds: {until}}}");
        }
        out
    }

    /// The configuration with this overlay on it; just the configuration if there is nothing to lay over it.
    #[must_use]
    pub fn compose(&self, config: &str) -> String {
        if self.is_empty() { config.to_owned() } else { format!("{config}{SEAM}{}", self.text()) }
    }

    /// A configuration as it was given, and the text of the overlay on it.
    #[must_use]
    pub fn split(text: &str) -> (&str, Option<&str>) {
        text.rsplit_once(SEAM).map_or((text, None), |(config, overlay)| (config, Some(overlay)))
    }

    /// Whether nothing is kept by it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// Services and the ends of their time in seconds since 1970, by name.
    pub fn services(&self) -> impl Iterator<Item = (&str, i64)> {
        self.until.iter().map(|(service, until)| (service.as_str(), *until))
    }

    /// What of it has not ended at a point in time.
    #[must_use]
    pub fn at(&self, now_nanos: i64) -> Self {
        let is_on = |(_, until): &(&String, &i64)| now_nanos < nanos(**until);
        Self { until: self.until.iter().filter(is_on).map(|(service, until)| (service.clone(), *until)).collect() }
    }

    /// Keeps a service until then, or longer if that was asked before; returns until when.
    ///
    /// # Errors
    /// What is wrong with the name, or that there are too many.
    pub fn add(&mut self, service: &str, until_seconds: i64) -> Result<i64, String> {
        if service.is_empty() || service.len() > KEEP_ALL_NAME_BYTES_MAX {
            return Err(format!("a service's name has 1 to {KEEP_ALL_NAME_BYTES_MAX} bytes"));
        }
        // What YAML takes for an end of a line, or for nothing at all, would come back as another name.
        if service.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
        {
            return Err("a service's name has no control characters".to_owned());
        }
        if !self.until.contains_key(service) && self.until.len() >= KEEP_ALL_SERVICES_MAX {
            return Err(format!("{KEEP_ALL_SERVICES_MAX} services are kept already: stop one, or change the rules"));
        }
        let until = self.until.entry(service.to_owned()).or_insert(until_seconds);
        *until = until_seconds.max(*until);
        Ok(*until)
    }

    /// Keeps a service no longer; returns whether it was kept.
    pub fn stop(&mut self, service: &str) -> bool {
        self.until.remove(service).is_some()
    }

    /// Until when a service is kept, in seconds since 1970.
    #[must_use]
    pub fn until(&self, service: &str) -> Option<i64> {
        self.until.get(service).copied()
    }

    /// The bit of a span of this service that arrived then.
    pub(crate) fn bit(&self, service: &str, arrival_nanos: i64) -> u64 {
        if self.until(service).is_some_and(|until| arrival_nanos < nanos(until)) { KEEP_ALL_BIT } else { 0 }
    }
}

fn nanos(seconds: i64) -> i64 {
    seconds.saturating_mul(NANOS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DEFAULT_CONFIG, load};

    fn overlay(services: &[(&str, i64)]) -> Overlay {
        let mut overlay = Overlay::default();
        for (service, until) in services {
            overlay.add(service, *until).unwrap();
        }
        overlay
    }

    #[test]
    fn any_name_that_is_taken_comes_back_as_it_was() {
        let names =
            ["checkout", "a\"b\\c", "${env:HOME}", "---", "# no: {comment}", "K\u{e4}se \u{1f9c0}", " ", "'", "\\\"", "%", "~"];
        let whole = overlay(&names.map(|name| (name, 1_790_000_000)));
        assert_eq!(Overlay::parse(&whole.text()).unwrap(), whole);
        for config in [DEFAULT_CONFIG, "", "processors: {}", "a: |\n  b\n\n\n"] {
            let text = whole.compose(config);
            assert_eq!(Overlay::split(&text), (config, Some(whole.text().as_str())));
        }
        for refused in ["", "a\nb", "a\u{2028}b", "a\u{85}b", &"x".repeat(257)] {
            assert!(Overlay::default().add(refused, 1).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_service_ends_with_its_time_and_never_earlier_by_a_second_word() {
        let mut kept = overlay(&[("a", 10), ("b", 20)]);
        assert_eq!((kept.add("a", 5), kept.add("a", 15)), (Ok(10), Ok(15)));
        let end = 15 * NANOS_PER_SECOND;
        assert_eq!((kept.bit("a", end - 1), kept.bit("a", end), kept.bit("c", 0)), (KEEP_ALL_BIT, 0, 0));
        assert_eq!(kept.at(end), overlay(&[("b", 20)]));
        assert!(kept.at(20 * NANOS_PER_SECOND).is_empty());
        assert!(kept.stop("b") && !kept.stop("b"));
        assert_eq!(kept.at(0), overlay(&[("a", 15)]));
    }

    #[test]
    fn there_is_an_end_to_services() {
        let mut kept = Overlay::default();
        for number in 0..KEEP_ALL_SERVICES_MAX {
            kept.add(&number.to_string(), 1).unwrap();
        }
        assert!(kept.add("more", 1).unwrap_err().contains("16 services"));
        assert_eq!(kept.add("3", 9), Ok(9));
    }

    #[test]
    fn an_overlay_makes_another_version_and_its_absence_the_first_again() {
        let version = |text: &str| load(text, &|_| None).rules.unwrap().version().to_owned();
        let one = overlay(&[("checkout", 1_790_000_000)]);
        let others = [overlay(&[("checkout", 1_790_000_001)]), overlay(&[("cart", 1_790_000_000)])];
        assert_eq!(version(&Overlay::default().compose(DEFAULT_CONFIG)), version(DEFAULT_CONFIG));
        assert_ne!(version(&one.compose(DEFAULT_CONFIG)), version(DEFAULT_CONFIG));
        for other in others {
            assert_ne!(version(&one.compose(DEFAULT_CONFIG)), version(&other.compose(DEFAULT_CONFIG)));
        }
    }

    #[test]
    fn a_name_that_the_built_in_masking_changes_is_told_as_it_is_stored() {
        let masked = |text: &str, name: &str| load(text, &|_| None).rules.unwrap().masked_service(name);
        assert_eq!(masked(DEFAULT_CONFIG, "bob@example.com"), Some("****".to_owned()));
        for (text, name) in [
            (DEFAULT_CONFIG, "checkout"),
            (DEFAULT_CONFIG, "****"),
            ("spanlake: {builtin_redaction: off}", "bob@example.com"),
            ("spanlake: {builtin_redaction: {emails: false}}", "bob@example.com"),
        ] {
            assert_eq!(masked(text, name), None, "{text} {name}");
        }
    }

    #[test]
    fn a_stored_text_with_an_overlay_says_so_to_whoever_checks_it() {
        let loaded = load(&overlay(&[("checkout", 1)]).compose(DEFAULT_CONFIG), &|_| None);
        let said = crate::render(&loaded, "stored.yaml");
        assert!(loaded.rules.is_some() && said.contains("spanlake keep-all"), "{said}");
    }

    #[test]
    fn what_is_no_overlay_is_refused_with_its_reason() {
        for (text, reason) in [
            ("keep_all: [{service: a}]", "until_unix_seconds"),
            ("keep_all: [{service: a, until_unix_seconds: soon}]", "whole number"),
            ("keep_all: [{until_unix_seconds: 1}]", "1 to 256 bytes"),
            ("keep_all: []\nother: 1", "unknown key"),
            ("- a", "a map"),
            ("keep_all: [", "YAML"),
        ] {
            let said = Overlay::parse(text).unwrap_err();
            assert!(said.contains(reason), "{text}: {said}");
        }
        let broken = format!("{DEFAULT_CONFIG}{SEAM}keep_all: 7\n");
        assert!(load(&broken, &|_| None).rules.is_none());
        assert!(Overlay::parse("").unwrap().is_empty());
    }
}
