//! URLs as Go's `net/url` reads them, which is another way than that of browsers.

use std::borrow::Cow;

use spanlake_otlp::tree::{Map, Value};

use super::bounds::lossy;

/// Where a character stands, which tells whether it is escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    User,
    Host,
    Fragment,
    /// A query, in which `+` is a blank.
    Query,
}

/// A URL's parts, without escapes.
#[derive(Default)]
struct Url<'t> {
    scheme: String,
    opaque: &'t str,
    user: Option<(String, Option<String>)>,
    host: String,
    path: String,
    /// The path as it stands.
    raw_path: &'t str,
    omits_host: bool,
    query: &'t str,
    has_empty_query: bool,
    fragment: String,
    raw_fragment: &'t str,
}

/// The attributes of a URL in the names of the semantic conventions; `None` where it is none.
pub(super) fn parts<'a>(text: &str) -> Option<Map<'a>> {
    let mut map = Map::default();
    if let Some(query) = text.strip_prefix('?') {
        let query = query_map(query)?;
        if !query.is_empty() {
            map.set(Cow::Borrowed("query"), Value::Map(query));
        }
        return Some(map);
    }
    let url = Url::new(text)?;
    let mut put = |key: &'static str, value: String| map.set(Cow::Borrowed(key), Value::String(Cow::Owned(value)));
    put("url.original", url.whole());
    let (host, port) = url.host_and_port();
    put("url.domain", host.to_owned());
    put("url.scheme", url.scheme.clone());
    put("url.path", url.path.clone());
    if !url.fragment.is_empty() {
        put("url.fragment", url.fragment.clone());
    }
    if let Some((name, password)) = &url.user {
        put("url.user_info", url.user_info().unwrap_or_default());
        if !name.is_empty() {
            put("url.username", name.clone());
        }
        if let Some(password) = password {
            put("url.password", password.clone());
        }
    }
    if !url.query.is_empty() {
        put("url.query", url.query.to_owned());
    }
    if let Some((_, extension)) = url.path.rsplit_once('.').filter(|(_, extension)| !extension.is_empty()) {
        put("url.extension", extension.to_owned());
    }
    if !port.is_empty() {
        map.set(Cow::Borrowed("url.port"), Value::Int(port.parse().ok()?));
    }
    Some(map)
}

fn query_map<'a>(query: &str) -> Option<Map<'a>> {
    let mut map = Map::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if pair.contains(';') {
            return None;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = Value::String(Cow::Owned(unescape(value, Place::Query)?));
        match map.entry(Cow::Owned(unescape(key, Place::Query)?)) {
            Value::List(values) => values.push(value),
            new => *new = Value::List(vec![value]),
        }
        if map.len() > 1000 {
            return None;
        }
    }
    Some(map)
}

impl<'t> Url<'t> {
    fn new(text: &'t str) -> Option<Self> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return None;
        }
        let mut url = Self { fragment: unescape(fragment, Place::Fragment)?, raw_fragment: fragment, ..Self::default() };
        let (scheme, mut rest) = scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        if rest.ends_with('?') && rest.matches('?').count() == 1 {
            url.has_empty_query = true;
            rest = rest.trim_end_matches('?');
        } else if let Some((before, query)) = rest.split_once('?') {
            (rest, url.query) = (before, query);
        }
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                url.opaque = rest;
                return Some(url);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return None;
            }
        }
        match rest.strip_prefix("//") {
            Some(behind) if !scheme.is_empty() || !behind.starts_with('/') => {
                let end = behind.find('/').unwrap_or(behind.len());
                let (authority, path) = behind.split_at_checked(end)?;
                url.authority(authority)?;
                rest = path;
            }
            _ => url.omits_host = !scheme.is_empty() && rest.starts_with('/'),
        }
        url.path = unescape(rest, Place::Path)?;
        url.raw_path = rest;
        Some(url)
    }

    fn authority(&mut self, authority: &str) -> Option<()> {
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let port_from = if host.starts_with('[') { host.rfind(']')? + 1 } else { host.rfind(':').unwrap_or(host.len()) };
        if !is_port(host.get(port_from..)?) {
            return None;
        }
        self.host = unescape(host, Place::Host)?;
        let Some(user) = user else { return Some(()) };
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
        if !user.bytes().all(is_valid) {
            return None;
        }
        self.user = Some(match user.split_once(':') {
            Some((name, password)) => (unescape(name, Place::User)?, Some(unescape(password, Place::User)?)),
            None => (unescape(user, Place::User)?, None),
        });
        Some(())
    }

    fn host_and_port(&self) -> (&str, &str) {
        let (host, port) = match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => (host, port),
            _ => (self.host.as_str(), ""),
        };
        (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port)
    }

    fn user_info(&self) -> Option<String> {
        let (name, password) = self.user.as_ref()?;
        let name = escape(name, Place::User);
        Some(password.as_ref().map_or_else(|| name.clone(), |password| format!("{name}:{}", escape(password, Place::User))))
    }

    /// The URL put together again.
    fn whole(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            let is_named = !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some();
            if is_named && !(self.omits_host && self.host.is_empty() && self.user.is_none()) {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    out.push_str("//");
                }
                if let Some(user) = self.user_info() {
                    out.push_str(&user);
                    out.push('@');
                }
                out.push_str(&escape(&self.host, Place::Host));
            }
            let path = kept_or_escaped(self.raw_path, &self.path, Place::Path);
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                out.push('/');
            }
            if out.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
                out.push_str("./");
            }
            out.push_str(&path);
        } else {
            out.push_str(self.opaque);
        }
        if self.has_empty_query || !self.query.is_empty() {
            out.push('?');
            out.push_str(self.query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&kept_or_escaped(self.raw_fragment, &self.fragment, Place::Fragment));
        }
        out
    }
}

/// What stands before the first colon, if that is the name of a scheme; `None` for a colon at the start.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (at, letter) in text.char_indices() {
        match letter {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return None,
            ':' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => break,
        }
    }
    Some(("", text))
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

const fn is_escaped(byte: u8, place: Place) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => false,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'[' | b']' | b'<' | b'>' | b'"'
            if matches!(place, Place::Host) =>
        {
            false
        }
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match place {
            Place::Path => byte == b'?',
            Place::User => matches!(byte, b'@' | b'/' | b'?' | b':'),
            Place::Fragment => false,
            Place::Host | Place::Query => true,
        },
        b'!' | b'(' | b')' | b'*' => !matches!(place, Place::Fragment),
        _ => true,
    }
}

fn escape(text: &str, place: Place) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_escaped(byte, place) {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

fn unescape(text: &str, place: Place) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let byte = digit()? << 4 | digit()?;
                // Of a host only what is no ASCII may be escaped.
                if place == Place::Host && byte < 0x80 {
                    return None;
                }
                out.push(byte);
            }
            b'+' if place == Place::Query => out.push(b' '),
            _ if place == Place::Host && byte < 0x80 && is_escaped(byte, place) => return None,
            _ => out.push(byte),
        }
    }
    Some(lossy(out))
}

/// A part as it stood, where that is one way to escape it.
fn kept_or_escaped(raw: &str, text: &str, place: Place) -> String {
    let is_valid = |byte: u8| b"!$&'()*+,;=:@[]%".contains(&byte) || !is_escaped(byte, place);
    if raw.bytes().all(is_valid) { raw.to_owned() } else { escape(text, place) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let mut out = String::new();
        parts(text)?.write_json(&mut out);
        Some(out)
    }

    #[test]
    fn urls_are_taken_apart_as_go_does() {
        for (text, wanted) in [
            (
                "http://www.example.com",
                r#"{"url.domain":"www.example.com","url.original":"http://www.example.com","url.path":"","url.scheme":"http"}"#,
            ),
            (
                "/a%20b.txt?q=1",
                r#"{"url.domain":"","url.extension":"txt","url.original":"/a%20b.txt?q=1","url.path":"/a b.txt","url.query":"q=1","url.scheme":""}"#,
            ),
            ("mailto:a@b.c", r#"{"url.domain":"","url.original":"mailto:a@b.c","url.path":"","url.scheme":"mailto"}"#),
            (
                "HTTP://[::1]:80/x y",
                r#"{"url.domain":"::1","url.original":"http://[::1]:80/x%20y","url.path":"/x y","url.port":80,"url.scheme":"http"}"#,
            ),
            ("?a=1&b=x+y&a=2", r#"{"query":{"a":["1","2"],"b":["x y"]}}"#),
        ] {
            assert_eq!(shown(text).as_deref(), Some(wanted), "{text}");
        }
        for bad in [":x", "http://a b/", "http://h:x/", "%zz", "a:b", "http://[::1", "\u{1}"] {
            let is_opaque = bad == "a:b";
            assert_eq!(shown(bad).is_some(), is_opaque, "{bad}");
        }
    }
}
