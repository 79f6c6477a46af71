use super::*;

fn masked(text: &str) -> String {
    let mut hits = Vec::new();
    find(text, &mut hits);
    assert!(hits.is_empty() || suspect(text.as_bytes()), "not suspected: {text}");
    mask(text, &hits)
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

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_and_a_masked_text_stays_as_it_is(text in r#"[ -~\n]{0,60}|(pass(word)?|token|[:=&"'@./ -]|4111111111111111|Bearer |eyJ|%3[dD]|%25|%|\\u003[dD]|\\|\u{ff1d}|\u{a0}|[a-z0-9]{1,9}|\u{e9}){0,14}"#) {
        let once = masked(&text);
        proptest::prop_assert!(once == text || once.contains("****"));
    }
}
