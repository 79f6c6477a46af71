//! Secrets of every kind that the built-in masking promises to find, in every writing that it promises to look through.
//! Each is invented, and holds a mark that nothing else holds.

/// Part of every planted text, in any case.
pub(super) const MARK: &str = "lk9zq";

/// How every planted card begins. Fifteen digits and the check digit make it one.
pub(super) const CARD: &str = "4012888818";

/// A planted value.
pub(super) struct Secret {
    /// What it is, for a failure's message.
    pub(super) kind: &'static str,
    /// What is sent.
    pub(super) text: String,
}

fn mark(serial: u32) -> String {
    format!("Lk9Zq{serial:06}k7")
}

fn capitals(serial: u32) -> String {
    format!("LK9ZQ{serial:011}")
}

fn long(serial: u32) -> String {
    format!("{}0123456789abcdefghijABCDEF", mark(serial))
}

/// The digits of a card with a right check digit.
fn card(serial: u32) -> String {
    let body = format!("{CARD}{:05}", serial % 100_000);
    let sum: u32 = (0_u32..)
        .zip(body.bytes().rev())
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') * if place % 2 == 0 { 2 } else { 1 };
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn grouped(serial: u32, gap: &str) -> String {
    let digits = card(serial);
    [&digits[..4], &digits[4..8], &digits[8..12], &digits[12..]].join(gap)
}

/// ASCII in its full-width form.
fn full_width(text: &str) -> String {
    text.chars().map(|letter| char::from_u32(u32::from(letter) + 0xfee0).unwrap()).collect()
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = |chunk: &[u8]| (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
    let four = |chunk: &[u8]| {
        let (bits, length) = (bits(chunk), chunk.len());
        (0..4).map(move |at| if at > length { '=' } else { char::from(ALPHABET[bits >> (18 - 6 * at) & 63]) }).collect::<String>()
    };
    text.as_bytes().chunks(3).map(four).collect()
}

/// What of a text's base64 does not depend on its neighbours, for each of the three ways that it may begin.
pub(super) fn base64_cores(text: &str) -> [String; 3] {
    let core = |lead: usize, from: usize| {
        let all = base64(&format!("{}{text}", "?".repeat(lead)));
        let whole = (lead + text.len()) * 8 / 6;
        all[from..whole].to_owned()
    };
    [core(0, 0), core(1, 2), core(2, 3)]
}

/// One of each, with marks of their own.
pub(super) fn all(serial: &mut u32) -> Vec<Secret> {
    let mut secrets = Vec::new();
    let mut add = |kind: &'static str, make: &dyn Fn(u32) -> String| {
        *serial += 1;
        secrets.push(Secret { kind, text: make(*serial) });
    };
    add("card", &|n| format!("paid by {} today", card(n)));
    for (kind, gap) in [
        ("card with blanks", " "),
        ("card with dashes", "-"),
        ("card with points", "."),
        ("card with plus signs", "+"),
        ("card with hard blanks", "\u{a0}"),
        ("card with thin blanks", "\u{2009}"),
        ("card with long dashes", "\u{2013}"),
        ("card with invisible blanks", "\u{200b}"),
        ("card with encoded blanks", "%20"),
    ] {
        add(kind, &|n| format!("paid by {} today", grouped(n, gap)));
    }
    add("full-width card", &|n| full_width(&card(n)));
    add("bearer token", &|n| format!("sent Bearer {}.t0 on", mark(n)));
    add("basic credentials", &|n| format!("sent Basic {} on", base64(&format!("ann:{}", mark(n)))));
    add("jwt", &|n| format!("t eyJhbGciOiJIUzI1NiJ9.eyJ{0}.{0} t", mark(n)));
    add("password in a URL", &|n| format!("postgres://app:{}@db:5432/shop", mark(n)));
    add("password in a URL within JSON", &|n| format!(r#"{{"u":"https:\/\/app:{}@db\/shop"}}"#, mark(n)));
    add("token in a URL", &|n| format!("https://shop/cb?a=1&access_token={}&b=2#top", mark(n)));
    add("token in a URL within a URL", &|n| format!("https://shop/in?next=%2Fcb%3Ftoken%3D{}%26x%3D1", mark(n)));
    add("token in a URL within a URL within a URL", &|n| {
        format!("https://shop/in?next=%2Fin%3Fnext%3D%252Fcb%253Ftoken%253D{}%2526x%253D1", mark(n))
    });
    add("assignment", &|n| format!("connecting with password={} now", mark(n)));
    add("connection string", &|n| format!("Server=db;User Id=sa;Pwd={};Encrypt=true", mark(n)));
    add("environment", &|n| format!("A=1\nDB_PASSWORD={}\nB=2", mark(n)));
    add("header", &|n| format!("Host: a\r\nAuthorization: Token {0} {0}\r\nAccept: b", mark(n)));
    add("cookie", &|n| format!("Cookie: a={0}; b={0}", mark(n)));
    add("yaml", &|n| format!("db:\n  password:    {}\n  user: ann\n", mark(n)));
    add("full-width assignment", &|n| format!("password\u{ff1d}{}", mark(n)));
    add("json", &|n| format!(r#"{{"user":"ann","api_key":"{}","n":1}}"#, mark(n)));
    add("json with layout", &|n| format!("{{\n\t\"client_secret\" :\n\t\t\"{}\"\n}}", mark(n)));
    add("json within json", &|n| format!(r#"{{"m":"{{\"password\": \"{}\"}}"}}"#, mark(n)));
    add("json within json within json", &|n| format!(r#"{{"m":"{{\"m\":\"{{\\\"password\\\": \\\"{}\\\"}}\"}}"}}"#, mark(n)));
    add("json with escapes", &|n| format!(r#"{{"u":"https://h/?token\u003d{}\u0026x\u003d1"}}"#, mark(n)));
    add("json list", &|n| format!(r#"{{"password":["{0}","{0}"],"n":1}}"#, mark(n)));
    add("json object", &|n| format!(r#"{{"credentials":{{"user":"ann","key":"{}"}},"n":1}}"#, mark(n)));
    // In pieces, so that no scanner takes this file for a leak.
    add("aws key", &|n| format!("use {}{} here", "AKIA", capitals(n)));
    add("aws session key", &|n| format!("use {}{} here", "ASIA", capitals(n)));
    add("github token", &|n| format!("use {}_{} here", "ghp", long(n)));
    add("github fine-grained token", &|n| format!("use github_{}_{} here", "pat", long(n)));
    add("gitlab token", &|n| format!("use {}-{} here", "glpat", long(n)));
    add("stripe key", &|n| format!("use {}_{}_{} here", "sk", "live", long(n)));
    add("slack token", &|n| format!("use {}b-{} here", "xox", long(n)));
    add("google key", &|n| format!("use {}{} here", "AIza", long(n)));
    add("npm token", &|n| format!("use {}_{} here", "npm", long(n)));
    add("ai key", &|n| format!("use {}-proj-{} here", "sk", long(n)));
    add("sendgrid key", &|n| format!("use {}.{1}.{1} here", "SG", long(n)));
    add("private key", &|n| format!("-----BEGIN {0} KEY-----\nMII{1}\n-----END {0} KEY-----", "PRIVATE", mark(n)));
    add("e-mail address", &|n| format!("mail {}@example.org now", mark(n)));
    add("encoded e-mail address", &|n| format!("/users/{}%40example.org/orders", mark(n)));
    secrets
}

/// Secrets that are known by the name of their attribute: name and value.
pub(super) fn named(serial: &mut u32) -> Vec<(&'static str, String)> {
    let names = ["password", "db.user.passwd", "X-Api-Key", "http.request.header.authorization", "set-cookie", "accessToken"];
    let mut made = Vec::new();
    for name in names {
        *serial += 1;
        made.push((name, mark(*serial)));
    }
    made
}
