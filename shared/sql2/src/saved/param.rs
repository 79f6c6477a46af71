//! Values of parameters: checked by kind, then quoted; nothing else of a value enters a statement.

use super::Param;
use crate::SqlError;

/// Longest text that a parameter takes, in bytes.
const MAX_TEXT_BYTES: usize = 1024;
/// Longest duration: further back than any lake keeps.
const MAX_SECONDS: u64 = 400 * 86_400;
/// Largest number: as many rows as a result holds.
const MAX_INT: u32 = 100_000;

/// What may be given for a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A whole number and a unit: `90s`, `15m`, `1h`, `7d`; 1 s to 400 days.
    Duration,
    /// Any text of at most 1 kB without control characters.
    Text,
    /// 32 hex digits; upper case is taken as lower case.
    TraceId,
    /// A whole number from 1 to 100,000.
    Int,
}

fn refused(param: &Param, reason: &str) -> SqlError {
    SqlError::Parameter { name: param.name.to_owned(), reason: reason.to_owned() }
}

/// A value as an SQL literal of its kind.
pub(super) fn literal(param: &Param, value: &str) -> Result<String, SqlError> {
    match param.kind {
        ParamKind::Duration => Err(refused(param, "a duration has no literal")),
        ParamKind::Text if value.len() > MAX_TEXT_BYTES => Err(refused(param, "give at most 1024 bytes")),
        ParamKind::Text if value.chars().any(char::is_control) => Err(refused(param, "give text without control characters")),
        ParamKind::Text => Ok(format!("'{}'", value.replace('\'', "''"))),
        ParamKind::TraceId if value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(format!("'{}'", value.to_ascii_lowercase()))
        }
        ParamKind::TraceId => Err(refused(param, "give a trace id of 32 hex digits")),
        ParamKind::Int => match value.parse::<u32>() {
            Ok(number @ 1..=MAX_INT) => Ok(number.to_string()),
            _ => Err(refused(param, "give a whole number from 1 to 100000")),
        },
    }
}

/// A duration in seconds.
pub(super) fn seconds(param: &Param, value: &str) -> Result<u64, SqlError> {
    let wrong = || refused(param, "give a duration such as 90s, 15m, 1h or 7d, at most 400d");
    let unit = match value.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        _ => return Err(wrong()),
    };
    let digits = value.get(..value.len() - 1).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = digits.and_then(|digits| digits.parse::<u64>().ok()).and_then(|count| count.checked_mul(unit));
    seconds.filter(|seconds| (1..=MAX_SECONDS).contains(seconds)).ok_or_else(wrong)
}
