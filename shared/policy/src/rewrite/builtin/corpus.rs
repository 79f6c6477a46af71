//! What the detectors find, and what they find wrongly, in a corpus of invented text: the figures of `docs/masking.md`.

use std::fmt::Write as _;

use super::*;

const CORPUS: &str = include_str!("../../../../../tests/data/masking/corpus.txt");
const PAGE: &str = include_str!("../../../../../docs/masking.md");

/// A text with the places of its secrets.
struct Line {
    text: String,
    secrets: Vec<(usize, usize, String)>,
}

impl Line {
    fn new(written: &str) -> Self {
        let (mut text, mut secrets) = (String::new(), Vec::new());
        let plain = |text: &str| text.replace('\u{a6}', "").replace('\u{23ce}', "\n");
        let mut rest = written;
        while let Some((before, after)) = rest.split_once('\u{27e6}') {
            text.push_str(&plain(before));
            let (marked, after) = after.split_once('\u{27e7}').expect("an open bracket");
            let (rule, secret) = marked.split_once('|').expect("no name of a detector");
            let start = text.len();
            text.push_str(&plain(secret));
            secrets.push((start, text.len(), format!("builtin/{rule}")));
            rest = after;
        }
        text.push_str(&plain(rest));
        Self { text, secrets }
    }

    fn hits(&self) -> Vec<Hit> {
        let mut hits = Vec::new();
        find(&self.text, Wanted::ALL, &mut hits);
        hits
    }
}

fn lines() -> impl Iterator<Item = &'static str> {
    CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

fn texts() -> Vec<Line> {
    lines().filter(|line| !line.starts_with("key+ ") && !line.starts_with("key- ")).map(Line::new).collect()
}

#[derive(Default)]
struct Figures {
    found: usize,
    planted: usize,
    wrong: usize,
    clean: usize,
}

/// So much of a secret is shown: scanners of this repository would take more for a live key.
const SHOWN_MAX: usize = 20;

/// Shown in a list of the page, with the secret or the find in brackets.
fn shown(text: &str, start: usize, end: usize) -> String {
    let secret: String = text[start..end].chars().take(SHOWN_MAX).collect();
    let cut = if secret.len() < end - start { "..." } else { "" };
    format!("`{}[{secret}{cut}]{}`", &text[..start], &text[end..]).replace('\n', " ").replace('|', "\\|")
}

fn names() -> (Figures, String, String) {
    let (mut figures, mut missed, mut wrong) = (Figures::default(), String::new(), String::new());
    for line in lines() {
        if let Some(name) = line.strip_prefix("key+ ") {
            figures.planted += 1;
            figures.found += usize::from(is_secret_name(name));
            if !is_secret_name(name) {
                writeln!(missed, "- `secret_name`: `{name}`").unwrap();
            }
        } else if let Some(name) = line.strip_prefix("key- ") {
            figures.clean += 1;
            figures.wrong += usize::from(is_secret_name(name));
            if is_secret_name(name) {
                writeln!(wrong, "- `secret_name`: `{name}`").unwrap();
            }
        }
    }
    (figures, missed, wrong)
}

/// What the page says between its marks.
fn figures() -> String {
    let lines = texts();
    let clean = lines.iter().filter(|line| line.secrets.is_empty()).count();
    let (of_names, mut missed, mut wrong) = names();
    let mut table =
        String::from("| detector | found | planted | false finds | texts without a secret |\n|---|---|---|---|---|\n");
    for rule in RULE_NAMES {
        let short = rule.trim_start_matches("builtin/");
        let mut sum = Figures { clean, ..Figures::default() };
        for line in &lines {
            let hits = line.hits();
            for (start, end, _) in line.secrets.iter().filter(|(_, _, of)| of == rule) {
                let is_covered = |at: usize| hits.iter().any(|hit| (hit.start..hit.end).contains(&at));
                let is_found = (*start..*end).all(is_covered);
                sum.planted += 1;
                sum.found += usize::from(is_found);
                if !is_found {
                    writeln!(missed, "- `{short}`: {}", shown(&line.text, *start, *end)).unwrap();
                }
            }
            for hit in hits.iter().filter(|hit| RULE_NAMES[hit.rule as usize] == rule) {
                if !line.secrets.iter().any(|(start, end, _)| hit.start < *end && *start < hit.end) {
                    sum.wrong += 1;
                    writeln!(wrong, "- `{short}`: {}", shown(&line.text, hit.start, hit.end)).unwrap();
                }
            }
        }
        let sum = if rule == "builtin/secret_name" { &of_names } else { &sum };
        writeln!(table, "| `{short}` | {} | {} | {} | {} |", sum.found, sum.planted, sum.wrong, sum.clean).unwrap();
    }
    format!("{table}\nFalse finds, with what is masked in brackets:\n\n{wrong}\nMissed, with the secret in brackets:\n\n{missed}")
}

/// How many of a million numbers of each length, without any pattern, look like a card.
fn numbers() -> String {
    let mut table = String::from("| digits | pass Luhn | and have an issuer's prefix and length |\n|---|---|---|\n");
    let mut state = 0_u64;
    let mut digit = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u8::try_from((mixed ^ (mixed >> 31)) % 10).unwrap()
    };
    for length in cards::DIGITS_MIN..=cards::DIGITS_MAX {
        let (mut checked, mut issued) = (0, 0);
        for _ in 0..1_000_000 {
            let digits: [u8; cards::DIGITS_MAX] = std::array::from_fn(|_| digit());
            checked += u32::from(cards::luhn(&digits[..length]));
            issued += u32::from(cards::is_card(&digits[..length]));
        }
        let percent = |count: u32| f64::from(count) / 1e4;
        writeln!(table, "| {length} | {:.2} % | {:.2} % |", percent(checked), percent(issued)).unwrap();
    }
    table
}

fn between<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<!-- {name} -->\n")).expect("no such mark");
    rest.split_once("<!-- end -->").expect("no end").0
}

#[test]
fn the_figures_of_the_page_are_those_of_the_corpus() {
    let found = figures();
    assert!(between(PAGE, "figures") == found, "docs/masking.md should say:\n{found}");
}

#[test]
fn the_figures_of_the_page_are_those_of_random_numbers() {
    let found = numbers();
    assert!(between(PAGE, "numbers") == found, "docs/masking.md should say:\n{found}");
}

#[test]
fn masking_the_corpus_twice_is_masking_it_once_and_leaves_no_found_secret() {
    for masking in [Masking::default(), Masking { key: HashKey::new(&[7; 32]), ..Masking::default() }] {
        for line in texts() {
            let masked = masking.mask(&line.text, &mut Vec::new(), |_| {}).unwrap_or_else(|| line.text.clone());
            assert_eq!(masking.mask(&masked, &mut Vec::new(), |_| {}), None, "{}", line.text);
            assert!(suspect(line.text.as_bytes()) || masked == line.text, "{}", line.text);
        }
    }
}
