use super::{Template, compile};

#[expect(clippy::disallowed_methods, reason = "vectors are files; the crate itself touches none")]
fn rows() -> Vec<serde_json::Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/vectors/regex-go-vs-rust.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_pattern_and_template_does_what_go_does() {
    for row in rows() {
        let text = |key: &str| row[key].as_str().unwrap();
        match (compile(text("pattern")), row["go"]["output"].as_str()) {
            (Ok(regex), Some(wanted)) => {
                let input = text("input");
                let output = Template::new(text("replacement")).replace_all(&regex, input).unwrap_or_else(|| input.to_owned());
                assert_eq!(output, wanted, "{row}");
            }
            (Err(_), None) => {}
            (compiled, _) => panic!("{row}: {compiled:?}"),
        }
    }
}

#[test]
fn a_pattern_that_needs_too_much_memory_is_refused() {
    assert!(compile(r"(?:(?:\pL{1000}){1000}){1000}").is_err());
}

proptest::proptest! {
    #[test]
    fn no_pattern_makes_it_panic(pattern in r"([\\\[\](){}?*+^$|.a-zA-Z0-9,:<>=-]|\\[a-zA-Z]|\[\^|\u{e9}){0,24}") {
        drop(compile(&pattern));
        drop(Template::new(&pattern));
    }
}
