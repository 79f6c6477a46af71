//! One row of CSV, as Go's `encoding/csv` reads it.

/// The fields of a row. A line end within it goes on with the last field, and is one of its characters.
/// `None` where quotes are wrong: `is_lazy` takes those that stand in the middle of a field.
pub(super) fn fields(row: &str, delimiter: char, is_lazy: bool) -> Option<Vec<String>> {
    if row == "\"" || ['"', '\r', '\n', '\u{fffd}'].contains(&delimiter) {
        return None;
    }
    let text = row.replace("\r\n", "\n");
    let mut rest = text.trim_start_matches('\n');
    let mut fields: Vec<String> = Vec::new();
    let mut joins = false;
    while !rest.is_empty() {
        let (field, end, behind) = field(rest, delimiter, is_lazy)?;
        match fields.last_mut().filter(|_| joins) {
            Some(last) => {
                last.push('\n');
                last.push_str(&field);
            }
            None => fields.push(field),
        }
        joins = end == Some('\n');
        // Empty lines are passed over.
        rest = if joins { behind.trim_start_matches('\n') } else { behind };
        if end == Some(delimiter) && rest.is_empty() {
            fields.push(String::new());
        }
    }
    (!fields.is_empty()).then_some(fields)
}

/// A field, what ended it, and what follows.
fn field(text: &str, delimiter: char, is_lazy: bool) -> Option<(String, Option<char>, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([delimiter, '\n']).unwrap_or(text.len());
        let (field, rest) = text.split_at_checked(end)?;
        if field.contains('"') && !is_lazy {
            return None;
        }
        let mut letters = rest.chars();
        let end = letters.next();
        return Some((field.to_owned(), end, letters.as_str()));
    };
    let mut field = String::new();
    loop {
        let Some((part, behind)) = rest.split_once('"') else {
            // No closing quote.
            field.push_str(rest);
            return is_lazy.then_some((field, None, ""));
        };
        field.push_str(part);
        let mut letters = behind.chars();
        match letters.next() {
            Some('"') => {
                field.push('"');
                rest = letters.as_str();
            }
            None => return Some((field, None, "")),
            Some(end) if end == delimiter || end == '\n' => return Some((field, Some(end), letters.as_str())),
            Some(_) if is_lazy => {
                field.push('"');
                rest = behind;
            }
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn rows_are_read_as_go_reads_them() {
        let row = |text: &str, is_lazy: bool| fields(text, ',', is_lazy).map(|fields| fields.join("|"));
        for (text, wanted) in [
            ("a,b,c", Some("a|b|c")),
            ("a,,c,", Some("a||c|")),
            ("1,\"3,4\",\"x\"\"y\"", Some("1|3,4|x\"y")),
            ("a,b\nc,d", Some("a|b\nc|d")),
            ("\"a\nb\",c", Some("a\nb|c")),
            ("a\"b,c", None),
            ("\"a\"b,c", None),
            ("\"a", None),
            ("", None),
        ] {
            assert_eq!(row(text, false).as_deref(), wanted, "{text}");
        }
        assert_eq!(row("a\"b,\"c\"d\"", true).as_deref(), Some("a\"b|c\"d"));
    }
}
