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
//! | `email` | e-mail addresses |
//!
//! A text is searched as it stands and in its plain reading: percent-encoded (also twice), with JSON's escapes, in
//! full-width forms, with other blanks and dashes, without invisible characters.
//!
//! Finding is linear in the text. [`suspect`] passes most texts at about a byte per cycle.

mod cards;
mod fold;
mod names;
mod tokens;

pub(crate) use names::is_secret_name;

use super::MASK;

/// Names of the rules, in the order of [`Rule`].
pub(crate) const RULE_NAMES: [&str; 9] = [
    "builtin/payment_card",
    "builtin/secret_name",
    "builtin/secret_value",
    "builtin/url_password",
    "builtin/bearer_token",
    "builtin/jwt",
    "builtin/known_key",
    "builtin/private_key",
    "builtin/email",
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
/// capitals, `_` and blanks.
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
            0x41..=0x5a | 0x5f | 0x20 => SHAPE,
            other if fold::begins(other) => AT,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// Whether a text could hold a secret. Quick, and never false where [`find`] finds something.
#[inline]
pub(crate) fn suspect(text: &[u8]) -> bool {
    // A lane holds the counts of a chunk of this size.
    text.chunks(usize::from(u16::MAX)).any(|chunk| {
        let sum = chunk.iter().fold(0_u64, |sum, byte| sum + CLASSES.get(usize::from(*byte)).copied().unwrap_or(0));
        suspect_counts(text, sum)
    })
}

fn suspect_counts(text: &[u8], sum: u64) -> bool {
    let lane = |at: u64| (sum / at) & 0xffff;
    lane(AT) > 0
        || ((lane(DIGIT) >= 13 || text.len() > usize::from(u16::MAX) && lane(DIGIT) > 0) && cards::suspect(text))
        || (lane(PAIR) > 0 && names::has_secret_pair(text))
        || (lane(SHAPE) > 0 && text.len() >= tokens::LENGTH_MIN && tokens::suspect(text))
}

/// Notes every secret in `text`, in order and without overlaps.
pub(crate) fn find(text: &str, hits: &mut Vec<Hit>) {
    hits.clear();
    search(text, hits);
    let mut found = Vec::new();
    for reading in fold::readings(text) {
        search(&reading.text, &mut found);
        hits.extend(found.drain(..).filter_map(|hit| {
            let (start, end) = reading.origin(hit.start, hit.end)?;
            Some(Hit { start, end, rule: hit.rule })
        }));
    }
    hits.sort_unstable();
    let mut covered = 0;
    hits.retain_mut(|hit| {
        if hit.start < covered {
            let kept = hit.end > covered;
            hit.start = covered;
            covered = covered.max(hit.end);
            return kept;
        }
        covered = hit.end;
        hit.end > hit.start
    });
}

/// Notes what is found in one reading of a text. `hits` is empty before.
fn search(text: &str, hits: &mut Vec<Hit>) {
    if text.contains('@') {
        names::find_url_passwords(text, hits);
        names::find_emails(text, hits);
    }
    names::find_pairs(text, hits);
    tokens::find(text, hits);
    if text.bytes().filter(u8::is_ascii_digit).count() >= cards::DIGITS_MIN {
        cards::find(text, hits);
    }
}

/// Whether [`find`] finds anything.
pub(crate) fn finds(text: &str) -> bool {
    let mut hits = Vec::new();
    find(text, &mut hits);
    !hits.is_empty()
}

/// The text with its hits masked. Hits that touch share a mask.
pub(crate) fn mask(text: &str, hits: &[Hit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (place, hit) in hits.iter().enumerate() {
        out.push_str(text.get(at..hit.start).unwrap_or_default());
        if place == 0 || at < hit.start {
            out.push_str(MASK);
        }
        at = hit.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;
