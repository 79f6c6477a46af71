//! Secrets that are known by their place in a URL, and e-mail addresses.

use super::hash::{ends_a_mask, is_mask};
use super::{Hit, Rule, scan};

/// How far back the first part of an address is read.
const LOCAL_BYTES_MAX: usize = 64;
/// How long a domain may be.
const DOMAIN_BYTES_MAX: usize = 255;
/// A user name without a password is as good as one if it is so long.
const USER_BYTES_MIN: usize = 16;

/// Notes passwords in `scheme://user:password@host`.
pub(super) fn find_passwords(text: &[u8], hits: &mut Vec<Hit>) {
    let mut at = 0;
    while let Some(colon) = scan::next(text, at, b':') {
        at = colon + 1;
        if text.get(at..at + 2) != Some(b"//") {
            continue;
        }
        let start = at + 2;
        let stops = |byte: u8| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b' ' | b'\n' | b'\t' | b'\\');
        let length = scan::run(text, start, |byte| !stops(byte));
        let authority = text.get(start..start + length).unwrap_or_default();
        at = start;
        let Some(user) = authority.iter().rposition(|byte| *byte == b'@').and_then(|end| authority.get(..end)) else { continue };
        let end = start + user.len();
        match user.iter().position(|byte| *byte == b':') {
            _ if is_mask(user) => {}
            Some(colon) if user.get(colon + 1..).is_some_and(|password| !password.is_empty() && !is_mask(password)) => {
                hits.push(Hit { start: start + colon + 1, end, rule: Rule::UrlPassword });
            }
            None if user.len() >= USER_BYTES_MIN => hits.push(Hit { start, end, rule: Rule::UrlPassword }),
            _ => {}
        }
    }
}

/// Notes e-mail addresses. An `@` that ends a URL's password is none.
pub(super) fn find_emails(text: &[u8], hits: &mut Vec<Hit>) {
    let mut passwords: Vec<usize> = hits.iter().filter(|hit| hit.rule == Rule::UrlPassword).map(|hit| hit.end).collect();
    passwords.reverse();
    let mut at = 0;
    while let Some(sign) = scan::next(text, at, b'@') {
        at = sign + 1;
        while passwords.last().is_some_and(|end| *end < sign) {
            passwords.pop();
        }
        if passwords.last() == Some(&sign) {
            continue;
        }
        let is_local = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-');
        if !matches!(text.get(..sign), Some([.., last]) if is_local(*last)) {
            continue;
        }
        let local = scan::run_back(text, sign, LOCAL_BYTES_MAX, is_local);
        let within = text.get(..text.len().min(at + DOMAIN_BYTES_MAX)).unwrap_or_default();
        let length = scan::run(within, at, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
        let mut domain = text.get(at..at + length).unwrap_or_default();
        while let [shorter @ .., b'.' | b'-'] = domain {
            domain = shorter;
        }
        let top = domain.iter().rposition(|byte| *byte == b'.').and_then(|dot| domain.get(dot + 1..)).unwrap_or_default();
        if top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic) && !ends_a_mask(text, sign) {
            hits.push(Hit { start: sign - local, end: at + domain.len(), rule: Rule::Email });
        }
    }
}
