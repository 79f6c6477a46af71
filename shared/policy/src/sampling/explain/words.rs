//! The words for a vote.

#[cfg(test)]
mod tests;

use spanlake_model::TraceId;

use super::super::hash::hash;
use super::super::threshold::{NEVER, rejection};
use super::{Asked, AskedPart, AskedSub, Combined, Measures, Room, TOO_LARGE, Test};

/// Characters of an explanation.
const EXPLANATION_MAX: usize = 400;

/// What a condition came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Yes,
    No,
    /// It could not be executed on a span.
    Failed,
    /// It depends on other traces in a way that the measures don't tell.
    Unknown,
}

/// A trace: what its votes refer to.
#[derive(Clone, Copy)]
struct Seen<'a> {
    id: &'a TraceId,
    measures: &'a Measures,
}

/// The value that decided each vote, in words, by policy; policies without a vote are left out. `deciding` is the policy that
/// decided, or the reason in its place, as [`crate::Rules::policy_name`] and [`TOO_LARGE`] have it; of a `composite` it may be
/// followed by `/` and the sub-policy.
#[must_use]
pub fn explanations<'a>(
    asked: &'a [Asked],
    votes: &[(String, String)],
    deciding: &str,
    id: &TraceId,
    measures: &Measures,
) -> Vec<(&'a str, String)> {
    let explained = asked.iter().filter_map(|asked| {
        let name = asked.policy.as_str();
        let sub = deciding.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
        match votes.iter().find(|(policy, _)| policy == name) {
            Some((_, vote)) => Some((name, explanation(asked, vote, sub, id, measures))),
            None if name == TOO_LARGE && deciding == TOO_LARGE => Some((name, explanation(asked, "", None, id, measures))),
            None => None,
        }
    });
    explained.filter(|(_, text)| !text.is_empty()).collect()
}

/// The value that decided a policy's vote, in words. `vote` is its [name](crate::Vote::name), and `sub` the sub-policy of a
/// `composite` that decided the trace, if it did.
#[must_use]
pub fn explanation(asked: &Asked, vote: &str, sub: Option<&str>, id: &TraceId, measures: &Measures) -> String {
    let seen = Seen { id, measures };
    let is_match = matches!(vote, "sampled" | "dropped" | "invert_sampled");
    let text = match (asked.combined, asked.subs.as_slice()) {
        (Combined::First, subs) => seen.first(subs, is_match, sub),
        (_, [only]) => seen.all(&only.parts, is_match),
        _ => String::new(),
    };
    cut(&text, EXPLANATION_MAX)
}

impl Seen<'_> {
    /// What ended the asking: the first part that does not match. Where all do, all of them.
    fn all(&self, parts: &[AskedPart], is_match: bool) -> String {
        if parts.is_empty() {
            return "it has no sub-policies".to_owned();
        }
        let first = |wanted: State| parts.iter().find(|part| self.state(part) == wanted);
        let ended = parts.iter().find(|part| matches!(self.state(part), State::No | State::Failed));
        match ended.or_else(|| first(State::Unknown)).filter(|_| !is_match) {
            Some(part) => self.part(part, Some(false)),
            None => joined(parts.iter().map(|part| self.part(part, Some(true)))),
        }
    }

    /// Of a `composite`: the sub-policy that decided, or the one for which there was no room, or what none of them matched.
    fn first(&self, subs: &[AskedSub], is_match: bool, decided: Option<&str>) -> String {
        let matches = |sub: &&AskedSub| sub.parts.iter().all(|part| matches!(self.state(part), State::Yes | State::Unknown));
        let named = decided.and_then(|name| subs.iter().find(|sub| sub.name == name));
        if is_match {
            let fits = |sub: &&AskedSub| matches(sub) && sub.rooms.iter().all(|room| self.has_room(room) != State::No);
            return match named.or_else(|| subs.iter().find(fits)).or_else(|| subs.iter().find(matches)) {
                Some(sub) => format!("{}: {}; there was room for it", sub.name, self.all(&sub.parts, true)),
                None => String::new(),
            };
        }
        match subs.iter().find(matches) {
            Some(sub) => {
                let full = sub.rooms.iter().find(|room| self.has_room(room) == State::No).or_else(|| sub.rooms.first());
                let room = full.map(|room| self.room(room, Some(false))).unwrap_or_default();
                format!("{}: {}; {room}", sub.name, self.all(&sub.parts, true))
            }
            None => joined(subs.iter().map(|sub| format!("{}: {}", sub.name, self.all(&sub.parts, false)))),
        }
    }

    /// A condition with its name. `matched` is what is known of it from the vote.
    fn part(&self, part: &AskedPart, matched: Option<bool>) -> String {
        let text = self.test(&part.test, matched.map(|matched| matched != part.negated));
        match (part.negated, part.name.as_str()) {
            (false, "") => text,
            (false, name) => format!("{name}: {text}"),
            (true, "") => format!("not: {text}"),
            (true, name) => format!("not {name}: {text}"),
        }
    }

    fn state(&self, part: &AskedPart) -> State {
        let of = |holds: bool| if holds { State::Yes } else { State::No };
        let measures = self.measures;
        let state = match &part.test {
            Test::Always => State::Yes,
            Test::Span { met, failed, .. } if measures.bits & failed != 0 && measures.bits & met == 0 => State::Failed,
            Test::Span { met, inverted, .. } => of((measures.bits & met != 0) != *inverted),
            Test::Latency { lower_ms, upper_ms, inclusive } => {
                let ms = measures.duration_ms.unwrap_or(0);
                let is_above = ms > *lower_ms || (*inclusive && upper_ms.is_none() && ms == *lower_ms);
                of(is_above && upper_ms.is_none_or(|upper| ms <= upper))
            }
            Test::Spans { min, max } => {
                let spans = i64::try_from(measures.spans).unwrap_or(i64::MAX);
                of(spans >= *min && max.is_none_or(|max| spans <= max))
            }
            Test::Chance { ratio, .. } if measures.by_randomness => of(self.randomness() >= rejection(*ratio)),
            Test::Chance { salted, threshold, .. } => of(hash(*salted, self.id) <= *threshold),
            Test::Room(room) => self.has_room(room),
            Test::Size { most } => of(measures.groups_bytes <= *most),
        };
        match state {
            State::Yes if part.negated => State::No,
            State::No if part.negated => State::Yes,
            state => state,
        }
    }

    fn test(&self, test: &Test, held: Option<bool>) -> String {
        match test {
            Test::Always => "every trace".to_owned(),
            Test::Span { met, failed, inverted, counts_errors, what } => {
                self.span((*met, *failed), what, *inverted, *counts_errors)
            }
            Test::Latency { lower_ms, upper_ms, inclusive } => self.latency(*lower_ms, *upper_ms, *inclusive),
            Test::Spans { min, max } => self.spans(*min, *max),
            Test::Chance { salted, threshold, ratio } => self.chance(*salted, *threshold, *ratio),
            Test::Room(room) => self.room(room, held),
            Test::Size { most } => {
                format!("{} bytes, beyond {}", thousands(self.measures.groups_bytes), thousands(*most))
            }
        }
    }

    fn span(&self, (met, failed): (u64, u64), what: &str, inverted: bool, counts_errors: bool) -> String {
        let Measures { bits, spans, errors, .. } = self.measures;
        let found = bits & met != 0;
        let text = if found && counts_errors && *errors > 0 {
            let verb = what.replacen("has", "have", usize::from(*errors != 1));
            format!("{} of {} {verb}", thousands(*errors), counted((*spans).max(*errors), "span"))
        } else if found {
            format!("a span {what}")
        } else if bits & failed != 0 {
            format!("it could not be worked out on a span whether it {what}")
        } else {
            format!("no span {what}")
        };
        if inverted { format!("{text}; the match is inverted") } else { text }
    }

    fn latency(&self, lower_ms: i64, upper_ms: Option<i64>, inclusive: bool) -> String {
        let shown = match self.measures.duration_ms {
            Some(ms) => format!("{} ms", signed(ms)),
            None => "no times are set, which counts as 0 ms".to_owned(),
        };
        let ms = self.measures.duration_ms.unwrap_or(0);
        let lower = format!("{} ms", signed(lower_ms));
        match upper_ms {
            None if inclusive && ms >= lower_ms => format!("{shown}, at least {lower}"),
            None if inclusive => format!("{shown}, below {lower}"),
            _ if ms <= lower_ms => format!("{shown}, not above {lower}"),
            None => format!("{shown}, above {lower}"),
            Some(upper) if ms > upper => format!("{shown}, above the upper bound of {} ms", signed(upper)),
            Some(upper) => format!("{shown}, above {lower} and at most {} ms", signed(upper)),
        }
    }

    fn spans(&self, min: i64, max: Option<i64>) -> String {
        let spans = i64::try_from(self.measures.spans).unwrap_or(i64::MAX);
        let shown = counted(self.measures.spans, "span");
        match max {
            _ if spans < min => format!("{shown}, below {}", signed(min)),
            Some(max) if spans > max => format!("{shown}, above {}", signed(max)),
            Some(max) => format!("{shown}, from {} to {}", signed(min), signed(max)),
            None => format!("{shown}, at least {}", signed(min)),
        }
    }

    fn chance(&self, salted: u64, threshold: u64, ratio: f64) -> String {
        let (what, place, is_in) = if self.measures.by_randomness {
            ("randomness", self.rank(), self.randomness() >= rejection(ratio))
        } else {
            let hash = hash(salted, self.id);
            ("hash", percent(part_of(hash, u64::MAX)), hash <= threshold)
        };
        let place_of = if is_in { "within" } else { "beyond" };
        format!("its {what} lies at {place}, {place_of} {} %", plain(ratio * 100.0))
    }

    fn has_room(&self, room: &Room) -> State {
        if self.size(room) > room.size_max || self.randomness() < room.closed { State::No } else { State::Unknown }
    }

    fn room(&self, room: &Room, held: Option<bool>) -> String {
        let (one, rate) = if room.counts_bytes { ("byte", "bytes/s") } else { ("span", "spans/s") };
        let limit = format!("{} {rate}", thousands(room.rate));
        let all = counted(room.allowance, one);
        let rank = self.rank();
        let closed = (room.closed > 0).then(|| percent(part_of(NEVER.saturating_sub(room.closed), NEVER)));
        if held == Some(true) {
            return match closed {
                Some(closed) => {
                    format!("there was room: {limit}, the window's {all} went to ranks up to {closed}, and it ranks at {rank}")
                }
                None => format!("there was room: {limit}, and the window's {all} were not used up"),
            };
        }
        let size = counted(self.size(room), one);
        if self.size(room) > room.size_max {
            return format!("no room: {limit}, and its {size} are more than the {} that are let in", thousands(room.size_max));
        }
        match closed.filter(|_| self.randomness() < room.closed) {
            Some(closed) => format!("no room: {limit}, the window's {all} went to ranks up to {closed}, and it ranks at {rank}"),
            None => format!("no room: {limit}, and its {size} were more than what was left of the window's {all}"),
        }
    }

    fn size(&self, room: &Room) -> u64 {
        if room.counts_bytes { self.measures.whole_bytes } else { self.measures.spans }
    }

    fn randomness(&self) -> u64 {
        let low = u128::from_be_bytes(self.id.0) & u128::from(NEVER - 1);
        self.measures.randomness.unwrap_or_else(|| u64::try_from(low).unwrap_or(0))
    }

    /// Its place by randomness: the highest is at 0 %.
    fn rank(&self) -> String {
        percent(part_of(NEVER.saturating_sub(self.randomness()), NEVER))
    }
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join("; ")
}

#[expect(clippy::cast_precision_loss, reason = "shown to three places")]
fn part_of(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64 * 100.0
}

fn percent(share: f64) -> String {
    format!("{share:.3} %")
}

/// A number as it was configured: without the last digits of binary fractions.
fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `1 span`, `2,000 spans`.
fn counted(count: u64, one: &str) -> String {
    format!("{} {one}{}", thousands(count), if count == 1 { "" } else { "s" })
}

fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", thousands(number.unsigned_abs()))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A condition of OTTL without the texts and numbers that it compares with; names within brackets stay.
pub(super) fn without_literals(condition: &str) -> String {
    let (mut out, mut rest) = (String::new(), condition);
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' => quoted_bytes(rest),
            _ if next.is_alphanumeric() || matches!(next, '_' | '.') => {
                rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.')).unwrap_or(rest.len())
            }
            _ => next.len_utf8(),
        };
        let (token, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        // What stands within the brackets of a path, not of a list.
        let is_name = out.strip_suffix('[').is_some_and(|path| path.ends_with(|c: char| c.is_alphanumeric() || c == ']'));
        let is_text = next == '"' && !is_name;
        if is_text || token.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit()) {
            out.push_str("...");
        } else {
            out.push_str(token);
        }
        rest = behind;
    }
    out
}

/// The length of the quoted text that this begins with; all of it where it does not end.
fn quoted_bytes(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A text of at most so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
