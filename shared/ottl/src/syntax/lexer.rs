//! Tokens of OTTL.

use crate::error::LoadError;

/// A token and the column at which it begins, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) column: usize,
    pub(super) kind: Kind,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Text(String),
    Int(i64),
    Float(f64),
    Bytes(Vec<u8>),
    /// An identifier in lower case; also the words of the language.
    Lower(String),
    /// An identifier that begins with a capital: a converter or an enum symbol.
    Upper(String),
    /// Punctuation and operators.
    Mark(&'static str),
}

impl Kind {
    /// What it is, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Text(text) => format!("\"{text}\""),
            Self::Int(number) => format!("`{number}`"),
            Self::Float(number) => format!("`{number}`"),
            Self::Bytes(_) => "bytes".to_owned(),
            Self::Lower(name) | Self::Upper(name) => format!("`{name}`"),
            Self::Mark(mark) => format!("`{mark}`"),
        }
    }
}

const MARKS: [&str; 20] =
    ["==", "!=", "<=", ">=", "=>", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ".", ":", "+", "-", "*"];

/// Cuts a statement into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, LoadError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let (kind, length) = token(rest, first).map_err(|message| LoadError::at(at + 1, message))?;
        tokens.push(Token { column: at + 1, kind });
        at += length;
    }
    Ok(tokens)
}

/// The value of a hex digit.
const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit & 0xdf) - b'A' + 10,
    }
}

fn token(rest: &str, first: char) -> Result<(Kind, usize), String> {
    let span = |accepts: fn(char) -> bool| rest.find(|letter| !accepts(letter)).unwrap_or(rest.len());
    if first == '"' {
        return quoted(rest);
    }
    if first.is_ascii_alphabetic() {
        let length = span(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let name = rest.get(..length).unwrap_or_default().to_owned();
        return Ok((if first.is_ascii_uppercase() { Kind::Upper(name) } else { Kind::Lower(name) }, length));
    }
    if first.is_ascii_digit() || (first == '.' && rest.get(1..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))) {
        if let Some(digits) = rest.strip_prefix("0x") {
            let length = digits.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(digits.len());
            let (pairs, rest) = digits.get(..length).unwrap_or_default().as_bytes().as_chunks::<2>();
            if !rest.is_empty() || pairs.is_empty() {
                return Err("bytes are written in pairs of hex digits".to_owned());
            }
            let byte = |pair: &[u8; 2]| pair.iter().fold(0, |byte, digit| byte << 4 | hex(*digit));
            return Ok((Kind::Bytes(pairs.iter().map(byte).collect()), length + 2));
        }
        let length = span(|letter| letter.is_ascii_digit() || letter == '.');
        let number = rest.get(..length).unwrap_or_default();
        let kind = number.parse().map(Kind::Int).or_else(|_| number.parse().map(Kind::Float));
        return kind.map(|kind| (kind, length)).map_err(|_| format!("`{number}` is not a number"));
    }
    if first == '/' {
        return Ok((Kind::Mark("/"), 1));
    }
    let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark));
    mark.map(|mark| (Kind::Mark(mark), mark.len())).ok_or_else(|| format!("`{first}` is not expected here"))
}

/// A text in double quotes with Go's escapes.
fn quoted(rest: &str) -> Result<(Kind, usize), String> {
    let mut out = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((Kind::Text(out), at + 1)),
            '\n' => break,
            '\\' => {
                let Some((_, escape)) = letters.next() else { break };
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    '0'..='7' => 3,
                    _ => 0,
                };
                let letter = match escape {
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\u{b}',
                    '\\' | '"' => escape,
                    _ if digits > 0 => {
                        let octal = escape.is_ascii_digit();
                        let mut code = if octal { escape.to_string() } else { String::new() };
                        code.extend(letters.by_ref().take(digits - usize::from(octal)).map(|(_, digit)| digit));
                        let number = u32::from_str_radix(&code, if octal { 8 } else { 16 }).ok().filter(|_| code.len() == digits);
                        let limit = if digits <= 3 { 0x7f } else { u32::MAX };
                        number
                            .filter(|number| *number <= limit)
                            .and_then(char::from_u32)
                            .ok_or_else(|| format!("invalid escape `\\{escape}` in a text"))?
                    }
                    _ => return Err(format!("invalid escape `\\{escape}` in a text; write `\\\\{escape}`")),
                };
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    Err("a text without closing quotes".to_owned())
}
