//! Statements of OTTL.

use super::lexer::{Kind, Token, tokens};

/// How deep lists, maps and calls may nest.
const DEPTH_MAX: u32 = 32;

/// `editor(arguments) where condition`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) editor: String,
    /// Names are set for named arguments.
    pub(crate) arguments: Vec<(Option<String>, Value)>,
    pub(crate) has_condition: bool,
}

/// An argument.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Path(Path),
    /// A bare name in capitals: an enum symbol or a function.
    Symbol(String),
    /// Literals, lists, maps, calls and arithmetic: read, but not used yet. The text says which.
    Other(&'static str),
}

/// `span.attributes["a"]`: names with their keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) fields: Vec<(String, Vec<Key>)>,
}

/// What stands in brackets after a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    Text(String),
    Other,
}

/// Reads a statement.
pub(crate) fn parse_statement(text: &str) -> Result<Statement, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len() + 1 };
    let editor = match parser.next() {
        Some(Kind::Lower(name)) => name.clone(),
        Some(Kind::Upper(name)) => return Err(format!("an editor's name begins with a lower-case letter, not `{name}`")),
        _ => return Err("a statement begins with an editor's name".to_owned()),
    };
    parser.expect("(")?;
    let arguments = parser.arguments(0)?;
    let has_condition = match parser.next() {
        None => false,
        Some(Kind::Lower(word)) if word == "where" && parser.at < tokens.len() => true,
        Some(_) => return Err(parser.unexpected("`where` or the end")),
    };
    Ok(Statement { editor, arguments, has_condition })
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    end: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn next(&mut self) -> Option<&'a Kind> {
        let kind = self.peek();
        self.at += 1;
        kind
    }

    /// The error for the token that was just read.
    fn unexpected(&self, expected: &str) -> String {
        let column = self.tokens.get(self.at.saturating_sub(1)).map_or(self.end, |token| token.column);
        format!("column {column}: expected {expected}")
    }

    fn eat(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Mark(found)) if *found == mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), String> {
        if self.eat(mark) {
            return Ok(());
        }
        self.at += 1;
        Err(self.unexpected(&format!("`{mark}`")))
    }

    /// Arguments up to and with the closing parenthesis.
    fn arguments(&mut self, depth: u32) -> Result<Vec<(Option<String>, Value)>, String> {
        let mut arguments: Vec<(Option<String>, Value)> = Vec::new();
        if self.eat(")") {
            return Ok(arguments);
        }
        loop {
            let named = match (self.peek(), self.tokens.get(self.at + 1).map(|token| &token.kind)) {
                (Some(Kind::Lower(name)), Some(Kind::Mark("="))) => Some(name.clone()),
                _ => None,
            };
            if named.is_some() {
                self.at += 2;
            } else if arguments.last().is_some_and(|(name, _)| name.is_some()) {
                self.at += 1;
                return Err(self.unexpected("a named argument"));
            }
            arguments.push((named, self.value(depth + 1)?));
            if self.eat(")") {
                return Ok(arguments);
            }
            self.expect(",")?;
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err("nested too deep".to_owned());
        }
        let mut value = self.operand(depth)?;
        while let Some(Kind::Mark("+" | "-" | "*" | "/")) = self.peek() {
            self.at += 1;
            self.operand(depth)?;
            value = Value::Other("arithmetic");
        }
        Ok(value)
    }

    fn operand(&mut self, depth: u32) -> Result<Value, String> {
        match self.next() {
            Some(Kind::Text(text)) => Ok(Value::Text(text.clone())),
            Some(Kind::Int(_) | Kind::Float(_)) => Ok(Value::Other("a number")),
            Some(Kind::Bytes) => Ok(Value::Other("a byte literal")),
            Some(Kind::Lower(word)) => match word.as_str() {
                "nil" => Ok(Value::Other("nil")),
                "true" | "false" => Ok(Value::Other("a truth value")),
                _ => self.path(word.clone(), depth).map(Value::Path),
            },
            Some(Kind::Upper(name)) => {
                if !self.eat("(") {
                    return Ok(Value::Symbol(name.clone()));
                }
                self.arguments(depth)?;
                self.keys(depth)?;
                Ok(Value::Other("a function call"))
            }
            Some(Kind::Mark("[")) => {
                self.items("]", false, depth)?;
                Ok(Value::Other("a list"))
            }
            Some(Kind::Mark("{")) => {
                self.items("}", true, depth)?;
                Ok(Value::Other("a map"))
            }
            Some(Kind::Mark("(")) => {
                self.value(depth + 1)?;
                self.expect(")")?;
                Ok(Value::Other("arithmetic"))
            }
            Some(Kind::Mark("-")) => {
                self.operand(depth + 1)?;
                Ok(Value::Other("arithmetic"))
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    fn items(&mut self, close: &'static str, keyed: bool, depth: u32) -> Result<(), String> {
        if self.eat(close) {
            return Ok(());
        }
        loop {
            if keyed {
                let Some(Kind::Text(_)) = self.next() else { return Err(self.unexpected("a key in quotes")) };
                self.expect(":")?;
            }
            self.value(depth + 1)?;
            if self.eat(close) {
                return Ok(());
            }
            self.expect(",")?;
        }
    }

    fn path(&mut self, first: String, depth: u32) -> Result<Path, String> {
        let mut fields = vec![(first, self.keys(depth)?)];
        while self.eat(".") {
            let Some(Kind::Lower(name)) = self.next() else { return Err(self.unexpected("a name in lower case")) };
            fields.push((name.clone(), self.keys(depth)?));
        }
        Ok(Path { fields })
    }

    fn keys(&mut self, depth: u32) -> Result<Vec<Key>, String> {
        let mut keys = Vec::new();
        while self.eat("[") {
            keys.push(match self.value(depth + 1)? {
                Value::Text(text) => Key::Text(text),
                _ => Key::Other,
            });
            self.expect("]")?;
        }
        Ok(keys)
    }
}
