//! From Go's RE2 syntax to the `regex` crate's.
//!
//! Both are RE2's children; what differs is rewritten (ASCII classes and word boundaries, set operators inside classes,
//! `\Q..\E`, octal escapes, lone braces) or refused where Go refuses it. Unicode mode stays on, so that `.` and literals
//! work on characters.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

/// How large a compiled program may become; more is refused when the configuration is read.
pub(super) const SIZE_MAX_BYTES: usize = 4 << 20;
/// Go's largest repeat count.
const REPEAT_MAX: u32 = 1000;

/// Compiles a Go pattern.
///
/// # Errors
/// A text that says what is wrong: Go's refusals, or the size limit.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    build(&translate(pattern)?, SIZE_MAX_BYTES, SIZE_MAX_BYTES).map_err(|error| describe(&error))
}

/// Compiles what is translated, into a program of at most so many bytes, which unfolds at most so many where it runs.
pub(super) fn build(translated: &str, size_max_bytes: usize, dfa_max_bytes: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(translated).size_limit(size_max_bytes).dfa_size_limit(dfa_max_bytes).build()
}

/// The last line of what the `regex` crate says: the others show the translation.
pub(super) fn describe(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the pattern needs too much memory".to_owned(),
        other => other.to_string().lines().last().unwrap_or("invalid pattern").trim_start_matches("error: ").to_owned(),
    }
}

/// The pattern in the `regex` crate's syntax.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator { rest: pattern, out: String::with_capacity(pattern.len() + 16), after: After::Nothing };
    while let Some(letter) = translator.peek() {
        translator.step(letter)?;
    }
    Ok(translator.out)
}

/// What stands before the present position: decides whether a repetition may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    Atom,
    Repetition,
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
    after: After,
}

impl Translator<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.rest = self.rest.get(letter.len_utf8()..).unwrap_or_default();
        Some(letter)
    }

    fn eat(&mut self, text: &str) -> bool {
        self.rest.strip_prefix(text).is_some_and(|rest| {
            self.rest = rest;
            true
        })
    }

    fn step(&mut self, letter: char) -> Result<(), String> {
        match letter {
            '\\' => {
                self.take();
                self.escape()
            }
            '[' => self.class(),
            '(' => self.group(),
            '*' | '+' | '?' => {
                self.take();
                self.repetition(letter.encode_utf8(&mut [0; 4]))
            }
            '{' => self.braces(),
            _ => {
                self.take();
                match letter {
                    '}' | ']' => {
                        self.out.push('\\');
                        self.out.push(letter);
                    }
                    _ => self.out.push(letter),
                }
                self.after = if letter == '|' { After::Nothing } else { After::Atom };
                Ok(())
            }
        }
    }

    fn repetition(&mut self, operator: &str) -> Result<(), String> {
        match self.after {
            After::Nothing => return Err(format!("missing argument to repetition operator: `{operator}`")),
            After::Repetition => return Err(format!("invalid nested repetition operator: `{operator}`")),
            After::Atom => {}
        }
        self.out.push_str(operator);
        if self.eat("?") {
            self.out.push('?');
        }
        self.after = After::Repetition;
        Ok(())
    }

    /// `{2}`, `{2,}`, `{2,5}`; anything else is a literal brace.
    fn braces(&mut self) -> Result<(), String> {
        let counts = self.rest.get(1..).and_then(|rest| rest.split_once('}')).map(|(inner, _)| inner);
        let parsed = counts.and_then(|inner| {
            let (low, high) = inner.split_once(',').map_or((inner, Some(inner)), |(low, high)| (low, Some(high)));
            let high = high.filter(|high| !high.is_empty());
            let numbers = is_number(low) && high.is_none_or(is_number);
            numbers.then_some((inner, low, high))
        });
        let Some((inner, low, high)) = parsed else {
            self.take();
            self.out.push_str("\\{");
            self.after = After::Atom;
            return Ok(());
        };
        let value = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= REPEAT_MAX);
        let bounds = value(low).zip(high.map_or(Some(REPEAT_MAX), value));
        if bounds.is_none_or(|(low, high)| low > high) {
            return Err(format!("invalid repeat count: `{{{inner}}}`"));
        }
        let operator = format!("{{{inner}}}");
        self.rest = self.rest.get(operator.len()..).unwrap_or_default();
        self.repetition(&operator)
    }

    fn group(&mut self) -> Result<(), String> {
        self.take();
        self.after = After::Nothing;
        if !self.eat("?") {
            self.out.push('(');
            return Ok(());
        }
        let named = self.rest.strip_prefix("P<").or_else(|| self.rest.strip_prefix('<').filter(|r| !r.starts_with(['=', '!'])));
        if let Some(rest) = named {
            let (name, rest) = rest.split_once('>').ok_or("invalid named capture: no `>`")?;
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(format!("invalid named capture: `(?P<{name}>`"));
            }
            self.rest = rest;
            if name.starts_with(|first: char| first.is_ascii_digit()) {
                self.out.push('(');
            } else {
                let _infallible = write!(self.out, "(?P<{name}>");
            }
            return Ok(());
        }
        let end = self.rest.find([':', ')']).ok_or("missing closing )")?;
        let flags = self.rest.get(..end).unwrap_or_default();
        let minus = flags.bytes().filter(|byte| *byte == b'-').count();
        if minus > 1 || flags.ends_with('-') || !flags.bytes().all(|byte| b"imsU-".contains(&byte)) {
            return Err(format!("invalid or unsupported Perl syntax: `(?{flags}`"));
        }
        if flags.is_empty() && self.rest.starts_with(')') {
            return Err("missing argument to repetition operator: `?`".to_owned());
        }
        let closing = if self.rest.get(end..).unwrap_or_default().starts_with(':') { ':' } else { ')' };
        let _infallible = write!(self.out, "(?{flags}{closing}");
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let letter = self.take().ok_or("trailing backslash at end of expression")?;
        self.after = After::Atom;
        match letter {
            'Q' => {
                let (literal, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                self.rest = rest;
                self.out.push_str(&regex::escape(literal));
            }
            'A' => self.out.push_str("\\A"),
            'z' => self.out.push_str("\\z"),
            'b' => self.out.push_str("(?-u:\\b)"),
            'B' => return Err("`\\B` is not supported yet".to_owned()),
            'C' => return Err("`\\C` (a single byte) is not supported".to_owned()),
            _ => {
                let class = self.shared_escape(letter)?;
                self.out.push_str(&class);
            }
        }
        Ok(())
    }

    /// Escapes that mean the same inside and outside of a class.
    fn shared_escape(&mut self, letter: char) -> Result<String, String> {
        Ok(match letter {
            'd' => "[0-9]".to_owned(),
            'D' => "[^0-9]".to_owned(),
            'w' => "[0-9A-Za-z_]".to_owned(),
            'W' => "[^0-9A-Za-z_]".to_owned(),
            's' => "[\\t\\n\\f\\r ]".to_owned(),
            'S' => "[^\\t\\n\\f\\r ]".to_owned(),
            'p' | 'P' => self.property(letter)?,
            _ => literal(self.code(letter)?),
        })
    }

    /// The character that an escape stands for.
    fn code(&mut self, letter: char) -> Result<char, String> {
        let wrong = || format!("invalid escape sequence: `\\{letter}`");
        Ok(match letter {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => {
                let digits = if self.eat("{") {
                    let (digits, rest) = self.rest.split_once('}').ok_or_else(wrong)?;
                    self.rest = rest;
                    digits
                } else {
                    let digits = self.rest.get(..2).ok_or_else(wrong)?;
                    self.rest = self.rest.get(2..).unwrap_or_default();
                    digits
                };
                let hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let code = u32::from_str_radix(digits, 16).ok().filter(|_| hex);
                code.and_then(char::from_u32).ok_or_else(wrong)?
            }
            '0'..='7' => {
                let more = self.rest.bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                if letter != '0' && more == 0 {
                    return Err(wrong());
                }
                let digits = self.rest.get(..more).unwrap_or_default();
                let code = u32::from_str_radix(&format!("{letter}{digits}"), 8).ok();
                self.rest = self.rest.get(more..).unwrap_or_default();
                code.and_then(char::from_u32).ok_or_else(wrong)?
            }
            _ if letter.is_ascii_punctuation() || letter == ' ' => letter,
            _ => return Err(wrong()),
        })
    }

    /// `\pN`, `\p{Greek}`, `\p{^Greek}`, `\P...`.
    fn property(&mut self, letter: char) -> Result<String, String> {
        let name = if self.eat("{") {
            let (name, rest) = self.rest.split_once('}').ok_or("invalid character class range: `\\p{`")?;
            self.rest = rest;
            name.to_owned()
        } else {
            self.take().ok_or("invalid character class range: `\\p`")?.to_string()
        };
        let (name, negated) = name.strip_prefix('^').map_or((name.as_str(), false), |name| (name, true));
        let known = name == "Any" || (name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.starts_with("Is"));
        if !known || name.contains(['=', ':', '!']) || name.starts_with("In") && name.len() > 12 {
            return Err(format!("invalid character class range: `\\{letter}{{{name}}}`"));
        }
        Ok(format!("\\{}{{{name}}}", if negated == (letter == 'p') { 'P' } else { 'p' }))
    }

    fn class(&mut self) -> Result<(), String> {
        let whole = self.rest;
        let missing = || format!("missing closing ]: `{whole}`");
        self.take();
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let letter = self.peek().ok_or_else(missing)?;
            if letter == ']' && !first {
                self.take();
                self.out.push(']');
                break;
            }
            let named = self.rest.starts_with("[:");
            first = false;
            if named && let Some((name, rest)) = self.rest.get(2..).and_then(|rest| rest.split_once(":]")) {
                self.rest = rest;
                let _infallible = write!(self.out, "[:{name}:]");
                continue;
            }
            self.class_item()?;
        }
        self.after = After::Atom;
        Ok(())
    }

    /// A character, a range or an escape within a class.
    fn class_item(&mut self) -> Result<(), String> {
        let letter = self.take().ok_or("missing closing ]")?;
        let low = if letter == '\\' {
            let escaped = self.take().ok_or("trailing backslash at end of expression")?;
            if "dDwWsSpP".contains(escaped) {
                let class = self.shared_escape(escaped)?;
                self.out.push_str(&class);
                return Ok(());
            }
            self.code(escaped)?
        } else {
            letter
        };
        self.out.push_str(&literal(low));
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
            self.take();
            let mut high = self.take().ok_or("missing closing ]")?;
            if high == '\\' {
                let escaped = self.take().ok_or("trailing backslash at end of expression")?;
                high = self.code(escaped)?;
            }
            if high < low {
                return Err(format!("invalid character class range: `{low}-{high}`"));
            }
            self.out.push('-');
            self.out.push_str(&literal(high));
        }
        Ok(())
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A character as a literal, inside and outside of classes.
fn literal(letter: char) -> String {
    if letter.is_ascii_punctuation() {
        format!("\\x{:02X}", u32::from(letter))
    } else if letter.is_control() {
        format!("\\x{{{:X}}}", u32::from(letter))
    } else {
        letter.to_string()
    }
}
