//! Recursive descent over the tokens.

use super::ast::{Argument, Boolean, Call, Expression, Key, MathOperator, Operator, Path, Segment, Statement};
use super::lexer::{Kind, Token, tokens};
use crate::error::LoadError;

/// The longest statement or condition.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// How deep expressions are nested.
const DEPTH_MAX: usize = 48;
/// How many operators of arithmetic a text holds: each makes a tree one level deeper.
const OPERATORS_MAX: usize = 256;

/// Reads an editor's call with its `where`.
pub(crate) fn statement(text: &str) -> Result<Statement, LoadError> {
    let mut parser = Parser::new(text)?;
    let column = parser.column();
    let name = match parser.take() {
        Some(Kind::Lower(name)) => name,
        Some(Kind::Upper(name)) => {
            return Err(LoadError::at(column, format!("an editor's name begins with a lower-case letter, not as in `{name}`")));
        }
        _ => return Err(LoadError::at(column, "expected the name of an editor, such as `set`")),
    };
    let arguments = parser.arguments()?;
    let editor = Call { column, name, arguments, keys: Vec::new() };
    let condition = if parser.eat_word("where") { Some(parser.boolean()?) } else { None };
    parser.end()?;
    Ok(Statement { editor, condition })
}

/// Reads a condition.
pub(crate) fn condition(text: &str) -> Result<Boolean, LoadError> {
    let mut parser = Parser::new(text)?;
    let condition = parser.boolean()?;
    parser.end()?;
    Ok(condition)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    operators: usize,
    length: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, LoadError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(LoadError::at(1, format!("longer than {TEXT_BYTES_MAX} bytes")));
        }
        Ok(Self { tokens: tokens(text)?, at: 0, depth: 0, operators: 0, length: text.len() })
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn peek_second(&self) -> Option<&Kind> {
        self.tokens.get(self.at + 1).map(|token| &token.kind)
    }

    fn take(&mut self) -> Option<Kind> {
        let kind = self.peek().cloned();
        self.at += 1;
        kind
    }

    fn column(&self) -> usize {
        self.tokens.get(self.at).map_or(self.length + 1, |token| token.column)
    }

    fn is_mark(&self, mark: &str) -> bool {
        matches!(self.peek(), Some(Kind::Mark(found)) if *found == mark)
    }

    fn eat(&mut self, mark: &str) -> bool {
        let found = self.is_mark(mark);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Lower(found)) if found == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), LoadError> {
        if self.eat(mark) { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> LoadError {
        let found = self.peek().map_or_else(|| "the end".to_owned(), Kind::describe);
        LoadError::at(self.column(), format!("expected {wanted}, found {found}"))
    }

    fn end(&self) -> Result<(), LoadError> {
        if self.at >= self.tokens.len() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, LoadError>) -> Result<T, LoadError> {
        if self.depth >= DEPTH_MAX {
            return Err(LoadError::at(self.column(), format!("nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn boolean(&mut self) -> Result<Boolean, LoadError> {
        self.deeper(|parser| {
            let first = parser.conjunction()?;
            let mut all = vec![first];
            while parser.eat_word("or") {
                all.push(parser.conjunction()?);
            }
            Ok(if all.len() == 1 { all.swap_remove(0) } else { Boolean::Or(all) })
        })
    }

    fn conjunction(&mut self) -> Result<Boolean, LoadError> {
        let first = self.factor()?;
        let mut all = vec![first];
        while self.eat_word("and") {
            all.push(self.factor()?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Boolean::And(all) })
    }

    fn factor(&mut self) -> Result<Boolean, LoadError> {
        let negated = self.eat_word("not");
        let start = self.at;
        let value = match self.comparison() {
            Ok(comparison) => comparison,
            Err(error) => {
                let reached = self.at;
                self.at = start;
                // Of two readings that both fail, the one that came further tells more.
                self.other_boolean().map_err(|other| if reached > self.at { error } else { other })?
            }
        };
        Ok(if negated { Boolean::Not(Box::new(value)) } else { value })
    }

    fn comparison(&mut self) -> Result<Boolean, LoadError> {
        let left = self.expression()?;
        let operator = match self.peek() {
            Some(Kind::Mark("==")) => Operator::Equal,
            Some(Kind::Mark("!=")) => Operator::NotEqual,
            Some(Kind::Mark("<")) => Operator::Less,
            Some(Kind::Mark("<=")) => Operator::LessOrEqual,
            Some(Kind::Mark(">")) => Operator::Greater,
            Some(Kind::Mark(">=")) => Operator::GreaterOrEqual,
            _ => return Err(self.unexpected("a comparison")),
        };
        self.at += 1;
        let right = self.expression()?;
        Ok(Boolean::Compare { left, operator, right })
    }

    fn other_boolean(&mut self) -> Result<Boolean, LoadError> {
        if self.eat_word("true") {
            return Ok(Boolean::Constant(true));
        }
        if self.eat_word("false") {
            return Ok(Boolean::Constant(false));
        }
        if self.eat("(") {
            let inner = self.boolean()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if let (Some(Kind::Upper(_)), Some(Kind::Mark("("))) = (self.peek(), self.peek_second()) {
            return Ok(Boolean::Call(self.call()?));
        }
        Err(self.unexpected("a condition"))
    }

    fn expression(&mut self) -> Result<Expression, LoadError> {
        self.deeper(|parser| {
            let mut left = parser.product()?;
            loop {
                let operator = if parser.eat("+") {
                    MathOperator::Add
                } else if parser.eat("-") {
                    MathOperator::Subtract
                } else {
                    return Ok(left);
                };
                parser.count_operator()?;
                let right = parser.product()?;
                left = Expression::Math { left: Box::new(left), operator, right: Box::new(right) };
            }
        })
    }

    fn count_operator(&mut self) -> Result<(), LoadError> {
        self.operators += 1;
        if self.operators > OPERATORS_MAX {
            return Err(LoadError::at(self.column(), format!("more than {OPERATORS_MAX} operators")));
        }
        Ok(())
    }

    fn product(&mut self) -> Result<Expression, LoadError> {
        let mut left = self.primary()?;
        loop {
            let operator = if self.eat("*") {
                MathOperator::Multiply
            } else if self.eat("/") {
                MathOperator::Divide
            } else {
                return Ok(left);
            };
            self.count_operator()?;
            let right = self.primary()?;
            left = Expression::Math { left: Box::new(left), operator, right: Box::new(right) };
        }
    }

    fn primary(&mut self) -> Result<Expression, LoadError> {
        let column = self.column();
        match self.peek() {
            Some(Kind::Mark("-")) => {
                self.at += 1;
                self.deeper(|parser| Ok(Expression::Negate(Box::new(parser.primary()?))))
            }
            Some(Kind::Mark("+")) => {
                self.at += 1;
                self.deeper(Self::primary)
            }
            Some(Kind::Mark("(")) => {
                self.at += 1;
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Kind::Mark("[")) => self.list(),
            Some(Kind::Mark("{")) => self.map(),
            Some(Kind::Upper(_)) if matches!(self.peek_second(), Some(Kind::Mark("("))) => Ok(Expression::Call(self.call()?)),
            Some(Kind::Lower(name)) if matches!(self.peek_second(), Some(Kind::Mark("("))) => {
                Err(LoadError::at(column, format!("a converter's name begins with a capital, not as in `{name}`")))
            }
            Some(Kind::Lower(word)) => match word.as_str() {
                "nil" => Ok(self.word(Expression::Nil)),
                "true" => Ok(self.word(Expression::Bool(true))),
                "false" => Ok(self.word(Expression::Bool(false))),
                "not" | "and" | "or" | "where" => Err(self.unexpected("a value")),
                _ => Ok(Expression::Path(self.path()?)),
            },
            _ => match self.take() {
                Some(Kind::Int(value)) => Ok(Expression::Int(value)),
                Some(Kind::Float(value)) => Ok(Expression::Float(value)),
                Some(Kind::Text(text)) => Ok(Expression::Text(text)),
                Some(Kind::Bytes(bytes)) => Ok(Expression::Bytes(bytes)),
                Some(Kind::Upper(name)) => Ok(Expression::Symbol(column, name)),
                _ => {
                    self.at -= 1;
                    Err(self.unexpected("a value"))
                }
            },
        }
    }

    const fn word(&mut self, value: Expression) -> Expression {
        self.at += 1;
        value
    }

    fn list(&mut self) -> Result<Expression, LoadError> {
        self.expect("[")?;
        let mut items = Vec::new();
        while !self.eat("]") {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(self.expression()?);
        }
        Ok(Expression::List(items))
    }

    fn map(&mut self) -> Result<Expression, LoadError> {
        self.expect("{")?;
        let mut entries = Vec::new();
        while !self.eat("}") {
            if !entries.is_empty() {
                self.expect(",")?;
            }
            let Some(Kind::Text(key)) = self.peek().cloned() else { return Err(self.unexpected("a key in quotes")) };
            self.at += 1;
            self.expect(":")?;
            entries.push((key, self.expression()?));
        }
        Ok(Expression::Map(entries))
    }

    fn call(&mut self) -> Result<Call, LoadError> {
        let column = self.column();
        let Some(Kind::Upper(name)) = self.take() else { return Err(self.unexpected("a converter")) };
        let arguments = self.arguments()?;
        let keys = self.keys()?;
        Ok(Call { column, name, arguments, keys })
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, LoadError> {
        self.expect("(")?;
        let mut arguments: Vec<Argument> = Vec::new();
        while !self.eat(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            let column = self.column();
            let name = match (self.peek(), self.peek_second()) {
                (Some(Kind::Lower(name)), Some(Kind::Mark("="))) => Some(name.clone()),
                _ => None,
            };
            if name.is_some() {
                self.at += 2;
            } else if arguments.iter().any(|argument| argument.name.is_some()) {
                return Err(LoadError::at(column, "an argument without a name behind one with a name"));
            }
            arguments.push(Argument { column, name, value: self.expression()? });
        }
        Ok(arguments)
    }

    fn path(&mut self) -> Result<Path, LoadError> {
        let column = self.column();
        let mut segments = Vec::new();
        loop {
            let Some(Kind::Lower(name)) = self.peek().cloned() else { return Err(self.unexpected("a field's name")) };
            self.at += 1;
            segments.push(Segment { name, keys: self.keys()? });
            if !self.eat(".") {
                return Ok(Path { column, segments });
            }
        }
    }

    fn keys(&mut self) -> Result<Vec<Key>, LoadError> {
        let mut keys = Vec::new();
        while self.eat("[") {
            keys.push(Key(self.expression()?));
            self.expect("]")?;
        }
        Ok(keys)
    }
}
