//! Keyed digests in place of masks, so that equal secrets stay equal.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::super::MASK;
use super::{Rule, cards, fold::Readings};

/// Hex digits of a digest: 128 bits.
const DIGITS: usize = 32;

/// A key for HMAC-SHA256, already taken in.
#[derive(Clone)]
pub(crate) struct HashKey(Hmac<Sha256>);

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

impl HashKey {
    /// The shortest key.
    pub(crate) const BYTES_MIN: usize = 32;

    /// `None` if the key is too short.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        if key.len() < Self::BYTES_MIN {
            return None;
        }
        Hmac::new_from_slice(key).ok().map(Self)
    }

    /// Appends what stands for a secret: a mask, a colon and the digest of the secret alone, however it is written.
    pub(super) fn put(&self, rule: Rule, secret: &str, out: &mut String) {
        out.push_str(MASK);
        let plain = plain(rule, secret);
        if plain.bytes().all(|byte| byte == b'*' || byte.is_ascii_whitespace()) {
            return;
        }
        let mut mac = self.0.clone();
        mac.update(plain.as_bytes());
        out.push(':');
        let digest = mac.finalize().into_bytes();
        let nibbles = digest.iter().take(DIGITS / 2).flat_map(|byte| [byte >> 4, byte & 15]);
        out.extend(nibbles.filter_map(|nibble| char::from_digit(u32::from(nibble), 16)));
    }
}

/// A secret as it is hashed: in its plain reading, without the name of a header's scheme, a card as its digits alone and an
/// address in lower case.
fn plain(rule: Rule, secret: &str) -> Cow<'_, str> {
    let readings = Readings::new(secret.as_bytes());
    let plain =
        readings.texts().last().map_or(Cow::Borrowed(secret), |last| Cow::Owned(String::from_utf8_lossy(last).into_owned()));
    let plain = match rule {
        Rule::SecretName | Rule::SecretValue => Cow::Owned(without_scheme(plain.trim()).to_owned()),
        Rule::Email => Cow::Owned(plain.to_ascii_lowercase()),
        _ => plain,
    };
    cards::digits_of(&plain).map_or(plain, Cow::Owned)
}

fn without_scheme(value: &str) -> &str {
    let Some((scheme, rest)) = value.split_once(' ') else { return value };
    let is_known = ["bearer", "basic"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if is_known { rest.trim_start() } else { value }
}

/// How long the mask is that a text begins with; 0 if it begins with none.
pub(super) fn mask_length(text: &[u8]) -> usize {
    let Some(rest) = text.strip_prefix(MASK.as_bytes()) else { return 0 };
    let digest = rest.strip_prefix(b":").and_then(|rest| rest.get(..DIGITS));
    let is_keyed = digest.is_some_and(|digest| digest.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    if is_keyed { MASK.len() + 1 + DIGITS } else { MASK.len() }
}

/// Whether a text is nothing but a mask, with a digest or without.
pub(crate) fn is_mask(text: &[u8]) -> bool {
    !text.is_empty() && mask_length(text) == text.len()
}

/// Whether a mask with a digest ends at this place.
pub(super) fn ends_a_mask(text: &[u8], end: usize) -> bool {
    let start = end.checked_sub(MASK.len() + 1 + DIGITS);
    start.and_then(|start| text.get(start..end)).is_some_and(is_mask)
}
