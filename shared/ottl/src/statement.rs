//! Statements and conditions, and the context that a group of them is about.

use spanlake_otlp::tree::Want;

use crate::compile::{Compiler, FunctionSet};
use crate::error::{DataError, LoadError};
use crate::expression::{Call, Expression as Literal, Test};
use crate::frame::{Context, Frame};
use crate::function::Argument;
use crate::paths::Place;
use crate::regex::PatternCache;
use crate::syntax::{self, Boolean, Expression};

/// An editor with its `where`, ready to run.
#[derive(Debug)]
pub struct Statement {
    editor: Call,
    condition: Option<Test>,
}

/// A condition, ready to be asked.
#[derive(Debug)]
pub struct Condition(Test);

impl Statement {
    /// Reads a statement of a context.
    ///
    /// # Errors
    /// Syntax, or names that this context does not have; with the column.
    pub fn new(text: &str, context: Context, functions: FunctionSet, patterns: &PatternCache) -> Result<Self, LoadError> {
        let syntax = syntax::statement(text)?;
        let compiler = Compiler { context, functions, patterns };
        let editor = compiler.call(&syntax.editor)?;
        let condition = syntax.condition.map(|condition| compiler.test(&condition)).transpose()?;
        Ok(Self { editor, condition })
    }

    /// Runs the statement; whether its condition held.
    ///
    /// # Errors
    /// Of the condition or the editor; what the editor did before stays.
    pub fn run<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<bool, DataError> {
        if let Some(condition) = &self.condition
            && !condition.eval(frame)?
        {
            return Ok(false);
        }
        self.editor.edit(frame)?;
        Ok(true)
    }

    /// The fields that it looks at.
    #[must_use]
    pub fn wants(&self) -> Want {
        let mut want = Want::default();
        self.editor.wants(&mut want);
        self.condition.iter().for_each(|condition| condition.wants(&mut want));
        want
    }

    /// The editor's name.
    #[must_use]
    pub const fn editor(&self) -> &'static str {
        self.editor.function.name
    }

    /// The path that the editor writes, if it has one.
    #[must_use]
    pub fn target(&self) -> Option<&Place> {
        self.editor.arguments.iter().find_map(|argument| match argument {
            Argument::Target(place) => Some(place),
            _ => None,
        })
    }

    /// The text that the editor sets or puts in: its literal argument `value`. Nothing counts as the empty text.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        self.editor.arguments.iter().find_map(|argument| match argument {
            Argument::Value(Literal::Text(text), _) => Some(text.as_str()),
            Argument::Value(Literal::Scalar(value), _) if value.is_nil() => Some(""),
            _ => None,
        })
    }

    /// Names of all functions in it, the editor's first.
    #[must_use]
    pub fn functions(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        self.editor.names(&mut names);
        names
    }
}

impl Condition {
    /// Reads a condition of a context.
    ///
    /// # Errors
    /// Syntax, or names that this context does not have; with the column.
    pub fn new(text: &str, context: Context, functions: FunctionSet, patterns: &PatternCache) -> Result<Self, LoadError> {
        let syntax = syntax::condition(text)?;
        Ok(Self(Compiler { context, functions, patterns }.test(&syntax)?))
    }

    /// The fields that it looks at.
    #[must_use]
    pub fn wants(&self) -> Want {
        let mut want = Want::default();
        self.0.wants(&mut want);
        want
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// See the functions.
    pub fn holds<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<bool, DataError> {
        self.0.eval(frame)
    }
}

/// The order in which a context is looked for among the paths of a group.
const ORDER: [Context; 8] = [
    Context::Log,
    Context::Exemplar,
    Context::DataPoint,
    Context::Metric,
    Context::SpanEvent,
    Context::Span,
    Context::Scope,
    Context::Resource,
];

/// The context of a group: the lowest that its paths name, if it sees all the others. `None` where no path names one, or
/// a text has another syntax, which reading it will tell.
#[must_use]
pub fn infer(statements: &[&str], conditions: &[&str], allowed: &[Context]) -> Option<Context> {
    let mut named = Vec::new();
    for text in statements {
        let Ok(statement) = syntax::statement(text) else { continue };
        statement.editor.arguments.iter().for_each(|argument| in_expression(&argument.value, &mut named));
        statement.condition.iter().for_each(|condition| in_boolean(condition, &mut named));
    }
    for text in conditions {
        let Ok(condition) = syntax::condition(text) else { continue };
        in_boolean(&condition, &mut named);
    }
    ORDER.into_iter().find(|context| allowed.contains(context) && named.contains(context))
}

fn in_boolean(boolean: &Boolean, named: &mut Vec<Context>) {
    match boolean {
        Boolean::Or(list) | Boolean::And(list) => list.iter().for_each(|one| in_boolean(one, named)),
        Boolean::Not(inner) => in_boolean(inner, named),
        Boolean::Constant(_) => {}
        Boolean::Compare { left, right, .. } => {
            in_expression(left, named);
            in_expression(right, named);
        }
        Boolean::Call(call) => call.arguments.iter().for_each(|argument| in_expression(&argument.value, named)),
    }
}

fn in_expression(expression: &Expression, named: &mut Vec<Context>) {
    match expression {
        Expression::Path(path) => {
            if let [first, _, ..] = path.segments.as_slice() {
                let scope = (first.name == "instrumentation_scope").then_some(Context::Scope);
                named.extend(ORDER.into_iter().find(|context| context.name() == first.name).or(scope));
            }
            let keys = path.segments.iter().flat_map(|segment| &segment.keys);
            keys.for_each(|key| in_expression(&key.0, named));
        }
        Expression::Call(call) => {
            call.arguments.iter().for_each(|argument| in_expression(&argument.value, named));
            call.keys.iter().for_each(|key| in_expression(&key.0, named));
        }
        Expression::List(items) => items.iter().for_each(|item| in_expression(item, named)),
        Expression::Map(entries) => entries.iter().for_each(|(_, value)| in_expression(value, named)),
        Expression::Negate(inner) => in_expression(inner, named),
        Expression::Math { left, right, .. } => {
            in_expression(left, named);
            in_expression(right, named);
        }
        _ => {}
    }
}
