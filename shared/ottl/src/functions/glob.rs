//! Globs as `replace_match` reads them.
//!
//! Source: gobwas/glob without separators: `*` and `**` match any text, `?` any character, `[abc]`, `[a-z]` and `[!a]`
//! one of a class, `{x,y}` one of several, `\` takes the next character as it is. The whole text must match. A glob
//! becomes a regular expression: its time is linear in the text, whatever the glob.

/// The longest glob.
const BYTES_MAX: usize = 1024;
/// How deep alternatives are nested.
const DEPTH_MAX: usize = 16;

/// The regular expression that a glob becomes.
///
/// # Errors
/// An open bracket or brace, an empty class.
pub(super) fn pattern(glob: &str) -> Result<String, String> {
    if glob.len() > BYTES_MAX {
        return Err(format!("longer than {BYTES_MAX} bytes"));
    }
    let mut pattern = String::from("(?s)\\A(?:");
    let mut letters = glob.chars();
    let mut depth = 0_usize;
    while let Some(letter) = letters.next() {
        match letter {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '[' => class(&mut letters, &mut pattern)?,
            '{' if depth < DEPTH_MAX => {
                depth += 1;
                pattern.push_str("(?:");
            }
            '{' => return Err(format!("braces nested deeper than {DEPTH_MAX}")),
            '}' if depth > 0 => {
                depth -= 1;
                pattern.push(')');
            }
            ',' if depth > 0 => pattern.push('|'),
            '\\' => literal(letters.next().ok_or("a backslash at the end")?, &mut pattern),
            _ => literal(letter, &mut pattern),
        }
    }
    if depth > 0 {
        return Err("a brace is not closed".to_owned());
    }
    // A text that `**` reads twice is read twice as often for nothing.
    while pattern.contains(".*.*") {
        pattern = pattern.replace(".*.*", ".*");
    }
    pattern.push_str(")\\z");
    Ok(pattern)
}

fn class(letters: &mut std::str::Chars<'_>, pattern: &mut String) -> Result<(), String> {
    pattern.push('[');
    let mut is_empty = true;
    let mut is_first = true;
    loop {
        match letters.next() {
            None => return Err("a bracket is not closed".to_owned()),
            Some('!') if is_first => pattern.push('^'),
            Some(']') if !is_empty => break,
            Some(']') => return Err("an empty class".to_owned()),
            Some('-') if !is_empty => {
                pattern.push('-');
                continue;
            }
            Some('\\') => {
                literal(letters.next().ok_or("a backslash at the end")?, pattern);
                is_empty = false;
            }
            Some(letter) => {
                literal(letter, pattern);
                is_empty = false;
            }
        }
        is_first = false;
    }
    pattern.push(']');
    Ok(())
}

fn literal(letter: char, pattern: &mut String) {
    if letter.is_ascii_punctuation() {
        pattern.push('\\');
    }
    pattern.push(letter);
}

#[cfg(test)]
mod tests {
    use crate::regex::compile;

    #[test]
    fn globs_match_whole_texts() {
        let matches = |glob: &str, text: &str| compile(&super::pattern(glob).unwrap()).unwrap().is_match(text);
        for (glob, text, wanted) in [
            ("sec*", "secret", true),
            ("sec*", "xsecret", false),
            ("/user/*/list/**", "/user/7/a/list/8/9\n", true),
            ("GET /health?", "GET /healthz", true),
            ("GET /health?", "GET /health", false),
            ("user-[0-9]*", "user-42", true),
            ("user-[!0-9]*", "user-42", false),
            ("{GET,PO{ST,KE}}", "POST", true),
            ("{GET,PO{ST,KE}}", "PUT", false),
            ("a\\*b.c", "a*b.c", true),
            ("a\\*b.c", "axb.c", false),
            ("?", "\u{65e5}", true),
            ("a,b", "a,b", true),
            ("", "", true),
        ] {
            assert_eq!(matches(glob, text), wanted, "{glob} {text}");
        }
        for bad in ["[a", "{a", "[]", "a\\"] {
            assert!(super::pattern(bad).and_then(|pattern| compile(&pattern)).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_glob_makes_it_panic(glob in r"([*?\[\]{},!\\a-c^-]|\u{e9}){0,24}") {
            drop(super::pattern(&glob).and_then(|pattern| compile(&pattern)));
        }
    }
}
