//! Ids of fixed length, shown as lower-case hex.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A text that is not an id: wrong length, or not hex.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected {expected} hexadecimal digits")]
pub struct NotAnId {
    /// How many digits an id of this kind has.
    pub expected: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Length in bytes.
            pub const BYTES: usize = $bytes;

            /// The id in these bytes; `None` if their number is not [`Self::BYTES`].
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Whether every byte is zero, which OTLP calls an invalid id.
            #[must_use]
            pub fn is_zero(&self) -> bool {
                self.0.iter().all(|byte| *byte == 0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let wrong = NotAnId { expected: $bytes * 2 };
                if text.len() != $bytes * 2 || !text.is_ascii() {
                    return Err(wrong);
                }
                let mut id = [0_u8; $bytes];
                for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    let digits = std::str::from_utf8(pair).map_err(|_| wrong.clone())?;
                    if digits.starts_with('+') {
                        return Err(wrong);
                    }
                    *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong.clone())?;
                }
                Ok(Self(id))
            }
        }
    };
}

id!(
    /// A trace id: 16 bytes (OTLP `Span.trace_id`).
    TraceId,
    16
);
id!(
    /// A span id: 8 bytes (OTLP `Span.span_id`).
    SpanId,
    8
);
id!(
    /// What makes a client's retry recognisable: a 128-bit hash of tenant, cutting rule version, signal and
    /// decompressed request body. Two requests of the same bytes have the same batch id.
    BatchId,
    16
);
id!(
    /// A 128-bit hash that names an immutable object by its content.
    ContentHash,
    16
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_its_text() {
        let id = TraceId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 254, 255]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn a_text_of_another_length_or_with_other_characters_is_no_id() {
        for text in ["", "00", "0011223344556677zz", "00112233445566+7", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"] {
            assert!(text.parse::<SpanId>().is_err(), "{text}");
        }
    }
}
