//! Go's `fmt.Sprintf`.

use std::fmt::Write as _;

use spanlake_otlp::tree::Value;

use super::bounds::{BYTES_MAX, TOO_LARGE};
use super::calendar;
use crate::error::DataError;
use crate::paths::access_hex as hex;
use crate::val::Val;

mod number;
mod text;

/// The widest field and the most digits that Go accepts.
const WIDTH_MAX: usize = 1_000_000;

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of fmt")]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'f> {
    rest: std::str::Chars<'f>,
    /// The next argument.
    at: usize,
    reordered: bool,
    bad_index: bool,
    out: String,
}

/// Writes values in a format. What is wrong with the format or its values stands in the text, as in Go.
///
/// # Errors
/// A text larger than functions make them.
pub(super) fn sprintf(format: &str, values: &[Val<'_>]) -> Result<String, DataError> {
    let mut printer = Printer { rest: format.chars(), at: 0, reordered: false, bad_index: false, out: String::new() };
    while let Some(letter) = printer.rest.next() {
        if letter == '%' {
            printer.verb(values);
        } else {
            printer.out.push(letter);
        }
        if printer.out.len() > BYTES_MAX {
            return Err(TOO_LARGE);
        }
    }
    let unused = values.get(printer.at..).unwrap_or_default();
    if !printer.reordered && !unused.is_empty() {
        printer.extra(unused);
    }
    if printer.out.len() > BYTES_MAX { Err(TOO_LARGE) } else { Ok(printer.out) }
}

impl Printer<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.rest.next();
        }
        found
    }

    fn verb(&mut self, values: &[Val<'_>]) {
        let mut flags = Flags::default();
        loop {
            match self.peek() {
                Some('#') => flags.sharp = true,
                Some('0') => flags.zero = true,
                Some('+') => flags.plus = true,
                Some('-') => flags.minus = true,
                Some(' ') => flags.space = true,
                _ => break,
            }
            self.rest.next();
        }
        self.bad_index = false;
        let mut after_index = self.index(values.len());
        if self.eat('*') {
            flags.width = self.star(values, "%!(BADWIDTH)", &mut flags.minus, false);
            after_index = false;
        } else {
            flags.width = self.number();
            // `%[3]2d` is a fault.
            self.bad_index |= after_index && flags.width.is_some();
        }
        if self.eat('.') {
            self.bad_index |= after_index;
            after_index = self.index(values.len());
            if self.eat('*') {
                flags.precision = self.star(values, "%!(BADPREC)", &mut flags.minus, true);
                after_index = false;
            } else {
                flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index(values.len());
        }
        let Some(verb) = self.rest.next() else {
            self.out.push_str("%!(NOVERB)");
            return;
        };
        if verb == '%' {
            self.out.push('%');
        } else if self.bad_index {
            let _infallible = write!(self.out, "%!{verb}(BADINDEX)");
        } else if let Some(value) = values.get(self.at) {
            self.at += 1;
            print(value, verb, flags, &mut self.out);
        } else {
            let _infallible = write!(self.out, "%!{verb}(MISSING)");
        }
    }

    /// `[2]`: which argument is next.
    fn index(&mut self, count: usize) -> bool {
        if self.peek() != Some('[') {
            return false;
        }
        self.reordered = true;
        let text = self.rest.as_str();
        let Some((inner, rest)) = text.get(1..).and_then(|text| text.split_once(']')) else {
            self.rest.next();
            self.bad_index = true;
            return false;
        };
        self.rest = rest.chars();
        match inner.parse::<usize>() {
            Ok(number) if (1..=count).contains(&number) => self.at = number - 1,
            _ => self.bad_index = true,
        }
        true
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|letter| letter.to_digit(10)) {
            self.rest.next();
            let grown = number.unwrap_or(0_usize).saturating_mul(10).saturating_add(digit as usize);
            number = Some(grown.min(WIDTH_MAX));
        }
        number
    }

    /// A width or precision that is an argument.
    fn star(&mut self, values: &[Val<'_>], complaint: &str, minus: &mut bool, is_precision: bool) -> Option<usize> {
        let value = values.get(self.at);
        self.at += usize::from(value.is_some());
        let number = match value {
            Some(Val::Value(Value::Int(number))) if number.unsigned_abs() <= WIDTH_MAX as u64 => *number,
            _ => {
                self.out.push_str(complaint);
                return None;
            }
        };
        if number < 0 {
            if is_precision {
                return None;
            }
            *minus = true;
        }
        usize::try_from(number.unsigned_abs()).ok()
    }

    fn extra(&mut self, unused: &[Val<'_>]) {
        self.out.push_str("%!(EXTRA ");
        for (place, value) in unused.iter().enumerate() {
            self.out.push_str(if place > 0 { ", " } else { "" });
            if value.is_nil() {
                self.out.push_str("<nil>");
            } else {
                self.out.push_str(type_name(value));
                self.out.push('=');
                print(value, 'v', Flags::default(), &mut self.out);
            }
            if self.out.len() > BYTES_MAX {
                return;
            }
        }
        self.out.push(')');
    }
}

const fn type_name(value: &Val<'_>) -> &'static str {
    match value {
        Val::Value(value) => match value {
            Value::Empty => "<nil>",
            Value::String(_) => "string",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int64",
            Value::Double(_) => "float64",
            Value::Bytes(_) => "[]uint8",
            Value::List(_) => "pcommon.Slice",
            Value::Map(_) => "pcommon.Map",
        },
        Val::Time(_) => "time.Time",
        Val::Duration(_) => "time.Duration",
        Val::TraceId(_) => "pcommon.TraceID",
        Val::SpanId(_) => "pcommon.SpanID",
    }
}

fn print(value: &Val<'_>, verb: char, flags: Flags, out: &mut String) {
    let start = out.len();
    let is_known = match (value, verb) {
        (value, 'T') => {
            text::padded(type_name(value), flags, out);
            true
        }
        (Val::Value(Value::Empty), 'v') => {
            text::padded("<nil>", flags, out);
            true
        }
        (Val::Value(Value::Bool(value)), 't' | 'v') => {
            text::padded(if *value { "true" } else { "false" }, flags, out);
            true
        }
        (Val::Value(Value::Int(value)), _) => number::int(*value, verb, flags, out),
        (Val::Value(Value::Double(value)), _) => number::float(*value, verb, flags, out),
        (Val::Value(Value::String(value)), _) => text::string(value, verb, flags, out),
        (Val::Value(Value::Bytes(value)), _) => text::bytes(value, verb, flags, out),
        // Go shows the inside of its own types; JSON is what these values are elsewhere.
        (Val::Value(value @ (Value::List(_) | Value::Map(_))), 'v' | 's') => text::string(&value.to_text(), verb, flags, out),
        (Val::Duration(nanos), 'd') => number::int(*nanos, verb, flags, out),
        (Val::Duration(nanos), 'v' | 's') => text::string(&calendar::duration_text(*nanos), verb, flags, out),
        (Val::Time(time), 'v' | 's') => text::string(&calendar::time_text(*time), verb, flags, out),
        (Val::TraceId(id), 'v' | 's' | 'x' | 'q') => id_text(&hex(id), verb, flags, out),
        (Val::SpanId(id), 'v' | 's' | 'x' | 'q') => id_text(&hex(id), verb, flags, out),
        _ => false,
    };
    if is_known {
        return;
    }
    out.truncate(start);
    let _infallible = write!(out, "%!{verb}(");
    if !value.is_nil() {
        out.push_str(type_name(value));
        out.push('=');
    }
    print(value, 'v', Flags::default(), out);
    out.push(')');
}

fn id_text(id: &str, verb: char, flags: Flags, out: &mut String) -> bool {
    text::string(id, if verb == 'x' { 's' } else { verb }, flags, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_go() {
        let (int, text, float) = (Val::int(42), Val::text("a\"\u{e9}"), Val::double(2.5));
        for (format, values, wanted) in [
            (
                "%05d|%-4d|%+d|% d|%x|%#x|%o|%b|%c|%U|%q",
                vec![int.clone(); 11],
                "00042|42  |+42| 42|2a|0x2a|52|101010|*|U+002A|'*'",
            ),
            ("%6.2f|%-8.1f|%e|%g|%v|%G|%08.3f", vec![float.clone(); 7], "  2.50|2.5     |2.500000e+00|2.5|2.5|2.5|0002.500"),
            ("%s|%q|%x|%5s|%.2s|%v", vec![text; 6], "a\"\u{e9}|\"a\\\"\u{e9}\"|6122c3a9|  a\"\u{e9}|a\"|a\"\u{e9}"),
            ("%d %s", vec![Val::text("x"), int.clone()], "%!d(string=x) %!s(int64=42)"),
            ("%d %d", vec![int.clone()], "42 %!d(MISSING)"),
            ("%d", vec![int.clone(), float.clone(), Val::NIL], "42%!(EXTRA float64=2.5, <nil>)"),
            ("%[2]d %[1]v %[9]d", vec![float.clone(), int.clone()], "42 2.5 %!d(BADINDEX)"),
            ("%*d|%-*d|%.*f", vec![Val::int(4), int.clone(), Val::int(4), int.clone(), Val::int(1), float], "  42|42  |2.5"),
            ("100%% %", vec![], "100% %!(NOVERB)"),
            ("%v %v %d %t", vec![Val::NIL, Val::bool(true), Val::NIL, int.clone()], "<nil> true %!d(<nil>) %!t(int64=42)"),
            ("%v %s %x", vec![Val::bytes(vec![1, 2]), Val::bytes(vec![97]), Val::bytes(vec![255])], "[1 2] a ff"),
            (
                "%v %v %v %v",
                vec![Val::double(1e6), Val::double(123_456_789.0), Val::double(1e-5), Val::double(1e20)],
                "1e+06 1.23456789e+08 1e-05 1e+20",
            ),
            ("%v %d", vec![Val::Duration(3_723_500_000_000), Val::Duration(5)], "1h2m3.5s 5"),
            ("%T %z", vec![int.clone(), int], "int64 %!z(int64=42)"),
        ] {
            assert_eq!(sprintf(format, &values).unwrap(), wanted, "{format}");
        }
        assert!(sprintf("%1000000d%1000000d", &[Val::int(1), Val::int(1)]).is_err());
    }
}
