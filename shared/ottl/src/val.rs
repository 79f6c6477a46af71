//! Values while a statement runs: what telemetry holds, and times, durations and ids.

use std::borrow::Cow;
use std::cmp::Ordering;

use spanlake_otlp::tree::{Map, Value};

use crate::error::DataError;
use crate::syntax::{MathOperator, Operator};

/// A value of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Val<'a> {
    /// What an attribute can hold; [`Value::Empty`] is `nil`.
    Value(Value<'a>),
    /// A point in time.
    Time(Time),
    /// A length of time in nanoseconds.
    Duration(i64),
    /// A trace id.
    TraceId([u8; 16]),
    /// A span id.
    SpanId([u8; 8]),
}

/// A point in time and the zone that it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// Nanoseconds since 1970.
    pub nanos: i64,
    /// Seconds east of UTC.
    pub offset_seconds: i32,
}

impl<'a> Val<'a> {
    /// Nothing.
    pub const NIL: Self = Self::Value(Value::Empty);

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Value(Value::String(text.into()))
    }

    /// A whole number.
    #[must_use]
    pub const fn int(value: i64) -> Self {
        Self::Value(Value::Int(value))
    }

    /// A number.
    #[must_use]
    pub const fn double(value: f64) -> Self {
        Self::Value(Value::Double(value))
    }

    /// A truth value.
    #[must_use]
    pub const fn bool(value: bool) -> Self {
        Self::Value(Value::Bool(value))
    }

    /// A list.
    #[must_use]
    pub const fn list(items: Vec<Value<'a>>) -> Self {
        Self::Value(Value::List(items))
    }

    /// A map.
    #[must_use]
    pub const fn map(map: Map<'a>) -> Self {
        Self::Value(Value::Map(map))
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Value(Value::Bytes(bytes.into()))
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Value(Value::Empty))
    }

    /// The same value, borrowed from this one.
    #[must_use]
    pub fn view(&self) -> Val<'_> {
        match self {
            Self::Value(value) => Val::Value(value.view()),
            Self::Time(time) => Val::Time(*time),
            Self::Duration(nanos) => Val::Duration(*nanos),
            Self::TraceId(id) => Val::TraceId(*id),
            Self::SpanId(id) => Val::SpanId(*id),
        }
    }

    /// The same value, borrowed from nothing.
    #[must_use]
    pub fn into_owned(self) -> Val<'static> {
        match self {
            Self::Value(value) => Val::Value(value.into_owned()),
            Self::Time(time) => Val::Time(time),
            Self::Duration(nanos) => Val::Duration(nanos),
            Self::TraceId(id) => Val::TraceId(id),
            Self::SpanId(id) => Val::SpanId(id),
        }
    }

    /// What an attribute holds that is set to this. Times, durations and ids can't be stored: the attribute is there and
    /// empty, as in the Collector.
    #[must_use]
    pub fn into_value(self) -> Value<'a> {
        match self {
            Self::Value(value) => value,
            _ => Value::Empty,
        }
    }
}

/// Compares two values as OTTL does: numbers of any type, otherwise like with like; of different types only `!=` holds.
pub(crate) fn compare(left: &Val<'_>, operator: Operator, right: &Val<'_>) -> bool {
    let order = match (left, right) {
        (Val::Value(left), Val::Value(right)) => return compare_values(left, operator, right),
        (Val::Time(left), Val::Time(right)) => Some(left.nanos.cmp(&right.nanos)),
        (Val::Duration(left), Val::Duration(right)) => Some(left.cmp(right)),
        (Val::TraceId(left), Val::TraceId(right)) => Some(left.cmp(right)),
        (Val::SpanId(left), Val::SpanId(right)) => Some(left.cmp(right)),
        (Val::TraceId(id), Val::Value(Value::Bytes(bytes))) | (Val::Value(Value::Bytes(bytes)), Val::TraceId(id)) => {
            return holds_equal(operator, id.as_slice() == bytes.as_ref());
        }
        (Val::SpanId(id), Val::Value(Value::Bytes(bytes))) | (Val::Value(Value::Bytes(bytes)), Val::SpanId(id)) => {
            return holds_equal(operator, id.as_slice() == bytes.as_ref());
        }
        _ => None,
    };
    order.map_or(operator == Operator::NotEqual, |order| holds(operator, order))
}

fn compare_values(left: &Value<'_>, operator: Operator, right: &Value<'_>) -> bool {
    let order = match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
        (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_)) => {
            // A comparison with what is not a number holds for `!=` alone.
            match as_float(left).partial_cmp(&as_float(right)) {
                Some(order) => order,
                None => return operator == Operator::NotEqual,
            }
        }
        (Value::Empty, Value::Empty) => return holds_equal(operator, true),
        (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => return holds_equal(operator, left.same(right)),
        _ => return operator == Operator::NotEqual,
    };
    holds(operator, order)
}

/// For what knows no order: `==` and `!=` only.
const fn holds_equal(operator: Operator, equal: bool) -> bool {
    match operator {
        Operator::Equal => equal,
        Operator::NotEqual => !equal,
        _ => false,
    }
}

const fn holds(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "what Go's conversion does too")]
const fn as_float(value: &Value<'_>) -> f64 {
    match value {
        Value::Int(value) => *value as f64,
        Value::Double(value) => *value,
        _ => f64::NAN,
    }
}

/// Computes as OTTL does: whole numbers wrap, a whole number and another give another.
///
/// # Errors
/// Division by zero, and types that can't be computed with.
pub(crate) fn compute<'a>(left: &Val<'a>, operator: MathOperator, right: &Val<'a>) -> Result<Val<'a>, DataError> {
    match (left, right) {
        (Val::Value(Value::Int(left)), Val::Value(Value::Int(right))) => int_math(*left, operator, *right).map(Val::int),
        (Val::Value(left @ (Value::Int(_) | Value::Double(_))), Val::Value(right @ (Value::Int(_) | Value::Double(_)))) => {
            let (left, right) = (as_float(left), as_float(right));
            match operator {
                MathOperator::Add => Ok(Val::double(left + right)),
                MathOperator::Subtract => Ok(Val::double(left - right)),
                MathOperator::Multiply => Ok(Val::double(left * right)),
                MathOperator::Divide if right == 0.0 => Err(DataError("division by zero")),
                MathOperator::Divide => Ok(Val::double(left / right)),
            }
        }
        (Val::Time(time), Val::Duration(length)) => match operator {
            MathOperator::Add => Ok(Val::Time(Time { nanos: time.nanos.wrapping_add(*length), ..*time })),
            MathOperator::Subtract => Ok(Val::Time(Time { nanos: time.nanos.wrapping_sub(*length), ..*time })),
            _ => Err(DataError("times are only added to and subtracted")),
        },
        (Val::Time(left), Val::Time(right)) if operator == MathOperator::Subtract => {
            Ok(Val::Duration(left.nanos.saturating_sub(right.nanos)))
        }
        (Val::Duration(length), Val::Time(time)) if operator == MathOperator::Add => {
            Ok(Val::Time(Time { nanos: time.nanos.wrapping_add(*length), ..*time }))
        }
        (Val::Duration(left), Val::Duration(right)) => match operator {
            MathOperator::Add => Ok(Val::Duration(left.wrapping_add(*right))),
            MathOperator::Subtract => Ok(Val::Duration(left.wrapping_sub(*right))),
            _ => Err(DataError("durations are only added to and subtracted")),
        },
        _ => Err(DataError("these types can't be computed with")),
    }
}

const fn int_math(left: i64, operator: MathOperator, right: i64) -> Result<i64, DataError> {
    match operator {
        MathOperator::Add => Ok(left.wrapping_add(right)),
        MathOperator::Subtract => Ok(left.wrapping_sub(right)),
        MathOperator::Multiply => Ok(left.wrapping_mul(right)),
        MathOperator::Divide if right == 0 => Err(DataError("division by zero")),
        MathOperator::Divide => Ok(left.wrapping_div(right)),
    }
}

/// The negative of a number or duration.
///
/// # Errors
/// Anything else.
pub(crate) fn negate(value: &Val<'_>) -> Result<Val<'static>, DataError> {
    match value {
        Val::Value(Value::Int(value)) => Ok(Val::int(value.wrapping_neg())),
        Val::Value(Value::Double(value)) => Ok(Val::double(-*value)),
        Val::Duration(value) => Ok(Val::Duration(value.wrapping_neg())),
        _ => Err(DataError("only numbers and durations have a negative")),
    }
}
