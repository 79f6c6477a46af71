//! From the syntax tree to what is evaluated: paths, enums and functions are looked up, literal arguments checked.

use crate::enums;
use crate::error::{DataError, LoadError};
use crate::expression::{Call, Expression, MathOperatorKind, Test, given};
use crate::frame::Context;
use crate::function::{Argument, Function, Kind, Param, Run};
use crate::functions::{self, camel};
use crate::paths::{Place, PlaceKey, find};
use crate::regex::PatternCache;
use crate::syntax::{self, Boolean, Expression as Syntax, Key, Path};
use crate::val::Val;

/// The functions that a component offers: lists of them, all of which are looked through.
pub type FunctionSet = &'static [&'static [Function]];

/// Looks names up for one context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compiler<'p> {
    pub(crate) context: Context,
    pub(crate) functions: FunctionSet,
    pub(crate) patterns: &'p PatternCache,
}

impl Compiler<'_> {
    pub(crate) fn test(self, boolean: &Boolean) -> Result<Test, LoadError> {
        let all = |list: &[Boolean]| list.iter().map(|one| self.test(one)).collect::<Result<Vec<_>, _>>();
        Ok(match boolean {
            Boolean::Or(list) => Test::Or(all(list)?),
            Boolean::And(list) => Test::And(all(list)?),
            Boolean::Not(inner) => Test::Not(Box::new(self.test(inner)?)),
            Boolean::Constant(value) => Test::Constant(*value),
            Boolean::Compare { left, operator, right } => {
                Test::Compare(self.expression(left)?, *operator, self.expression(right)?)
            }
            Boolean::Call(call) => Test::Call(self.call(call)?),
        })
    }

    pub(crate) fn expression(self, syntax: &Syntax) -> Result<Expression, LoadError> {
        Ok(match syntax {
            Syntax::Nil => Expression::Scalar(Val::NIL),
            Syntax::Bool(value) => Expression::Scalar(Val::bool(*value)),
            Syntax::Int(value) => Expression::Scalar(Val::int(*value)),
            Syntax::Float(value) => Expression::Scalar(Val::double(*value)),
            Syntax::Text(text) => Expression::Text(text.clone()),
            Syntax::Bytes(bytes) => Expression::Bytes(bytes.clone()),
            Syntax::Symbol(column, name) => match enums::value(self.context, name) {
                Some(value) => Expression::Scalar(Val::int(value)),
                None => return Err(LoadError::at(*column, format!("`{name}` is no name of an enum here"))),
            },
            Syntax::List(items) => Expression::List(items.iter().map(|item| self.expression(item)).collect::<Result<_, _>>()?),
            Syntax::Map(entries) => {
                let entry = |(key, value): &(String, Syntax)| Ok((key.clone(), self.expression(value)?));
                Expression::Map(entries.iter().map(entry).collect::<Result<_, LoadError>>()?)
            }
            Syntax::Path(path) => Expression::Place(self.place(path)?),
            Syntax::Call(call) => known(self.call(call)?),
            Syntax::Negate(inner) => Expression::Negate(Box::new(self.expression(inner)?)),
            Syntax::Math { left, operator, right } => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                Expression::Math(Box::new(left), MathOperatorKind(*operator), Box::new(right))
            }
        })
    }

    /// A path: its first segment may name a context.
    pub(crate) fn place(self, path: &Path) -> Result<Place, LoadError> {
        let named = match path.segments.as_slice() {
            [first, _, ..] if first.keys.is_empty() => self.named_context(&first.name),
            _ => None,
        };
        let segments = path.segments.get(usize::from(named.is_some())..).unwrap_or_default();
        let context = named.unwrap_or(self.context);
        let name = segments.iter().map(|segment| segment.name.as_str()).collect::<Vec<_>>().join(".");
        let Some((root, access)) = find(context, &name) else {
            let whole = path.segments.iter().map(|segment| segment.name.as_str()).collect::<Vec<_>>().join(".");
            let context = context.name();
            return Err(LoadError::at(path.column, format!("`{whole}` is no path in the context {context}")));
        };
        let (last, others) = segments.split_last().ok_or_else(|| LoadError::at(path.column, "an empty path"))?;
        if others.iter().any(|segment| !segment.keys.is_empty()) {
            return Err(LoadError::at(path.column, format!("only the end of `{name}` can be indexed")));
        }
        if !last.keys.is_empty() && !access.form.is_indexed() {
            return Err(LoadError::at(path.column, format!("`{name}` can't be indexed")));
        }
        Ok(Place { context, root, access, keys: self.keys(&last.keys)? })
    }

    /// The context that a path's first segment names, if this one sees it.
    fn named_context(self, name: &str) -> Option<Context> {
        let mut context = Some(self.context);
        while let Some(known) = context {
            // The older name of the scope is known below it only.
            if known.name() == name || (known == Context::Scope && self.context != known && name == "instrumentation_scope") {
                return Some(known);
            }
            context = known.parent();
        }
        None
    }

    fn keys(self, keys: &[Key]) -> Result<Vec<PlaceKey>, LoadError> {
        let key = |Key(key): &Key| {
            Ok(match key {
                Syntax::Text(text) => PlaceKey::Text(text.clone()),
                Syntax::Int(number) => PlaceKey::Int(*number),
                other => PlaceKey::Computed(self.expression(other)?),
            })
        };
        keys.iter().map(key).collect()
    }

    /// A call of a function that this context has.
    pub(crate) fn call(self, call: &syntax::Call) -> Result<Call, LoadError> {
        let function = self.function(&call.name);
        let Some(function) = function else {
            let message = match functions::REFUSED.iter().find(|(name, _)| *name == call.name) {
                Some((name, reason)) => format!("`{name}` is not supported here: {reason}"),
                None => format!("there is no function `{}`", call.name),
            };
            return Err(LoadError::at(call.column, message));
        };
        if !function.contexts.is_empty() && !function.contexts.contains(&self.context) {
            let (name, context) = (&call.name, self.context.name());
            return Err(LoadError::at(call.column, format!("there is no function `{name}` in the context {context}")));
        }
        let mut arguments = self.arguments(call, function)?;
        let refused = |message: String| LoadError::at(call.column, format!("{}: {message}", call.name));
        if let Some(check) = function.check {
            check(&arguments).map_err(refused)?;
        }
        if let Some(prepare) = function.prepare {
            arguments = prepare(arguments, self.patterns).map_err(refused)?;
        }
        let keys = self.keys(&call.keys)?;
        let compiled = Call { function, arguments, keys };
        if function.folds
            && compiled.arguments.iter().all(is_plain)
            && let Some(Err(error)) = compiled.literal()
        {
            return Err(LoadError::at(call.column, format!("{}: {error}", call.name)));
        }
        Ok(compiled)
    }

    fn function(self, name: &str) -> Option<&'static Function> {
        self.functions.iter().flat_map(|list| list.iter()).find(|function| function.name == name)
    }

    fn arguments(self, call: &syntax::Call, function: &'static Function) -> Result<Vec<Argument>, LoadError> {
        let params = function.params;
        if call.arguments.len() > params.len() {
            let (given, most) = (call.arguments.len(), params.len());
            return Err(LoadError::at(call.column, format!("`{}` takes at most {most} arguments, not {given}", call.name)));
        }
        let mut placed: Vec<Option<&syntax::Argument>> = vec![None; params.len()];
        for (at, argument) in call.arguments.iter().enumerate() {
            let place = match &argument.name {
                None => at,
                Some(name) => params.iter().position(|param| is_name_of(name, param.name)).ok_or_else(|| {
                    let names = params.iter().map(|param| param.name).collect::<Vec<_>>().join(", ");
                    LoadError::at(argument.column, format!("`{}` has no parameter `{name}`: {names}", call.name))
                })?,
            };
            if let Some(slot) = placed.get_mut(place)
                && slot.replace(argument).is_some()
            {
                return Err(LoadError::at(argument.column, "this argument is given twice"));
            }
        }
        let missing = params.iter().zip(&placed).find(|(param, given)| given.is_none() && !param.optional);
        if let Some((param, _)) = missing {
            return Err(LoadError::at(call.column, format!("`{}` lacks the argument `{}`", call.name, param.name)));
        }
        let both = params.iter().zip(placed);
        both.map(|(param, given)| given.map_or(Ok(Argument::Missing), |given| self.argument(given, *param))).collect()
    }

    fn argument(self, argument: &syntax::Argument, param: Param) -> Result<Argument, LoadError> {
        let wrong = |what: &str| LoadError::at(argument.column, format!("`{}` must be {what}", param.name));
        Ok(match (param.kind, &argument.value) {
            (Kind::Target, Syntax::Path(path)) => Argument::Target(self.place(path)?),
            (Kind::Target, _) => return Err(wrong("a path")),
            (Kind::Text, Syntax::Text(text)) => Argument::Text(text.clone()),
            (Kind::Glob, Syntax::Text(glob)) => Argument::Pattern(
                functions::compile_glob(glob, self.patterns)
                    .map_err(|error| LoadError::at(argument.column, format!("invalid pattern `{glob}`: {error}")))?,
            ),
            (Kind::Text | Kind::Glob, _) => return Err(wrong("a text in quotes")),
            (Kind::Int, Syntax::Int(value)) => Argument::Int(*value),
            (Kind::Int, _) => return Err(wrong("a whole number")),
            (Kind::Float, Syntax::Float(value)) => Argument::Float(*value),
            #[expect(clippy::cast_precision_loss, reason = "what Go's conversion does too")]
            (Kind::Float, Syntax::Int(value)) => Argument::Float(*value as f64),
            (Kind::Float, _) => return Err(wrong("a number")),
            (Kind::Bool, Syntax::Bool(value)) => Argument::Bool(*value),
            (Kind::Bool, _) => return Err(wrong("true or false")),
            (Kind::Texts, Syntax::List(items)) => {
                let text =
                    |item: &Syntax| if let Syntax::Text(text) = item { Ok(text.clone()) } else { Err(wrong("a list of texts")) };
                Argument::Texts(items.iter().map(text).collect::<Result<_, _>>()?)
            }
            (Kind::Texts, _) => return Err(wrong("a list of texts")),
            (Kind::Values, Syntax::List(items)) => {
                Argument::Values(items.iter().map(|item| self.expression(item)).collect::<Result<_, _>>()?)
            }
            (Kind::Pattern, Syntax::Text(pattern)) => {
                Argument::Pattern(self.patterns.compile(pattern).map_err(|error| {
                    LoadError::at(argument.column, format!("invalid regular expression `{pattern}`: {error}"))
                })?)
            }
            (Kind::Function, Syntax::Symbol(column, name)) => {
                let function = self.function(name).filter(|function| can_be_argument(function));
                Argument::Function(function.ok_or_else(|| {
                    LoadError::at(*column, format!("`{name}` is no function of one text that can be an argument"))
                })?)
            }
            (Kind::Function, _) => return Err(wrong("the name of a function")),
            (kind, value) => {
                let expression = self.expression(value)?;
                literal_fits(&expression, kind).map_err(|error| wrong_value(argument.column, param.name, error))?;
                Argument::Value(expression, kind)
            }
        })
    }
}

/// Whether an argument is left out, or itself a literal: what comes out of a function is data to the Collector.
const fn is_plain(argument: &Argument) -> bool {
    matches!(argument, Argument::Missing | Argument::Value(Expression::Scalar(_) | Expression::Text(_), _))
}

/// A call that comes to the same for all data is made at once. One that fails stays: it is an error of each item.
fn known(call: Call) -> Expression {
    match call.literal().and_then(Result::ok).map(Val::into_owned) {
        // There may be many in a configuration, and all are held.
        Some(value) if !matches!(&value, Val::Value(value) if !functions::is_small(value)) => Expression::Known(call, value),
        _ => Expression::Call(call),
    }
}

fn wrong_value(column: usize, name: &str, error: DataError) -> LoadError {
    LoadError::at(column, format!("`{name}`: {error}"))
}

/// Whether a literal is what a parameter takes; it never will be what it isn't now.
fn literal_fits(expression: &Expression, kind: Kind) -> Result<(), DataError> {
    match expression {
        Expression::Scalar(value) if !value.is_nil() => given(value.clone(), kind).map(|_| ()),
        Expression::Text(text) => given(Val::text(text.as_str()), kind).map(|_| ()),
        _ => Ok(()),
    }
}

/// Whether an argument's name is that of a parameter: `regexPattern` is `regex_pattern` too, as in the Collector.
fn is_name_of(argument: &str, param: &str) -> bool {
    argument == param || camel(argument) == camel(param)
}

/// Whether a function may be another's argument: it takes one text. One that takes anything makes the Collector panic.
fn can_be_argument(function: &Function) -> bool {
    let first = function.params.first().is_some_and(|param| matches!(param.kind, Kind::Str | Kind::StrLike));
    first && matches!(function.run, Run::Convert(_)) && function.params.iter().skip(1).all(|param| param.optional)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::TRANSFORM;
    use crate::regex::PatternCache;

    fn value(text: &str) -> Argument {
        let compiler = Compiler { context: Context::Span, functions: TRANSFORM, patterns: &PatternCache::default() };
        let statement = syntax::statement(&format!("set(attributes[\"x\"], {text})")).unwrap();
        compiler.call(&statement.editor).unwrap().arguments.pop().unwrap()
    }

    #[test]
    fn what_follows_from_literals_alone_is_computed_when_the_statement_is_read() {
        let literal = [
            "Duration(\"1h\")",
            "Hours(Duration(\"90m\"))",
            "Concat([\"a\", 1, nil], \"-\")",
            "ToUpperCase(\"abc\")",
            "Sort([3, \"b\", 1.5])",
            "Keys({\"a\": Int(\"1\")})",
        ];
        for text in literal {
            assert!(matches!(value(text), Argument::Value(Expression::Known(..), _)), "{text}");
        }
        let Argument::Value(Expression::Known(_, hours), _) = value("Hours(Duration(\"90m\"))") else { panic!() };
        assert_eq!(hours, Val::double(1.5));
    }

    #[test]
    fn what_depends_on_data_or_time_or_fails_or_is_large_is_computed_where_it_runs() {
        let large = format!("Concat([\"{}\"], \"\")", "x".repeat(1_000));
        let others = [
            "Now()",
            "ToUpperCase(name)",
            "Concat([\"a\", name], \"-\")",
            "Format(\"%900000d\", [1])",
            "ParseJSON(\"{\")",
            // Only what is written as a literal is an error when it is read.
            "Int(ToUpperCase(\"x\"))",
        ];
        for text in others.into_iter().chain([large.as_str()]) {
            assert!(matches!(value(text), Argument::Value(Expression::Call(..), _)), "{text}");
        }
    }
}
