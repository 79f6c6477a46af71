//! W3C tracestate: strictly, as the policy `trace_state` reads it, and for the member `ot`, as the Collector's samplers do.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::threshold::DIGITS;

/// How many members a tracestate may have.
const MEMBERS_MAX: usize = 32;
/// How long a tracestate may be, in bytes, to be looked into for `ot`.
const STATE_BYTES_MAX: usize = 1024;
/// How long a member's value may be, in bytes.
const VALUE_BYTES_MAX: usize = 256;

/// A `trace_state` condition.
#[derive(Debug)]
pub(crate) struct StateLeaf {
    pub(crate) mask: u64,
    pub(crate) key: String,
    pub(crate) values: BTreeSet<String>,
}

impl StateLeaf {
    /// `None` values are ignored upstream: empty ones, and those that no member can have beside its key.
    pub(crate) fn new(mask: u64, key: &str, values: impl Iterator<Item = String>) -> Self {
        let fits = |value: &String| !value.is_empty() && key.len() + value.len() < VALUE_BYTES_MAX;
        Self { mask, key: key.to_owned(), values: values.filter(fits).collect() }
    }
}

/// Whether a tracestate that parses strictly has one of a leaf's values.
pub(crate) fn has_value(state: &str, leaf: &StateLeaf) -> bool {
    let mut found = false;
    let mut keys = BTreeSet::new();
    for member in state.split(',').filter(|member| !member.is_empty()) {
        let Some((key, value)) = member.split_once('=') else { return false };
        let (key, value) = (key.trim_start_matches([' ', '\t']), value.trim_end_matches([' ', '\t']));
        if !is_key(key) || !is_value(value) || !keys.insert(key) || keys.len() > MEMBERS_MAX {
            return false;
        }
        found |= key == leaf.key && leaf.values.contains(value);
    }
    found
}

/// `name`, or `tenant@system`.
fn is_key(key: &str) -> bool {
    let rest = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/".contains(&b));
    let starts = |text: &str, digits: bool| {
        text.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || (digits && first.is_ascii_digit()))
    };
    match key.split_once('@') {
        None => key.len() <= 256 && starts(key, false) && rest(key),
        Some((tenant, system)) => {
            tenant.len() <= 241
                && starts(tenant, true)
                && rest(tenant)
                && system.len() <= 14
                && starts(system, false)
                && rest(system)
        }
    }
}

fn is_value(value: &str) -> bool {
    let plain = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    (1..=VALUE_BYTES_MAX).contains(&value.len()) && value.bytes().all(plain) && !value.ends_with(' ')
}

/// A tracestate with its member `ot` taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TraceState {
    /// `rv`: 56 bits, and as it was written.
    pub(crate) randomness: Option<u64>,
    randomness_text: String,
    /// `th`: 56 bits.
    pub(crate) threshold: Option<u64>,
    threshold_text: String,
    /// The other sub-keys of `ot`.
    extra: Vec<String>,
    /// The other members.
    others: Vec<String>,
}

impl TraceState {
    /// Reads a tracestate as the Collector's samplers do: upper-case hex digits are taken. `None` where it is not well-formed,
    /// or `rv` or `th` is not.
    pub(crate) fn parse(state: &str) -> Option<Self> {
        let mut this = Self::default();
        if state.len() > STATE_BYTES_MAX {
            return None;
        }
        for (number, member) in state.split(',').map(|member| member.trim_matches([' ', '\t'])).enumerate() {
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            if number >= MEMBERS_MAX || !is_key(key) || !is_value(value) {
                return None;
            }
            if key == "ot" { this.member(value)? } else { this.others.push(member.to_owned()) }
        }
        Some(this)
    }

    fn member(&mut self, value: &str) -> Option<()> {
        for pair in value.split(';') {
            let (key, text) = pair.split_once(':')?;
            let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            if !key.bytes().next()?.is_ascii_lowercase() || !key.bytes().all(is_word) {
                return None;
            }
            if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
                return None;
            }
            match key {
                "rv" => {
                    self.randomness = Some(hex(text).filter(|_| text.len() == DIGITS as usize)?);
                    text.clone_into(&mut self.randomness_text);
                }
                "th" => self.set_threshold(padded(text)?, text),
                _ => self.extra.push(pair.to_owned()),
            }
        }
        Some(())
    }

    fn set_threshold(&mut self, threshold: u64, text: &str) {
        self.threshold = Some(threshold);
        text.clone_into(&mut self.threshold_text);
    }

    /// States another threshold.
    pub(crate) fn state_threshold(&mut self, threshold: u64) {
        self.set_threshold(threshold, &threshold_text(threshold));
    }

    /// States no threshold.
    pub(crate) fn forget_threshold(&mut self) {
        self.threshold = None;
    }

    /// States another randomness.
    pub(crate) fn state_randomness(&mut self, randomness: u64) {
        self.randomness = Some(randomness);
        self.randomness_text = format!("{randomness:014x}");
    }

    /// As text, `ot` first; `None` if that member would be too long.
    pub(crate) fn text(&self) -> Option<String> {
        let mut pairs: Vec<String> = Vec::new();
        pairs.extend(self.randomness.map(|_| format!("rv:{}", self.randomness_text)));
        pairs.extend(self.threshold.map(|_| format!("th:{}", self.threshold_text)));
        pairs.extend(self.extra.iter().cloned());
        let own = pairs.join(";");
        if own.len() > VALUE_BYTES_MAX {
            return None;
        }
        let mut text = String::new();
        if !own.is_empty() {
            text.push_str("ot=");
            text.push_str(&own);
        }
        for other in &self.others {
            // Writing to a String does not fail.
            let _infallible = write!(text, "{}{other}", if text.is_empty() { "" } else { "," });
        }
        Some(text)
    }
}

/// `th` as it is written: zeros at the end are left out.
pub(crate) fn threshold_text(threshold: u64) -> String {
    let text = format!("{threshold:014x}");
    let short = text.trim_end_matches('0');
    if short.is_empty() { "0".to_owned() } else { short.to_owned() }
}

fn hex(text: &str) -> Option<u64> {
    let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

/// A threshold of 1 to 14 digits, those that are missing being zeros on the right.
fn padded(text: &str) -> Option<u64> {
    let missing = DIGITS.checked_sub(u32::try_from(text.len()).ok()?)?;
    Some(hex(text)? << (4 * missing))
}
