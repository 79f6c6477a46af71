use super::*;

fn masked(text: &str) -> String {
    masked_by(&Masking::default(), text)
}

fn masked_by(masking: &Masking, text: &str) -> String {
    let found = masking.mask(text, &mut Vec::new(), |_| {});
    assert!(found.is_none() || suspect(text.as_bytes()), "not suspected: {text:?}");
    found.unwrap_or_else(|| text.to_owned())
}

#[test]
fn secrets_are_masked_and_their_surroundings_stay() {
    for (text, wanted) in [
        ("card 4111111111111111 declined", "card **** declined"),
        ("4111 1111 1111 1111", "****"),
        ("pan=4111-1111-1111-1111;", "pan=****;"),
        ("n=4111+1111+1111+1111&x=1", "n=****&x=1"),
        ("amex 378282246310005.", "amex ****."),
        ("amex 3782 822463 10005", "amex ****"),
        ("https://a/b?token=abc&x=1#top", "https://a/b?token=****&x=1#top"),
        ("/login?user=bob&Password=hunter2", "/login?user=bob&Password=****"),
        ("access_token=abc.def; path=/", "access_token=****; path=/"),
        (r#"{"password":"hunter2","user":"bob"}"#, r#"{"password":"****","user":"bob"}"#),
        (r#"{\"api_key\": \"k-1\", \"n\": 1}"#, r#"{\"api_key\": \"****\", \"n\": 1}"#),
        (r#"{"password":"a\"b","x":1}"#, r#"{"password":"****","x":1}"#),
        ("postgres://app:s3cret@db:5432/shop", "postgres://app:****@db:5432/shop"),
        ("Server=db;User Id=sa;Password=p w;", "Server=db;User Id=sa;Password=**** w;"),
        ("Authorization: Bearer abc123def456", "Authorization: ****"),
        ("got Bearer abc123def456 from it", "got Bearer **** from it"),
        ("Basic dXNlcjpwYXNz", "Basic ****"),
        ("Cookie: a=b; c=d", "Cookie: ****"),
        ("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln y", "x **** y"),
        ("key AKIAIOSFODNN7EXAMPLE!", "key ****!"),
        ("mail ann@example.org now", "mail **** now"),
        ("password: hunter2", "password: ****"),
        ("password:\t\t  hunter2", "password:\t\t  ****"),
        ("{\n\"password\" :\n\t\"hunter2\"}", "{\n\"password\" :\n\t\"****\"}"),
        (r#"{"m":"{\\\"password\\\": \\\"hunter2\\\"}"}"#, r#"{"m":"{\\\"password\\\": \\\"****\\\"}"}"#),
        (r#"{"password":["a]","b"],"n":[1]}"#, r#"{"password":****,"n":[1]}"#),
        (r#"{"credentials":{"a":{"b":"c"}},"n":1}"#, r#"{"credentials":****,"n":1}"#),
        ("4111.1111.1111.1111.", "****."),
        ("card 4111_1111_1111_1111", "card ****"),
    ] {
        assert_eq!(masked(text), wanted, "{text}");
    }
    let stripe = format!("sk_{}_{}", "live", "abcdefgh12345678");
    assert_eq!(masked(&format!("pay {stripe} now")), "pay **** now");
    let github = format!("ghp_{}", "a1B2".repeat(9));
    assert_eq!(masked(&github), "****");
    let pem = format!("-----BEGIN RSA {0} KEY-----\nMIIB\n-----END RSA {0} KEY-----\nrest", "PRIVATE");
    assert_eq!(masked(&pem), "****\nrest");
}

#[test]
fn secrets_are_found_behind_other_writings_of_the_same_text() {
    for (text, wanted) in [
        ("/in?next=%2Fcb%3Ftoken%3Dabc%26x%3D1", "/in?next=%2Fcb%3Ftoken%3D****%26x%3D1"),
        ("/in?n=%252Fcb%253Ftoken%253Dabc%2526x%253D1", "/in?n=%252Fcb%253Ftoken%253D****%2526x%253D1"),
        ("4111%201111%201111%201111", "****"),
        ("/users/ann%40example.org/x", "/users/****/x"),
        (r"{'u':'/?token\u003dabc\u0026x\u003d1'}", r"{'u':'/?token\u003d****\u0026x\u003d1'}"),
        (r"https:\/\/app:s3cret@db\/shop", r"https:\/\/app:****@db\/shop"),
        ("\u{ff14}111111111111111", "****"),
        ("n 4111\u{2013}1111\u{2013}1111\u{2013}1111.", "n ****."),
        ("4111\u{200b}1111\u{200b}1111\u{200b}1111", "****"),
        ("pass\u{ad}word\u{ff1d}hunter2 x", "pass\u{ad}word\u{ff1d}**** x"),
        ("Bearer%20abc123def456", "Bearer%20****"),
    ] {
        assert_eq!(masked(text), wanted, "{text}");
    }
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    for text in [
        "4111111111111112",
        "1790000000000000000",
        "550e8400-e29b-41d4-a716-446655440000",
        "41111111-1111-1111-1111-111111111111",
        "4111111111111111a",
        "0.4111111111111111",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "GET /api/products/{id}?page=2&size=20",
        "http://cart:8080/items",
        "basic authentication failed",
        "unexpected token: }",
        "SELECT * FROM users WHERE id = ?",
        "lodash@4.17.21",
        "next_page_token=abc",
        "2026-11-21T09:13:18Z",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "token=****",
        "100%25 of 4.5% at C:\\users\\ann, na\u{ef}ve \u{2013} \u{ff08}ok\u{ff09}%",
        "\\u00",
        "%",
        "%4",
        "4111\u{a0}1111\u{2013}1111",
        r#"{"password":****,"n":1}"#,
        "",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn names_of_secrets_are_known_by_their_ends() {
    for name in
        ["password", "db.user.Password", "X-Api-Key", "http.request.header.authorization", "set-cookie", "accessToken", "cvv"]
    {
        assert!(is_secret_name(name), "{name}");
    }
    for name in ["gen_ai.usage.input_tokens", "token_count", "session.id", "key", "lesson", "", "url.path", "password_reset"] {
        assert!(!is_secret_name(name), "{name}");
    }
}

fn keyed() -> Masking {
    Masking { key: HashKey::new(&[b'k'; 32]), ..Masking::default() }
}

/// The digest that stands in a text which holds one mask.
fn digest(text: &str) -> String {
    let masked = masked_by(&keyed(), text);
    let at = masked.find("****:").unwrap_or_else(|| panic!("no digest: {masked}"));
    assert_eq!(masked.matches("****").count(), 1, "{masked}");
    masked[at..at + 37].to_owned()
}

#[test]
fn a_digest_is_that_of_the_secret_alone_however_it_is_written() {
    // By `printf %s hunter2 | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk`, cut to 32 digits.
    assert_eq!(masked_by(&keyed(), "password=hunter2&x=1"), "password=****:f6c2ff60161a7959f8156ad5426e4037&x=1");
    for same in [
        &[
            "a token=hunter2 b",
            "{\"api_key\":\"hunter2\"}",
            "postgres://app:hunter2@db/x",
            "PASSWORD 'hunter2'",
            "/?n=%3Ftoken%3Dhunter2%26x",
        ][..],
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111%201111%201111%201111",
            "pan=4111.1111.1111.1111;",
            "\u{ff14}111111111111111",
            "card_number=4111111111111111",
        ],
        &["Bearer abc123def456", "Authorization: Bearer abc123def456", "authorization=abc123def456", "Bearer%20abc123def456"],
        &["mail ann@example.org", "ANN@example.org"],
    ] {
        let digests: Vec<_> = same.iter().map(|text| digest(text)).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{same:?} {digests:?}");
    }
    assert_eq!(keyed().whole(Some("Bearer abc123def456")), digest("Bearer abc123def456"));
    assert_eq!(keyed().whole(Some("4111 1111 1111 1111")), digest("4111111111111111"));
    assert_ne!(digest("token=hunter2"), digest("token=hunter3"));
    let other = Masking { key: HashKey::new(&[b'l'; 32]), ..Masking::default() };
    assert_ne!(masked_by(&other, "token=hunter2"), masked_by(&keyed(), "token=hunter2"));
}

#[test]
fn what_is_no_text_or_a_mask_already_has_no_digest() {
    assert_eq!(keyed().whole(None), "****");
    assert_eq!(keyed().whole(Some("****\n****")), "****");
    let once = masked_by(&keyed(), "password=hunter2");
    for text in [
        "password=****",
        "x ****:0123456789abcdef0123456789abcdef y",
        "://a:****:0123456789abcdef0123456789abcdef@db.example.org",
        &once,
    ] {
        assert_eq!(masked_by(&keyed(), text), *text);
        assert_eq!(masked(text), *text);
    }
    assert!(is_mask(once.trim_start_matches("password=").as_bytes()));
    assert!(
        !is_mask(b"****:0123456789abcdef0123456789abcde") && !is_mask(b"****:0123456789ABCDEF0123456789abcdef") && !is_mask(b"")
    );
}

#[test]
fn addresses_are_masked_only_where_they_are_to_be() {
    let without = Masking { emails: false, ..Masking::default() };
    assert_eq!(masked_by(&without, "ann@example.org token=x1"), "ann@example.org token=****");
    assert_eq!(masked("ann@example.org"), "****");
}

#[test]
fn passwords_in_sql_are_masked() {
    for (text, wanted) in [
        ("CREATE USER bob IDENTIFIED BY 'hunter2' REQUIRE SSL", "CREATE USER bob IDENTIFIED BY '****' REQUIRE SSL"),
        ("create user bob identified by tiger;", "create user bob identified by ****;"),
        ("ALTER USER bob IDENTIFIED BY tiger", "ALTER USER bob IDENTIFIED BY ****"),
        (
            "alter user bob identified with caching_sha2_password by 'x y'",
            "alter user bob identified with caching_sha2_password by '****'",
        ),
        ("IDENTIFIED WITH 'plugin' AS '*94BD'", "IDENTIFIED WITH 'plugin' AS '****'"),
        (
            "GRANT ALL ON *.* TO 'a'@'%' IDENTIFIED BY PASSWORD '*94BD'",
            "GRANT ALL ON *.* TO 'a'@'%' IDENTIFIED BY PASSWORD '****'",
        ),
        ("ALTER ROLE app WITH PASSWORD 'hun''ter2'", "ALTER ROLE app WITH PASSWORD '****'"),
        ("set password for 'bob'@'%' = 'hunter2'", "set password for 'bob'@'%' = '****'"),
        ("SET PASSWORD = PASSWORD('hunter2')", "SET PASSWORD = ****'****')"),
        ("SELECT * FROM u WHERE password = 'hunter2' AND id = 7", "SELECT * FROM u WHERE password = '****' AND id = 7"),
        ("the user is identified by their id", "the user is identified by their id"),
        ("column 'password' in 'where clause' is unknown", "column 'password' in 'where clause' is unknown"),
    ] {
        assert_eq!(masked(text), wanted, "{text}");
    }
}

/// Pieces of everything that is looked for, and what may stand around them.
const PIECES: &str = concat!(
    r#"([ -~\n]{0,40}|(pass(word)?|token|sig|[:=&"'@./ \[{}\]-]|4111111111111111|Bearer |eyJ|%3[dD]|%25|%|\\u003[dD]|\\|://|\*{4}|"#,
    r#"IDENTIFIED BY |PASSWORD |for |sk-|gh|p_|AK|IA|xoxb-|-----BEGIN PRIVATE KEY-----|-----END |SG\.|ya29\.|\*{4}:0123456789abcdef0123456789abcdef|"#,
    r#"\u{ff1d}|\u{a0}|\u{3000}|[a-z0-9]{1,9}|[A-Z0-9]{16}|[A-Za-z0-9]{8}|\u{e9}){0,14}"#,
    ")"
);

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(4096))]

    #[test]
    fn no_text_makes_it_panic_a_masked_text_stays_as_it_is_and_none_grows_beyond_its_bound(text in PIECES) {
        for masking in [Masking::default(), keyed(), Masking { emails: false, ..keyed() }] {
            let once = masked_by(&masking, &text);
            proptest::prop_assert!(once == text || once.contains("****"));
            proptest::prop_assert!(once.len() <= grown_max(&text));
            proptest::prop_assert_eq!(masked_by(&masking, &once), once);
        }
    }

    #[test]
    fn nothing_of_a_secret_remains(before in "[ -~]{0,20}", after in "[ -~]{0,20}", kind in 0_usize..8) {
        let secret = "Zq9hunter2Zq9hunter2Zq9hunter2Zq9x";
        let planted = match kind {
            0 => format!(" token={secret} "),
            1 => format!(" Bearer {secret} "),
            2 => format!(" ghp_{secret} "),
            3 => format!(" IDENTIFIED BY '{secret}' "),
            4 => format!(" https://app:{secret}@db/ "),
            5 => format!(" eyJ{secret}.{secret}.{secret} "),
            6 => format!(" -----BEGIN {0} KEY-----\n{secret}\n-----END {0} KEY----- ", "PRIVATE"),
            _ => " 4111-1111-1111-1111 ".to_owned(),
        };
        for masking in [Masking::default(), keyed()] {
            let masked = masked_by(&masking, &format!("{before}{planted}{after}"));
            proptest::prop_assert!(!masked.contains("hunter2") && !masked.contains("1111-1"), "{masked}");
        }
    }
}

#[test]
fn masks_that_would_make_a_text_much_longer_have_no_digests() {
    let text = "pwd=x&".repeat(4096);
    assert_eq!(masked_by(&keyed(), &text), "pwd=****&".repeat(4096));
    assert!(masked_by(&keyed(), &"pwd=x&".repeat(64)).contains("****:"));
}
