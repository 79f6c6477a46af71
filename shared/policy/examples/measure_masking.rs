//! Measures how fast the built-in masking looks through texts: MB/s for each detector by itself, for all of them together, and
//! for the masking of a log's body from end to end, by kind of text.
//!
//! `cargo run --release -p spanlake-policy --example measure_masking [TEXT]`
//!
//! TEXT names one kind of text, such as `log lines` or one of the pieces that hostile texts are made of; without it, all are measured.
#![expect(clippy::print_stdout, reason = "its purpose is to print")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the time; the crate itself does not")]
#![expect(clippy::unwrap_used, reason = "a measurement stops where something is wrong")]
#![expect(clippy::cast_precision_loss, reason = "figures of a few digits")]

use std::time::Instant;

use spanlake_model::Signal;
use spanlake_otlp::wire::put_len;
use spanlake_policy::{Context, DEFAULT_CONFIG, Detector, Scratch, load};

/// The length of each text.
const TEXT_BYTES: usize = 1 << 16;
/// The best of so many rounds counts: others share the machine.
const ROUNDS: usize = 60;

/// What hostile texts are made of: beginnings of what is looked for.
const HOSTILE: [&str; 55] = [
    "sk-",
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
    "token:",
    "pagetoken=",
    "@",
    "a@",
    "a@b.",
    "://",
    "://a:b@",
    "=",
    ":",
    ": ",
    "_",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY----",
    "Bearer ",
    "basic ",
    "AKIA",
    "ghp_",
    "_live_",
    "xoxb-",
    "SG.",
    "ya29.",
    "PASSWORD ",
    "PASSWORD FOR ",
    "IDENTIFIED BY ",
    "IDENTIFIED WITH a ",
    "%",
    "%25",
    "%41",
    "%2525",
    "\\u0041",
    "\\",
    "\u{ff11}",
    "\u{e9}",
    "\u{a0}",
    "\u{200b}",
    "\"",
    "password:\"",
    "pwd=x&",
    "password=\\'",
    "'",
    " ",
    "a",
    "-",
    ".",
];

fn main() {
    let rules = load(DEFAULT_CONFIG, &|_| None).rules.unwrap();
    let names = Detector::ALL.map(|detector| detector.name().trim_start_matches("builtin/"));
    println!("{:<24} {} {:>12} {:>12}", "MB/s", names.map(|name| format!("{name:>12}")).join(" "), "all", "end to end");
    let mut least = f64::INFINITY;
    let wanted = std::env::args().nth(1);
    for (name, text) in texts().into_iter().filter(|(name, _)| wanted.as_deref().is_none_or(|wanted| wanted == *name)) {
        let alone = Detector::ALL.map(|detector| speed(&text, || detector.count(&text)));
        let all = speed(&text, || Detector::count_all(&text));
        let (mut any, mut log, mut out) = (Vec::new(), Vec::new(), Vec::new());
        put_len(&mut any, 1, text.as_bytes());
        put_len(&mut log, 5, &any);
        let mut scratch = Scratch::new();
        let context = rules.context(Signal::Logs, Context::default(), &mut scratch);
        let whole = speed(&text, || {
            out.clear();
            let _outcome = rules.item(Signal::Logs, &context, &log, &mut out, &mut scratch);
            out.len()
        });
        let shown = alone.map(|speed| format!("{speed:>12.0}")).join(" ");
        println!("{name:<24} {shown} {all:>12.0} {whole:>12.0}");
        least = alone.iter().fold(least.min(all), |least, speed| least.min(*speed));
    }
    println!("the slowest: {least:.0} MB/s");
}

fn speed(text: &str, mut work: impl FnMut() -> usize) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        std::hint::black_box(work());
        best = best.min(start.elapsed().as_secs_f64());
    }
    text.len() as f64 / best / 1e6
}

fn texts() -> Vec<(&'static str, String)> {
    let fill = |piece: &str| piece.repeat(TEXT_BYTES.div_ceil(piece.len()));
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes().first().copied().unwrap_or(0)
    })
    .take(TEXT_BYTES / 2)
    .collect();
    let mut all = vec![
        (
            "log lines",
            fill(
                "2026-11-21T09:13:18Z INFO cart-service request GET /api/products/42?page=2 took 13 ms, status: 200 user_id=7781\n",
            ),
        ),
        ("prose", fill("The quick brown fox jumps over the lazy dog and then goes home to sleep. ")),
        ("SQL", fill("SELECT o.id, o.total FROM orders o WHERE o.customer_id = ? AND o.created_at > '2026-11-21' LIMIT 20; ")),
        (
            "JSON",
            fill(
                "{\"id\":\"550e8400-e29b-41d4-a716-446655440000\",\"n\":[1,2,3],\"name\":\"Ann\",\"ok\":true,\"at\":1790000000000}\n",
            ),
        ),
        (
            "Japanese",
            fill(
                "\u{6ce8}\u{6587}\u{3092}\u{53d7}\u{3051}\u{4ed8}\u{3051}\u{307e}\u{3057}\u{305f}\u{3002}\u{304a}\u{5ba2}\u{69d8}\u{756a}\u{53f7}\u{ff1a}\u{ff11}\u{ff12}\u{3001}\u{5408}\u{8a08}\u{ff08}\u{7a0e}\u{8fbc}\u{ff09}3,200\u{5186}\u{3000}",
            ),
        ),
        ("binary, lossy", String::from_utf8_lossy(&noise).into_owned()),
        ("base64", fill("dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZyBhbmQgdGhlbiBzbGVlcHM5")),
        ("many secrets", fill("password=hunter2&card=4111111111111111&mail=ann@example.org Bearer abc123def456\n")),
    ];
    all.extend(HOSTILE.map(|piece| (piece, fill(piece))));
    all
}
