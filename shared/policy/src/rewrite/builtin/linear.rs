//! The work for a text, counted in bytes that are looked at: it grows as the text does, whatever the text is made of.

use super::scan::steps;
use super::*;

/// What hostile texts are made of: beginnings of everything that is looked for.
const PIECES: &[&str] = &[
    "sk-",
    "sk-a",
    "eyJ",
    "eyJaaaaaa.",
    "4",
    "4 ",
    "4444 ",
    "44444-",
    "4.",
    "password=",
    "password= ",
    "password={",
    "password=[",
    "token:",
    "token: ",
    "pagetoken=",
    "\"password\":{",
    "\"password\":[\"",
    "password:\"",
    "password='",
    "pwd=x&",
    "authorization:",
    "cookie:null",
    "sig=",
    "@",
    "a@",
    "a@b.",
    "a.@",
    "@-",
    "://",
    "://a:b@",
    "://a",
    "=",
    ":",
    ": ",
    "_",
    "-",
    "-----",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY----",
    "-----END ",
    "Bearer ",
    "bearer\t",
    "basic ",
    "AKIA",
    "eyJAKIA0000000000000000",
    "ghp_",
    "github_pat_",
    "_live_",
    "xoxb-",
    "SG.",
    "SG.aaaaaaaaaaaaaaaa.",
    "ya29.",
    "AIza",
    "glpat-",
    "npm_",
    "PASSWORD ",
    "PASSWORD (",
    "PASSWORD FOR ",
    "PASSWORD '",
    "IDENTIFIED BY ",
    "IDENTIFIED WITH a ",
    "%",
    "%25",
    "%41",
    "%2525",
    "\\u0041",
    "\\",
    "\\/",
    "\u{ff11}",
    "\u{a0}",
    "\u{200b}",
    "\u{3000}",
    "\"",
    "'",
    " ",
    "a",
    "****",
    "****:",
    "****:0123456789abcdef0123456789abcdef",
];

fn steps_of(text: &str, masking: &Masking) -> usize {
    let _ = steps::take();
    drop(masking.mask(text, &mut Vec::new(), |_| {}));
    let _ = suspect(text.as_bytes());
    steps::take()
}

#[test]
fn ten_times_the_text_is_ten_times_the_work() {
    let masking = Masking { key: HashKey::new(&[b'k'; 32]), ..Masking::default() };
    let tails = ["", "x", "eyJ", " "];
    let mut most = (0, String::new());
    for piece in PIECES {
        for other in tails.iter().chain(PIECES) {
            let unit = format!("{piece}{other}");
            let text = |bytes: usize| unit.repeat(bytes.div_ceil(unit.len()));
            let (short, long) = (text(400), text(4000));
            let (few, many) = (steps_of(&short, &masking), steps_of(&long, &masking));
            // A text is looked at once for each detector and reading, and again when it is masked.
            let bound = long.len() * STEPS_MAX;
            assert!(many <= bound, "{unit:?}: {many} steps for {} bytes", long.len());
            assert!(many <= (few + 400) * 20, "{unit:?}: {few} steps for {}, {many} for {}", short.len(), long.len());
            most = most.max((many / long.len(), unit));
        }
    }
    println!("the most steps for a byte: {most:?}");
}

/// The most steps for a byte of text.
const STEPS_MAX: usize = 150;

#[test]
fn a_long_run_before_many_short_finds_is_looked_through_once() {
    let masking = Masking::default();
    for unit in ["eyJAKIA0000000000000000", "token:token:", "sk-sk-", "password={"] {
        let steps = |count: usize| steps_of(&unit.repeat(count), &masking);
        let (few, many) = (steps(100), steps(10_000));
        assert!(many < few * 120, "{unit}: {few} and {many}");
    }
}
