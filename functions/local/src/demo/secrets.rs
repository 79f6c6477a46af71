//! Secrets that careless services send. Each is invented here, holds a mark of its own, and is remembered: a lake in
//! which a mark is found has leaked.

use std::collections::BTreeMap;

/// What every planted text secret contains; a serial number follows.
const MARK: &str = "LeakNg";
/// The same for formats that have capitals and digits only.
const MARK_CAPITALS: &str = "LEAKNG";
/// The first ten digits of every planted card: a card scheme's published test number, continued.
const CARD_PREFIX: [&str; 3] = ["4111", "1177", "39"];

/// A kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Card,
    Bearer,
    Password,
    Token,
    Jwt,
    CloudKey,
    ApiKey,
}

impl Kind {
    /// The kind in a reader's words.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Card => "payment card numbers",
            Self::Bearer => "bearer tokens",
            Self::Password => "passwords",
            Self::Token => "tokens in URLs",
            Self::Jwt => "session tokens (JWT)",
            Self::CloudKey => "cloud access keys",
            Self::ApiKey => "API keys",
        }
    }
}

/// A planted value that can be looked up again, to show what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) kind: Kind,
    /// Where it was put, in a reader's words.
    pub(crate) place: &'static str,
    /// The whole value that was sent, secret included.
    pub(crate) sent: String,
    /// A query whose one cell is what the lake holds instead.
    pub(crate) lookup: String,
}

/// Invents secrets and counts them.
#[derive(Debug, Default)]
pub(crate) struct Planter {
    next: u32,
    /// How many were planted, by kind and place.
    pub(crate) planted: BTreeMap<(Kind, &'static str), u64>,
    /// Values to show.
    pub(crate) examples: Vec<Example>,
}

impl Planter {
    /// A secret of this kind, never the same twice.
    pub(crate) fn plant(&mut self, kind: Kind, place: &'static str) -> String {
        self.next += 1;
        *self.planted.entry((kind, place)).or_default() += 1;
        let serial = self.next;
        match kind {
            Kind::Card => card(serial),
            Kind::Bearer => format!("{MARK}{serial:06}.dGhlLXNob3AtaXMtbm90LXJlYWw"),
            Kind::Password => format!("{MARK}{serial:06}"),
            Kind::Token => format!("{MARK}{serial:06}5ca1ab1e"),
            // Written in parts, so that no scanner takes the source for a leak.
            Kind::Jwt => format!("{}.{}.{MARK}{serial:06}c2lnbmF0dXJl", "eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJzaG9wcGVyIn0"),
            Kind::CloudKey => format!("{}{MARK_CAPITALS}{serial:010}", "AKIA"),
            Kind::ApiKey => format!("{}_{}_{MARK}{serial:06}000000000000", "sk", "live"),
        }
    }

    /// Remembers a value to show; a few of each kind are enough.
    pub(crate) fn remember(&mut self, example: Example) {
        if self.examples.iter().filter(|known| known.kind == example.kind).count() < 3 {
            self.examples.push(example);
        }
    }
}

/// Whether a text contains a planted secret.
pub(crate) fn leaks(text: &str) -> bool {
    let [first, second, third] = CARD_PREFIX;
    text.contains(MARK)
        || text.contains(MARK_CAPITALS)
        || (text.contains(first) && ["", " ", "-"].iter().any(|gap| text.contains(&format!("{first}{gap}{second}{gap}{third}"))))
}

/// A card number with a valid check digit, written plainly, in groups, or with dashes.
fn card(serial: u32) -> String {
    let body = format!("{}{:05}", CARD_PREFIX.concat(), serial % 100_000);
    let sum: u32 = (0u32..)
        .zip(body.bytes().rev())
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') * if place % 2 == 0 { 2 } else { 1 };
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    let digits = format!("{body}{}", (10 - sum % 10) % 10);
    let gap = match serial % 3 {
        0 => return digits,
        1 => ' ',
        _ => '-',
    };
    let mut out = String::with_capacity(19);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            out.push(gap);
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 7] = [Kind::Card, Kind::Bearer, Kind::Password, Kind::Token, Kind::Jwt, Kind::CloudKey, Kind::ApiKey];

    #[test]
    fn every_planted_secret_is_recognised_and_none_is_planted_twice() {
        let mut planter = Planter::default();
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..90 {
            let secret = planter.plant(KINDS[round % KINDS.len()], "a test");
            assert!(leaks(&format!("before {secret} after")), "{secret}");
            assert!(seen.insert(secret));
        }
        assert_eq!(planter.planted.values().sum::<u64>(), 90);
        assert!(!leaks("4111 **** and Leak and AKIA****"));
    }

    #[test]
    fn planted_cards_pass_the_check_that_real_ones_pass() {
        for serial in 0..300 {
            let digits: Vec<u32> = card(serial).chars().filter_map(|c| c.to_digit(10)).collect();
            assert_eq!(digits.len(), 16);
            let sum: u32 = digits
                .iter()
                .rev()
                .enumerate()
                .map(|(place, digit)| if place % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit })
                .sum();
            assert_eq!(sum % 10, 0);
        }
    }
}
