//! Upper, lower, snake and camel case as Go and its `strcase` package write them.

use super::bounds;

/// Each character by itself: Go knows no context, and no character that becomes two.
pub(super) fn upper(text: &str) -> String {
    text.chars().map(upper_letter).collect()
}

fn upper_letter(letter: char) -> char {
    let code = u32::from(letter);
    // Greek letters with a subscript: their simple capital is one letter, their full one two.
    let subscript = match code {
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => Some(code + 8),
        0x1fb3 | 0x1fc3 | 0x1ff3 => Some(code + 9),
        _ => None,
    };
    let mut capitals = letter.to_uppercase();
    match (subscript.and_then(char::from_u32), capitals.next(), capitals.next()) {
        (Some(capital), ..) | (None, Some(capital), None) => capital,
        _ => letter,
    }
}

/// Each character by itself.
pub(super) fn lower(text: &str) -> String {
    // The one character whose lower case is two is the capital dotted i.
    text.chars().map(|letter| letter.to_lowercase().next().unwrap_or(letter)).collect()
}

/// `someName` as `some_name`.
pub(super) fn snake(text: &str) -> String {
    let text = text.trim().as_bytes();
    let mut out = Vec::with_capacity(text.len() + 2);
    let mut before = 0_u8;
    for (at, letter) in text.iter().copied().enumerate() {
        let next = text.get(at + 1).copied().unwrap_or(0);
        let changes = match letter {
            b'A'..=b'Z' => next.is_ascii_lowercase() || next.is_ascii_digit(),
            b'a'..=b'z' => next.is_ascii_uppercase() || next.is_ascii_digit(),
            b'0'..=b'9' => next.is_ascii_alphabetic(),
            _ => false,
        };
        if changes {
            // `JSONData` is two words: the last capital of several begins the next one.
            if letter.is_ascii_uppercase() && next.is_ascii_lowercase() && before.is_ascii_uppercase() {
                out.push(b'_');
            }
            out.push(letter.to_ascii_lowercase());
            if !letter.is_ascii_uppercase() || next.is_ascii_digit() {
                out.push(b'_');
            }
        } else if matches!(letter, b' ' | b'_' | b'-' | b'.') {
            out.push(b'_');
        } else {
            out.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    bounds::lossy(out)
}

/// `some_name` as `SomeName`; what is neither a letter nor a digit of ASCII is left out.
pub(crate) fn camel(text: &str) -> String {
    let trimmed = text.trim();
    let text = if trimmed == "ID" { "id" } else { trimmed };
    let mut out = String::with_capacity(text.len());
    let mut begins_word = true;
    let mut after_capital = false;
    for letter in text.chars() {
        if letter.is_ascii_alphabetic() {
            out.push(match (begins_word, after_capital && letter.is_ascii_uppercase()) {
                (true, _) => letter.to_ascii_uppercase(),
                (false, true) => letter.to_ascii_lowercase(),
                (false, false) => letter,
            });
            begins_word = false;
        } else if letter.is_ascii_digit() {
            out.push(letter);
            begins_word = true;
        } else {
            begins_word = matches!(letter, '_' | ' ' | '-' | '.');
        }
        after_capital = letter.is_ascii_uppercase();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_those_of_strcase() {
        for (text, wanted) in [
            ("someCamelCase value", "some_camel_case_value"),
            ("JSONData", "json_data"),
            ("AnyKind of_string.x", "any_kind_of_string_x"),
            ("numbers2and55with000", "numbers_2_and_55_with_000"),
            ("ID", "id"),
            ("", ""),
        ] {
            assert_eq!(snake(text), wanted);
        }
        for (text, wanted) in [
            ("some_snake-case value", "SomeSnakeCaseValue"),
            ("test_case", "TestCase"),
            ("numbers2And55with000", "Numbers2And55With000"),
            ("CONSTANT_CASE", "ConstantCase"),
            ("ID", "Id"),
        ] {
            assert_eq!(camel(text), wanted);
        }
        assert_eq!(upper("gr\u{fc}\u{df}e \u{1fb3}"), "GR\u{dc}\u{df}E \u{1fbc}");
        assert_eq!(lower("\u{130}\u{3a3}"), "i\u{3c3}");
    }
}
