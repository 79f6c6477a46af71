//! How large a result may become. A statement runs once per item: what it makes must not grow with every run.

use spanlake_otlp::tree::Value;

use crate::error::DataError;

/// The longest text that a function makes, and how much one call may add to a map, in bytes.
pub(super) const BYTES_MAX: usize = 1 << 20;
/// The longest list and the largest map that a function makes.
pub(super) const ITEMS_MAX: usize = 10_000;
/// What is kept with a statement for its literals.
const SMALL_BYTES: usize = 256;
const SMALL_ITEMS: usize = 16;
/// How deep values may nest, as when telemetry comes in: 1 is a plain value.
pub(super) const DEPTH_MAX: usize = 32;

/// A result would be larger than functions make them.
pub(super) const TOO_LARGE: DataError = DataError("the result would be too large");

/// A text of a length that functions make.
pub(super) fn text(text: String) -> Result<String, DataError> {
    if text.len() > BYTES_MAX { Err(TOO_LARGE) } else { Ok(text) }
}

/// Whether a list or map of this length may be made.
pub(super) const fn items(count: usize) -> Result<(), DataError> {
    if count > ITEMS_MAX { Err(TOO_LARGE) } else { Ok(()) }
}

/// Whether a value may be stored `above` levels deep.
pub(super) fn value(value: &Value<'_>, above: usize) -> Result<(), DataError> {
    let mut left = (BYTES_MAX, ITEMS_MAX);
    measure(value, above + 1, &mut left).ok_or(TOO_LARGE)
}

/// Whether a value takes no more than some bytes.
pub(crate) fn is_small(value: &Value<'_>) -> bool {
    measure(value, 1, &mut (SMALL_BYTES, SMALL_ITEMS)).is_some()
}

/// Takes a value's bytes and elements from what is left.
fn measure(value: &Value<'_>, depth: usize, left: &mut (usize, usize)) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match value {
        Value::String(text) => left.0 = left.0.checked_sub(text.len())?,
        Value::Bytes(bytes) => left.0 = left.0.checked_sub(bytes.len())?,
        Value::List(items) => {
            left.1 = left.1.checked_sub(items.len())?;
            items.iter().try_for_each(|item| measure(item, depth + 1, left))?;
        }
        Value::Map(map) => {
            left.1 = left.1.checked_sub(map.len())?;
            for (key, value) in map.iter() {
                left.0 = left.0.checked_sub(key.len())?;
                measure(value, depth + 1, left)?;
            }
        }
        Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => {}
    }
    Some(())
}

/// The last place at or before `at` where a character begins.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Bytes as text, of which what is no UTF-8 is shown as such.
pub(super) fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_and_wide_values_are_not_stored() {
        let nested = |levels: usize| (1..levels).fold(Value::Int(1), |value, _| Value::List(vec![value]));
        assert!(value(&nested(DEPTH_MAX), 0).is_ok());
        assert!(value(&nested(DEPTH_MAX), 1).is_err());
        assert!(value(&Value::List(vec![Value::Empty; ITEMS_MAX]), 0).is_ok());
        assert!(value(&Value::List(vec![Value::Empty; ITEMS_MAX + 1]), 0).is_err());
        assert!(value(&Value::String("x".repeat(BYTES_MAX + 1).into()), 0).is_err());
    }
}
