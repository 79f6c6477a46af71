//! What a function is: its name, its parameters, and what it does with arguments that have been read and checked.

use std::fmt;
use std::sync::Arc;

use regex::Regex;
use spanlake_otlp::tree::{Map, Value};

use crate::error::DataError;
use crate::expression::{Expression, given};
use crate::frame::{Context, Frame};
use crate::paths::Place;
use crate::regex::PatternCache;
use crate::val::{Time, Val};

/// A function of OTTL.
#[derive(Debug)]
pub struct Function {
    /// Its name: editors begin with a lower-case letter, converters with a capital.
    pub name: &'static str,
    /// What it takes, in order; optional ones last.
    pub params: &'static [Param],
    /// The contexts that have it; none stands for all.
    pub contexts: &'static [Context],
    /// What it does.
    pub run: Run,
    /// What is to be checked of literal arguments when a statement is read.
    pub check: Option<Check>,
    /// What is made of the arguments when a statement is read: what it runs with is no longer what its parameters say.
    pub prepare: Option<Prepare>,
    /// Literal arguments are converted when the statement is read, and an error there refuses it.
    pub folds: bool,
    /// The result may be much larger than the arguments, so that it is made only when it is needed.
    pub grows: bool,
}

/// A parameter.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name, for arguments by name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it may be left out.
    pub optional: bool,
}

/// What a parameter takes. The second half are values: expressions of any form, which are checked or converted when they
/// have been computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A path that is written.
    Target,
    /// A literal text.
    Text,
    /// A literal whole number.
    Int,
    /// A literal number.
    Float,
    /// A literal truth value.
    Bool,
    /// A literal list of texts.
    Texts,
    /// A list of expressions, or one that gives a list.
    Values,
    /// A regular expression: a literal is compiled when the statement is read.
    Pattern,
    /// A literal glob.
    Glob,
    /// A converter's name.
    Function,
    /// Any value.
    Any,
    /// A text, else an error.
    Str,
    /// Anything as text: bytes in hex, lists and maps as JSON. Nothing stays nothing.
    StrLike,
    /// A whole number, else an error.
    IntVal,
    /// A number with a fraction, else an error.
    FloatVal,
    /// Anything that can be read as a number with a fraction; nothing stays nothing.
    FloatLike,
    /// A truth value, else an error.
    BoolVal,
    /// A map, else an error.
    Map,
    /// A list, else an error.
    List,
    /// A time, else an error.
    Time,
    /// A duration, else an error.
    Duration,
}

/// What is checked when a statement is read; the text says what is wrong.
pub type Check = fn(&[Argument]) -> Result<(), String>;
/// What makes the arguments that a function runs with; the text says what is wrong.
pub type Prepare = fn(Vec<Argument>, &PatternCache) -> Result<Vec<Argument>, String>;
/// What a converter does.
pub type Convert = for<'a> fn(&mut Args<'a>) -> Result<Val<'a>, DataError>;
/// What a converter does that looks at the item.
pub type ConvertIn = for<'a> fn(&mut Args<'a>, &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError>;
/// What an editor does.
pub type Edit = for<'a> fn(&mut Args<'a>, &mut Frame<'_, 'a>) -> Result<(), DataError>;

/// What a function does.
#[derive(Clone, Copy)]
pub enum Run {
    /// A converter: its result follows from its arguments.
    Convert(Convert),
    /// A converter that looks at the item.
    ConvertIn(ConvertIn),
    /// An editor.
    Edit(Edit),
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Convert(_) => "Convert",
            Self::ConvertIn(_) => "ConvertIn",
            Self::Edit(_) => "Edit",
        })
    }
}

impl Function {
    /// A converter.
    #[must_use]
    pub const fn converter(name: &'static str, params: &'static [Param], run: Convert) -> Self {
        Self { name, params, contexts: &[], run: Run::Convert(run), check: None, prepare: None, folds: false, grows: false }
    }

    /// A converter that looks at the item.
    #[must_use]
    pub const fn converter_in(name: &'static str, params: &'static [Param], run: ConvertIn) -> Self {
        Self { name, params, contexts: &[], run: Run::ConvertIn(run), check: None, prepare: None, folds: false, grows: false }
    }

    /// An editor.
    #[must_use]
    pub const fn editor(name: &'static str, params: &'static [Param], run: Edit) -> Self {
        Self { name, params, contexts: &[], run: Run::Edit(run), check: None, prepare: None, folds: false, grows: false }
    }

    /// The function with a check of its literal arguments.
    #[must_use]
    pub const fn checked(self, check: Check) -> Self {
        Self { check: Some(check), ..self }
    }

    /// The function with arguments that are made when a statement is read.
    #[must_use]
    pub const fn prepared(self, prepare: Prepare) -> Self {
        Self { prepare: Some(prepare), ..self }
    }

    /// The function in these contexts only.
    #[must_use]
    pub const fn only_in(self, contexts: &'static [Context]) -> Self {
        Self { contexts, ..self }
    }

    /// The function, called only when its result is needed.
    #[must_use]
    pub const fn growing(self) -> Self {
        Self { grows: true, ..self }
    }

    /// The function, converted at once where its arguments are literal.
    #[must_use]
    pub const fn folded(self) -> Self {
        Self { folds: true, ..self }
    }
}

impl Param {
    /// A parameter that must be given.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, optional: false }
    }

    /// A parameter that may be left out.
    #[must_use]
    pub const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, optional: true }
    }
}

/// An argument as it stands in a statement.
#[derive(Debug)]
pub enum Argument {
    /// Left out.
    Missing,
    /// An expression.
    Value(Expression, Kind),
    /// A list of expressions.
    Values(Vec<Expression>),
    /// A literal text.
    Text(String),
    /// A literal whole number.
    Int(i64),
    /// A literal number.
    Float(f64),
    /// A literal truth value.
    Bool(bool),
    /// A literal list of texts.
    Texts(Vec<String>),
    /// A regular expression.
    Pattern(Regex),
    /// A converter.
    Function(&'static Function),
    /// A path that is written.
    Target(Place),
}

impl Argument {
    /// What of it is there before any data; a value only if it is a literal.
    pub(crate) fn literal(&self) -> Option<Result<Given<'_>, DataError>> {
        Some(Ok(match self {
            // A pattern takes from what a payload may spend.
            Self::Value(_, Kind::Pattern) => return None,
            Self::Value(expression, kind) => return expression.literal().map(|value| given(value, *kind)),
            Self::Values(items) => Given::Vals(items.iter().map(Expression::literal).collect::<Option<_>>()?),
            Self::Missing => Given::Missing,
            Self::Text(text) => Given::Text(text),
            Self::Int(value) => Given::Int(*value),
            Self::Float(value) => Given::Float(*value),
            Self::Bool(value) => Given::Bool(*value),
            Self::Texts(texts) => Given::Texts(texts),
            Self::Pattern(pattern) => Given::Pattern(pattern),
            Self::Function(function) => Given::Function(function),
            Self::Target(place) => Given::Target(place),
        }))
    }
}

/// An argument that a function gets.
#[derive(Debug)]
pub enum Given<'a> {
    /// Left out.
    Missing,
    /// A value, checked or converted as its parameter says.
    Val(Val<'a>),
    /// A list of values.
    Vals(Vec<Val<'a>>),
    /// A literal text.
    Text(&'a str),
    /// A literal whole number.
    Int(i64),
    /// A literal number.
    Float(f64),
    /// A literal truth value.
    Bool(bool),
    /// A literal list of texts.
    Texts(&'a [String]),
    /// A regular expression.
    Pattern(&'a Regex),
    /// A regular expression that was computed.
    Computed(Arc<Regex>),
    /// A converter.
    Function(&'static Function),
    /// A path that is written.
    Target(&'a Place),
}

/// The arguments of a call, in the order of the parameters.
#[derive(Debug)]
pub struct Args<'a>(pub Vec<Given<'a>>);

/// A function asked for an argument that its parameters don't have: a fault of its own.
const NO_ARGUMENT: DataError = DataError("an argument is missing");

impl<'a> Args<'a> {
    /// Takes a value out; nothing where it was left out.
    pub fn take(&mut self, at: usize) -> Val<'a> {
        match self.0.get_mut(at) {
            Some(Given::Val(value)) => std::mem::replace(value, Val::NIL),
            Some(Given::Text(text)) => Val::text(*text),
            _ => Val::NIL,
        }
    }

    /// Takes a list of values out.
    pub fn take_list(&mut self, at: usize) -> Vec<Val<'a>> {
        match self.0.get_mut(at) {
            Some(Given::Vals(values)) => std::mem::take(values),
            Some(Given::Val(Val::Value(Value::List(items)))) => std::mem::take(items).into_iter().map(Val::Value).collect(),
            _ => Vec::new(),
        }
    }

    /// Takes a map out.
    pub fn take_map(&mut self, at: usize) -> Map<'a> {
        match self.0.get_mut(at) {
            Some(Given::Val(Val::Value(Value::Map(map)))) => std::mem::take(map),
            _ => Map::default(),
        }
    }

    /// A value.
    #[must_use]
    pub fn val(&self, at: usize) -> &Val<'a> {
        match self.0.get(at) {
            Some(Given::Val(value)) => value,
            _ => &Val::NIL,
        }
    }

    /// Whether the argument was left out.
    #[must_use]
    pub fn is_missing(&self, at: usize) -> bool {
        matches!(self.0.get(at), None | Some(Given::Missing))
    }

    /// A text: a literal one, or a value of that type.
    #[must_use]
    pub fn text(&self, at: usize) -> Option<&str> {
        match self.0.get(at) {
            Some(Given::Text(text)) => Some(text),
            Some(Given::Val(Val::Value(Value::String(text)))) => Some(text),
            _ => None,
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// It is of another type.
    pub fn string(&self, at: usize) -> Result<&str, DataError> {
        self.text(at).ok_or(DataError("expected a text"))
    }

    /// A whole number: a literal one, or a value of that type.
    #[must_use]
    pub fn int(&self, at: usize) -> Option<i64> {
        match self.0.get(at) {
            Some(Given::Int(value) | Given::Val(Val::Value(Value::Int(value)))) => Some(*value),
            _ => None,
        }
    }

    /// A number: a literal one, or a value of that type.
    #[must_use]
    pub fn float(&self, at: usize) -> Option<f64> {
        match self.0.get(at) {
            Some(Given::Float(value) | Given::Val(Val::Value(Value::Double(value)))) => Some(*value),
            _ => None,
        }
    }

    /// A truth value: a literal one, or a value of that type.
    #[must_use]
    pub fn bool(&self, at: usize) -> Option<bool> {
        match self.0.get(at) {
            Some(Given::Bool(value) | Given::Val(Val::Value(Value::Bool(value)))) => Some(*value),
            _ => None,
        }
    }

    /// A time.
    #[must_use]
    pub fn time(&self, at: usize) -> Option<Time> {
        match self.0.get(at) {
            Some(Given::Val(Val::Time(time))) => Some(*time),
            _ => None,
        }
    }

    /// A duration in nanoseconds.
    #[must_use]
    pub fn duration_nanos(&self, at: usize) -> Option<i64> {
        match self.0.get(at) {
            Some(Given::Val(Val::Duration(nanos))) => Some(*nanos),
            _ => None,
        }
    }

    /// A literal list of texts; empty where it was left out.
    #[must_use]
    pub fn texts(&self, at: usize) -> &'a [String] {
        match self.0.get(at) {
            Some(Given::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// A regular expression.
    ///
    /// # Errors
    /// There is none.
    pub fn pattern(&self, at: usize) -> Result<&Regex, DataError> {
        match self.0.get(at) {
            Some(Given::Pattern(pattern)) => Ok(pattern),
            Some(Given::Computed(pattern)) => Ok(pattern),
            _ => Err(NO_ARGUMENT),
        }
    }

    /// A converter, if one was given.
    #[must_use]
    pub fn function(&self, at: usize) -> Option<&'static Function> {
        match self.0.get(at) {
            Some(Given::Function(function)) => Some(function),
            _ => None,
        }
    }

    /// The path that is written.
    ///
    /// # Errors
    /// There is none.
    pub fn target(&self, at: usize) -> Result<&'a Place, DataError> {
        match self.0.get(at) {
            Some(Given::Target(place)) => Ok(place),
            _ => Err(NO_ARGUMENT),
        }
    }
}
