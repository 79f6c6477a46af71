//! Expressions and conditions that are ready to be evaluated.

use std::borrow::Cow;

use spanlake_otlp::tree::{Map, Value, Want, float_text};

use crate::error::DataError;
use crate::frame::Frame;
use crate::function::{Args, Argument, Function, Given, Kind, Run};
use crate::functions;
use crate::paths::{Place, access_hex as hex, step_keys};
use crate::syntax::{MathOperator, Operator};
use crate::val::{Val, compare, compute, negate};

/// A value to be computed.
#[derive(Debug)]
pub enum Expression {
    /// A number, truth value or nothing.
    Scalar(Val<'static>),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Expression>),
    /// A map.
    Map(Vec<(String, Expression)>),
    /// A field.
    Place(Place),
    /// A converter's result.
    Call(Call),
    /// The same, known when the statement was read, since all arguments are literals.
    Known(Call, Val<'static>),
    /// A negative.
    Negate(Box<Expression>),
    /// Arithmetic.
    Math(Box<Expression>, MathOperatorKind, Box<Expression>),
}

/// [`MathOperator`], opaque outside of this crate.
#[derive(Debug, Clone, Copy)]
pub struct MathOperatorKind(pub(crate) MathOperator);

/// A call of a function.
#[derive(Debug)]
pub struct Call {
    pub(crate) function: &'static Function,
    pub(crate) arguments: Vec<Argument>,
    /// What is taken out of the result.
    pub(crate) keys: Vec<crate::paths::PlaceKey>,
}

/// A condition.
#[derive(Debug)]
pub(crate) enum Test {
    Or(Vec<Test>),
    And(Vec<Test>),
    Not(Box<Test>),
    Constant(bool),
    Compare(Expression, Operator, Expression),
    Call(Call),
}

impl Expression {
    /// Computes the value.
    ///
    /// # Errors
    /// See the functions; also arithmetic on what is no number.
    pub fn eval<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError> {
        match self {
            Self::Scalar(value) => Ok(value.clone()),
            Self::Text(text) => Ok(Val::text(text.as_str())),
            Self::Bytes(bytes) => Ok(Val::bytes(bytes.as_slice())),
            Self::List(items) => {
                let items: Result<_, _> = items.iter().map(|item| item.eval(frame).map(Val::into_value)).collect();
                Ok(Val::list(items?))
            }
            Self::Map(entries) => {
                let mut map = Map::default();
                for (key, value) in entries {
                    map.set(Cow::Borrowed(key), value.eval(frame)?.into_value());
                }
                Ok(Val::map(map))
            }
            Self::Place(place) => place.get(frame),
            Self::Call(call) => call.eval(frame),
            Self::Known(_, value) => Ok(value.view()),
            Self::Negate(value) => negate(&value.eval(frame)?),
            Self::Math(left, operator, right) => compute(&left.eval(frame)?, operator.0, &right.eval(frame)?),
        }
    }
}

impl Test {
    /// Whether it holds. `and` and `or` stop at the first operand that decides.
    pub(crate) fn eval<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<bool, DataError> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Not(test) => test.eval(frame).map(|value| !value),
            Self::Or(tests) => {
                for test in tests {
                    if test.eval(frame)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::And(tests) => {
                for test in tests {
                    if !test.eval(frame)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Compare(left, operator, right) => Ok(compare(&left.eval(frame)?, *operator, &right.eval(frame)?)),
            Self::Call(call) => match call.eval(frame)? {
                Val::Value(Value::Bool(value)) => Ok(value),
                _ => Err(DataError("a converter that stands for a condition must give true or false")),
            },
        }
    }
}

impl Test {
    /// Adds the fields that it looks at.
    pub(crate) fn wants(&self, want: &mut Want) {
        match self {
            Self::Or(tests) | Self::And(tests) => tests.iter().for_each(|test| test.wants(want)),
            Self::Not(test) => test.wants(want),
            Self::Constant(_) => {}
            Self::Compare(left, _, right) => {
                left.wants(want);
                right.wants(want);
            }
            Self::Call(call) => call.wants(want),
        }
    }
}

impl Expression {
    /// A value that does not depend on any data.
    pub(crate) fn literal(&self) -> Option<Val<'_>> {
        Some(match self {
            Self::Scalar(value) | Self::Known(_, value) => value.view(),
            Self::Text(text) => Val::text(text.as_str()),
            Self::Bytes(bytes) => Val::bytes(bytes.as_slice()),
            Self::List(items) => Val::list(items.iter().map(|item| item.literal().map(Val::into_value)).collect::<Option<_>>()?),
            Self::Map(entries) => {
                let mut map = Map::default();
                for (key, value) in entries {
                    map.set(Cow::Borrowed(key), value.literal()?.into_value());
                }
                Val::map(map)
            }
            Self::Place(_) | Self::Call(_) | Self::Negate(_) | Self::Math(..) => return None,
        })
    }

    /// Adds the fields that it looks at.
    pub(crate) fn wants(&self, want: &mut Want) {
        match self {
            Self::Place(place) => place.wants(want),
            Self::Call(call) => call.wants(want),
            Self::List(items) => items.iter().for_each(|item| item.wants(want)),
            Self::Map(entries) => entries.iter().for_each(|(_, value)| value.wants(want)),
            Self::Negate(inner) => inner.wants(want),
            Self::Math(left, _, right) => {
                left.wants(want);
                right.wants(want);
            }
            Self::Scalar(_) | Self::Text(_) | Self::Bytes(_) | Self::Known(..) => {}
        }
    }

    /// Appends the names of the functions that it calls.
    pub(crate) fn names(&self, names: &mut Vec<&'static str>) {
        match self {
            Self::Call(call) | Self::Known(call, _) => call.names(names),
            Self::List(items) => items.iter().for_each(|item| item.names(names)),
            Self::Map(entries) => entries.iter().for_each(|(_, value)| value.names(names)),
            Self::Negate(inner) => inner.names(names),
            Self::Math(left, _, right) => {
                left.names(names);
                right.names(names);
            }
            Self::Scalar(_) | Self::Text(_) | Self::Bytes(_) | Self::Place(_) => {}
        }
    }
}

impl Call {
    /// Adds the fields that it looks at: all of them, where the function sees the item.
    fn wants_arguments(&self, want: &mut Want) {
        for argument in &self.arguments {
            match argument {
                Argument::Value(expression, _) => expression.wants(want),
                Argument::Values(items) => items.iter().for_each(|item| item.wants(want)),
                Argument::Target(place) => place.wants(want),
                _ => {}
            }
        }
        self.keys.iter().for_each(|key| key.wants(want));
    }

    pub(crate) fn wants(&self, want: &mut Want) {
        // What looks at the item itself may look at all of it; an editor of a path looks at that path.
        let is_edit_of_path = self.arguments.iter().any(|argument| matches!(argument, Argument::Target(_)));
        match self.function.run {
            Run::Convert(_) => {}
            Run::Edit(_) if is_edit_of_path => {}
            Run::ConvertIn(_) | Run::Edit(_) => *want = Want::ALL,
        }
        self.wants_arguments(want);
    }

    /// Appends its name and those of the functions in its arguments.
    pub(crate) fn names(&self, names: &mut Vec<&'static str>) {
        names.push(self.function.name);
        for argument in &self.arguments {
            match argument {
                Argument::Value(expression, _) => expression.names(names),
                Argument::Values(items) => items.iter().for_each(|item| item.names(names)),
                Argument::Function(function) => names.push(function.name),
                _ => {}
            }
        }
    }

    /// What a converter comes to whose arguments are all literals.
    pub(crate) fn literal(&self) -> Option<Result<Val<'_>, DataError>> {
        let Run::Convert(run) = self.function.run else { return None };
        if self.function.grows || !self.keys.is_empty() {
            return None;
        }
        let mut args = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            match argument.literal()? {
                Ok(given) => args.push(given),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(run(&mut Args(args)))
    }

    /// Calls a converter.
    pub(crate) fn eval<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError> {
        let mut args = self.args(frame)?;
        let result = match self.function.run {
            Run::Convert(run) => run(&mut args)?,
            Run::ConvertIn(run) => run(&mut args, frame)?,
            Run::Edit(_) => return Err(DataError("an editor has no value")),
        };
        if self.keys.is_empty() { Ok(result) } else { step_keys(result, &self.keys, frame) }
    }

    /// Calls an editor.
    pub(crate) fn edit<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
        let mut args = self.args(frame)?;
        match self.function.run {
            Run::Edit(run) => run(&mut args, frame),
            _ => Err(DataError("a converter changes nothing")),
        }
    }

    fn args<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<Args<'a>, DataError> {
        let mut args = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            args.push(match argument {
                Argument::Value(expression, Kind::Pattern) => match expression.eval(frame)? {
                    Val::Value(Value::String(text)) => Given::Computed(frame.pattern(&text)?),
                    _ => return Err(NO_PATTERN),
                },
                Argument::Value(expression, kind) => given(expression.eval(frame)?, *kind)?,
                Argument::Values(items) => Given::Vals(items.iter().map(|item| item.eval(frame)).collect::<Result<_, _>>()?),
                fixed => fixed.literal().unwrap_or(Err(NO_PATTERN))?,
            });
        }
        Ok(Args(args))
    }
}

/// Calls a converter that takes one value, as an argument of another function.
///
/// # Errors
/// Those of the converter.
pub fn call<'a>(function: &'static Function, value: Val<'a>) -> Result<Val<'a>, DataError> {
    let kind = function.params.first().map_or(Kind::Any, |param| param.kind);
    let mut args = vec![given(value, kind)?];
    args.extend(function.params.iter().skip(1).map(|_| Given::Missing));
    match function.run {
        Run::Convert(run) => run(&mut Args(args)),
        _ => Err(DataError("this function can't be an argument")),
    }
}

/// A pattern is computed from a text only.
const NO_PATTERN: DataError = DataError("expected a pattern");

/// A computed value as its parameter takes it, a pattern aside.
pub(crate) fn given(value: Val<'_>, kind: Kind) -> Result<Given<'_>, DataError> {
    let plain = match &value {
        Val::Value(plain) => Some(plain),
        _ => None,
    };
    let fits = match kind {
        Kind::Str => matches!(plain, Some(Value::String(_))).then_some(()).ok_or(DataError("expected a text")),
        Kind::IntVal => matches!(plain, Some(Value::Int(_))).then_some(()).ok_or(DataError("expected a whole number")),
        Kind::FloatVal => matches!(plain, Some(Value::Double(_))).then_some(()).ok_or(DataError("expected a number")),
        Kind::BoolVal => matches!(plain, Some(Value::Bool(_))).then_some(()).ok_or(DataError("expected true or false")),
        Kind::Map => matches!(plain, Some(Value::Map(_))).then_some(()).ok_or(DataError("expected a map")),
        Kind::List | Kind::Values => matches!(plain, Some(Value::List(_))).then_some(()).ok_or(DataError("expected a list")),
        Kind::Time => matches!(value, Val::Time(_)).then_some(()).ok_or(DataError("expected a time")),
        Kind::Duration => matches!(value, Val::Duration(_)).then_some(()).ok_or(DataError("expected a duration")),
        Kind::StrLike => return Ok(Given::Val(text_like(value))),
        Kind::FloatLike => return float_like(value).map(Given::Val),
        Kind::Pattern => return Err(NO_PATTERN),
        _ => Ok(()),
    };
    fits.map(|()| Given::Val(value))
}

/// Anything as text.
pub(crate) fn text_like(value: Val<'_>) -> Val<'_> {
    match value {
        Val::Value(Value::Empty | Value::String(_)) => value,
        Val::Value(Value::Bytes(bytes)) => Val::text(hex(&bytes)),
        Val::Value(Value::Double(number)) => Val::text(float_text(number)),
        Val::Value(other) => Val::text(other.to_text().into_owned()),
        // What is no value of an attribute becomes text as Go's JSON writes it: an id as a list of its bytes.
        Val::TraceId(id) => Val::text(format!("{id:?}").replace(' ', "")),
        Val::SpanId(id) => Val::text(format!("{id:?}").replace(' ', "")),
        Val::Time(time) => Val::text(format!("\"{}\"", functions::rfc3339(time))),
        Val::Duration(nanos) => Val::text(nanos.to_string()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "what Go's conversion does too")]
fn float_like(value: Val<'_>) -> Result<Val<'_>, DataError> {
    match value {
        Val::Value(Value::Empty | Value::Double(_)) => Ok(value),
        Val::Value(Value::Int(number)) => Ok(Val::double(number as f64)),
        Val::Value(Value::Bool(value)) => Ok(Val::double(f64::from(u8::from(value)))),
        Val::Value(Value::String(text)) => text.parse().map(Val::double).map_err(|_| DataError("not a number")),
        _ => Err(DataError("expected a number")),
    }
}
