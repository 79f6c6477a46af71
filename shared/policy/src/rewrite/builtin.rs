//! The built-in masking: what it finds in any text, whatever the configuration says.
//!
//! | rule | what is masked |
//! |---|---|
//! | `payment_card` | 13 to 19 digits, also in groups with single blanks, `-`, `+`, `.`, `_` or `/`, that have an issuer's prefix and length, pass Luhn and stand alone (not within a longer number, word, decimal or UUID) |
//! | `secret_name` | the whole value of an attribute or map entry whose name ends in a secret's name (`password`, `token`, `api_key`, `authorization`, `cookie`, ...), also when it is no string (truth values excepted) |
//! | `secret_value` | `name=value` and `name: value` in URLs, forms, connection strings, headers and JSON within text, where the name is such a name |
//! | `url_password` | the password in `scheme://user:password@host`, and a long user name without a password |
//! | `bearer_token` | what follows `Bearer` or `Basic` and looks like a credential |
//! | `jwt` | three base64url parts that begin with `eyJ` |
//! | `known_key` | keys with a vendor's prefix: AWS, GitHub, GitLab, Stripe, Slack, Google, `OpenAI` and Anthropic, npm, `SendGrid` |
//! | `private_key` | PEM private key blocks |
//! | `email` | e-mail addresses, if they are to be masked |
//! | `sql_password` | `IDENTIFIED BY '...'`, `PASSWORD '...'`, `SET PASSWORD FOR user = '...'` |
//!
//! A text is searched as it stands and in its plain reading: percent-encoded (also twice), with JSON's escapes, in
//! full-width forms, with other blanks and dashes, without invisible characters.
//!
//! Finding is linear in the text. [`suspect`] passes most texts at about a byte per cycle.
//!
//! A masked text is searched again until nothing is found, so that masking it once more changes nothing.

mod cards;
#[cfg(test)]
mod corpus;
mod detector;
mod fold;
mod hash;
#[cfg(test)]
mod linear;
mod names;
mod scan;
mod sql;
mod tokens;
mod urls;

pub use detector::Detector;
pub(crate) use hash::{HashKey, is_mask};
pub(crate) use names::is_secret_name;

use super::MASK;
use super::values::grown_max;

/// Names of the rules, in the order of [`Rule`].
pub(crate) const RULE_NAMES: [&str; 10] = [
    "builtin/payment_card",
    "builtin/secret_name",
    "builtin/secret_value",
    "builtin/url_password",
    "builtin/bearer_token",
    "builtin/jwt",
    "builtin/known_key",
    "builtin/private_key",
    "builtin/email",
    "builtin/sql_password",
];

/// What found a secret; the value is the index into [`RULE_NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    PaymentCard,
    SecretName,
    SecretValue,
    UrlPassword,
    BearerToken,
    Jwt,
    KnownKey,
    PrivateKey,
    Email,
    SqlPassword,
}

/// A secret's place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: Rule,
}

const LANE: u32 = 16;
const DIGIT: u64 = 1;
const AT: u64 = 1 << LANE;
const PAIR: u64 = 1 << (2 * LANE);
const SHAPE: u64 = 1 << (3 * LANE);

/// What each byte adds to the four counts of [`suspect`]: digits; `@` and what may stand for something else; `=` and `:`;
/// capitals and what else a token has in or before it.
static CLASSES: [u64; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
#[expect(clippy::cast_possible_truncation, reason = "below 256")]
const fn classes() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        table[byte] = match byte as u8 {
            0x30..=0x39 => DIGIT,
            0x40 => AT,
            0x3d | 0x3a => PAIR,
            0x41..=0x5a | b'_' | b'-' | b' ' | b'\t'..=b'\r' | b'(' => SHAPE,
            other if fold::begins(other) => AT,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// Whether a text could hold a secret. Quick, and never false where [`Masking::find`] finds something.
#[inline]
pub(crate) fn suspect(text: &[u8]) -> bool {
    // A lane holds the counts of a chunk of this size. What the counts say is asked once for the whole text.
    let (sums, has) = text.chunks(LANE_MAX).fold((0, 0), |(sums, has), chunk| {
        let sum = chunk.iter().fold(0_u64, |sum, byte| sum + CLASSES.get(usize::from(*byte)).copied().unwrap_or(0));
        (sum, sums | has | sum)
    });
    suspect_counts(text, if text.len() <= LANE_MAX { sums } else { has })
}

/// The largest count in a lane.
const LANE_MAX: usize = 0xffff;

fn suspect_counts(text: &[u8], sum: u64) -> bool {
    let lane = |at: u64| (sum / at) & 0xffff;
    lane(AT) > 0
        || ((lane(DIGIT) >= 13 || text.len() > LANE_MAX && lane(DIGIT) > 0) && cards::suspect(text))
        || (lane(PAIR) > 0 && names::has_secret_pair(text))
        || (lane(SHAPE) > 0 && text.len() >= tokens::LENGTH_MIN && tokens::suspect(text))
}

/// What is looked for, and what stands for a secret.
#[derive(Debug, Clone)]
pub(crate) struct Masking {
    /// E-mail addresses are masked, too.
    pub(crate) emails: bool,
    /// Secrets become keyed digests.
    pub(crate) key: Option<HashKey>,
}

impl Default for Masking {
    fn default() -> Self {
        Self { emails: true, key: None }
    }
}

/// How often a masked text is masked again before all of it is.
const ROUNDS_MAX: usize = 4;

impl Masking {
    /// What it does, in a line of `check`.
    pub(crate) fn describe(&self) -> String {
        let hash = self.key.as_ref().map(|_| "keyed digests");
        let emails = (!self.emails).then_some("without e-mail addresses");
        let said: Vec<_> = hash.into_iter().chain(emails).collect();
        if said.is_empty() { "built-in masking".to_owned() } else { format!("built-in masking ({})", said.join(", ")) }
    }

    /// The text with every secret masked; `None` if it holds none. `count` is told what was found.
    pub(crate) fn mask(&self, text: &str, hits: &mut Vec<Hit>, mut count: impl FnMut(Rule)) -> Option<String> {
        self.find(text, hits);
        if hits.is_empty() {
            return None;
        }
        for hit in hits.iter() {
            count(hit.rule);
        }
        let key = self.key.as_ref();
        let masked = self.settle(replace(text, hits, key), key, hits);
        if masked.len() <= grown_max(text) {
            return Some(masked);
        }
        // Many short secrets, with a digest each: they have masks without.
        self.find(text, hits);
        Some(self.settle(replace(text, hits, None), None, hits))
    }

    /// A value masked whole because of its name; one that is no text has nothing to hash.
    pub(crate) fn whole(&self, text: Option<&str>) -> String {
        match (text, &self.key) {
            (Some(text), Some(key)) => {
                let mut out = String::new();
                key.put(Rule::SecretName, text, &mut out);
                out
            }
            _ => MASK.to_owned(),
        }
    }

    /// Whether there is anything to mask.
    pub(crate) fn finds(&self, text: &str) -> bool {
        let mut hits = Vec::new();
        self.find(text, &mut hits);
        !hits.is_empty()
    }

    /// Masks until nothing is found: what stands between two masks may look like a secret only now.
    fn settle(&self, mut text: String, key: Option<&HashKey>, hits: &mut Vec<Hit>) -> String {
        for _ in 0..ROUNDS_MAX {
            self.find(&text, hits);
            if hits.is_empty() {
                return text;
            }
            text = replace(&text, hits, key);
        }
        MASK.to_owned()
    }

    /// Notes every secret in `text`, in order and without overlaps.
    fn find(&self, text: &str, hits: &mut Vec<Hit>) {
        let wanted = if self.emails { Wanted::ALL } else { Wanted::ALL.without(Rule::Email) };
        find(text, wanted, hits);
    }
}

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted(u16);

impl Wanted {
    const ALL: Self = Self(u16::MAX);

    const fn only(rule: Rule) -> Self {
        Self(1 << rule as u16)
    }

    const fn without(self, rule: Rule) -> Self {
        Self(self.0 & !Self::only(rule).0)
    }

    const fn has(self, rule: Rule) -> bool {
        self.0 & Self::only(rule).0 != 0
    }
}

/// Notes every secret that these rules find.
fn find(text: &str, wanted: Wanted, hits: &mut Vec<Hit>) {
    hits.clear();
    search(text.as_bytes(), wanted, hits);
    let mut found = Vec::new();
    let readings = fold::Readings::new(text.as_bytes());
    for (reading, plain) in readings.texts().enumerate() {
        search(plain, wanted, &mut found);
        hits.extend(found.drain(..).map(|hit| {
            // A place that can't be told is anywhere.
            let (start, end) = readings.origin(reading, hit.start, hit.end).unwrap_or((0, text.len()));
            Hit { start, end, rule: hit.rule }
        }));
    }
    hits.sort_unstable();
    let mut covered = 0;
    hits.retain_mut(|hit| {
        let end = hit.end;
        hit.start = hit.start.max(covered);
        covered = covered.max(end);
        hit.end > hit.start
    });
}

/// Notes what is found in one reading of a text. `hits` is empty before.
fn search(text: &[u8], wanted: Wanted, hits: &mut Vec<Hit>) {
    if (wanted.has(Rule::UrlPassword) || wanted.has(Rule::Email)) && memchr::memchr(b'@', text).is_some() {
        urls::find_passwords(text, hits);
        if wanted.has(Rule::Email) {
            urls::find_emails(text, hits);
        }
    }
    if wanted.has(Rule::SecretValue) {
        names::find_pairs(text, hits);
    }
    if [Rule::BearerToken, Rule::Jwt, Rule::KnownKey, Rule::PrivateKey, Rule::SqlPassword].iter().any(|rule| wanted.has(*rule)) {
        tokens::find(text, hits);
    }
    if wanted.has(Rule::PaymentCard) {
        cards::find(text, hits);
    }
    if wanted != Wanted::ALL {
        hits.retain(|hit| wanted.has(hit.rule));
    }
}

/// The text with its hits replaced. Hits that touch share a mask.
fn replace(text: &str, hits: &[Hit], key: Option<&HashKey>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut rest = hits.iter().peekable();
    while let Some(hit) = rest.next() {
        let mut end = hit.end;
        while let Some(next) = rest.next_if(|next| next.start <= end) {
            end = next.end;
        }
        out.push_str(text.get(at..hit.start).unwrap_or_default());
        match key.zip(text.get(hit.start..end)) {
            Some((key, secret)) => key.put(hit.rule, secret, &mut out),
            None => out.push_str(MASK),
        }
        at = end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;
