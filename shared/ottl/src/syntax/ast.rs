//! The syntax tree.

/// An editor and when it runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) editor: Call,
    pub(crate) condition: Option<Boolean>,
}

/// A call of an editor or a converter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) column: usize,
    pub(crate) name: String,
    pub(crate) arguments: Vec<Argument>,
    /// What is taken out of the result: `Split(name, " ")[0]`.
    pub(crate) keys: Vec<Key>,
}

/// An argument, by place or by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    pub(crate) column: usize,
    pub(crate) name: Option<String>,
    pub(crate) value: Expression,
}

/// A truth value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Boolean {
    Or(Vec<Boolean>),
    And(Vec<Boolean>),
    Not(Box<Boolean>),
    Constant(bool),
    Compare { left: Expression, operator: Operator, right: Expression },
    Call(Call),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// A name that begins with a capital and is not called: an enum's symbol, or a function as an argument.
    Symbol(usize, String),
    List(Vec<Expression>),
    Map(Vec<(String, Expression)>),
    Path(Path),
    Call(Call),
    Negate(Box<Expression>),
    Math {
        left: Box<Expression>,
        operator: MathOperator,
        right: Box<Expression>,
    },
}

/// What is done with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MathOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// A place in the telemetry: `resource.attributes["a"]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) column: usize,
    pub(crate) segments: Vec<Segment>,
}

/// A part of a path between dots.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) keys: Vec<Key>,
}

/// What stands in brackets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key(pub(crate) Expression);
