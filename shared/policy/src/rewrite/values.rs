//! What happens at a value: the stages in their order, then the built-in masking, then the bounds.

use std::borrow::Cow;

use spanlake_otlp::schema::{ANY_VALUE, Field, KEY_VALUE};
use spanlake_otlp::wire::{Reader, Value, put_len};

use super::MASK;
use super::builtin::{self, Rule};
use super::keys::{KeyAction, KeyPlan};
use super::walk::{DEPTH_MAX, Malformed, Walk, fits};
use crate::rules::{Owner, Redact, Scalar, Stage, Statement, Target};

/// `AnyValue.string_value_strindex`, which stands for no value here: there is no table of strings.
const STRINDEX: u32 = 8;

/// What a text is to its message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A string field.
    Field(Owner, u32),
    /// The value of an attribute of this key.
    Attribute(Owner, &'a str),
    /// Anything deeper: keys, list elements, nested maps' values.
    Nested,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) subject: Subject<'a>,
    /// What the rules say about its key.
    pub(super) key: KeyPlan,
    /// Within a log's body, where `redaction` also deletes nested keys and reads numbers as text.
    pub(super) body: bool,
    /// A real string, as policies compare it, not bytes that happen to be text.
    pub(super) string: bool,
}

impl<'a> Place<'a> {
    pub(super) fn of(subject: Subject<'a>) -> Self {
        Self { subject, key: KeyPlan::plain(), body: false, string: true }
    }

    fn deletable(&self) -> bool {
        self.body || matches!(self.subject, Subject::Attribute(..))
    }
}

/// What the stages make of a value.
enum End {
    Same,
    Text(String),
    Delete,
}

impl Walk<'_> {
    /// An attribute of a message: `ends` are the starts of the field and of its payload, and their end.
    pub(super) fn attribute(
        &mut self,
        owner: Owner,
        pair: &[u8],
        (raw, start, end): (usize, usize, usize),
        number: usize,
        depth: u32,
    ) -> Result<(), Malformed> {
        let is_within = number <= self.rules.limits.attributes;
        if is_within && self.scratch.clean.contains(self.signal, pair) {
            return Ok(());
        }
        let (mark, bounded, counted) = (self.scratch.edits.len(), self.bounded, self.scratch.counted);
        let mut is_plain = false;
        if is_within && let Some((key, text)) = plain_text(pair) {
            is_plain = self.scratch.keys.get(self.rules, self.signal, key).plain;
            if is_plain && let Some(masked) = self.bounded_text(text, &Place::of(Subject::Attribute(owner, "")), &mut 0) {
                self.scratch.edits.payload(end - text.len(), end, |out| out.extend_from_slice(masked.as_bytes()));
            }
        }
        if !is_plain {
            let deleted;
            (deleted, is_plain) = self.pair(Some(owner), pair, start, false, 0, depth)?;
            if deleted || !is_within {
                self.scratch.edits.truncate(mark);
                self.scratch.edits.remove(raw, end);
                self.bounded = bounded + u64::from(!deleted);
            }
        }
        // A mask that is masked again stays as it is and is counted: that must not depend on what came before.
        if is_plain && (mark, bounded, counted) == (self.scratch.edits.len(), self.bounded, self.scratch.counted) {
            self.scratch.clean.remember(self.signal, pair);
        }
        Ok(())
    }

    /// The value of a log record's body.
    pub(super) fn body(&mut self, owner: Owner, number: u32, value: &[u8], start: usize, depth: u32) -> Result<(), Malformed> {
        let place = Place { body: true, ..Place::of(Subject::Field(owner, number)) };
        self.value(&place, value, start, 0, depth).map(|_| ())
    }

    /// A `KeyValue`: whether it is to be deleted, and whether only its value's own text matters. `owner` is set for a
    /// message's own attributes.
    fn pair(
        &mut self,
        owner: Option<Owner>,
        pair: &[u8],
        base: usize,
        body: bool,
        skip: u32,
        depth: u32,
    ) -> Result<(bool, bool), Malformed> {
        let key = last_key(pair)?;
        let plan = self.scratch.keys.get(self.rules, self.signal, key);
        let name = if plan.plain { "" } else { std::str::from_utf8(key).unwrap_or("") };
        let subject = owner.map_or(Subject::Nested, |owner| Subject::Attribute(owner, name));
        let place = Place { subject, key: plan, body, string: true };
        let mut deleted = false;
        let mut fields = Reader::with_base(pair, base);
        while let Some(field) = fields.next()? {
            let end = base + fields.position();
            match (field.number, field.value) {
                (1, Value::Len(text)) => {
                    if (plan.dirty || text != key)
                        && let Some(masked) = self.text(text, &Place::of(Subject::Nested), &mut 0)
                    {
                        self.scratch.edits.payload(end - text.len(), end, |out| out.extend_from_slice(masked.as_bytes()));
                    }
                }
                (2, Value::Len(value)) => deleted |= self.value(&place, value, end - value.len(), skip, depth + 1)?,
                (number, value) if KEY_VALUE.field(number).is_some_and(|known| fits(known.kind, known.repeated, value)) => {}
                _ => self.scratch.edits.remove(end - field.raw.len(), end),
            }
        }
        Ok((deleted || (plan.deletes() && place.deletable()), plan.plain))
    }

    /// An `AnyValue`; true if what holds it is to be deleted.
    fn value(&mut self, place: &Place<'_>, value: &[u8], base: usize, skip: u32, depth: u32) -> Result<bool, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed);
        }
        let (mut skip, mark) = (skip, self.scratch.edits.len());
        let (kind, counts_from) = last_kind(value)?;
        if place.key.leaves != 0 {
            self.scalar = scalar_of(value);
        }
        let whole = match kind {
            Some(1) => End::Same,
            _ if place.key.plain => End::Same,
            _ => self.run(None, place, &mut skip, kind != Some(2)),
        };
        match whole {
            End::Delete => return Ok(true),
            End::Text(text) => {
                self.scratch.edits.payload(base, base + value.len(), |out| put_len(out, 1, text.as_bytes()));
                return Ok(false);
            }
            End::Same => {}
        }
        let mut fields = Reader::with_base(value, base);
        while let Some(field) = fields.next()? {
            let end = base + fields.position();
            let is_shadowed = end - field.raw.len() < base + counts_from;
            let known =
                ANY_VALUE.field(field.number).filter(|known| !is_shadowed && fits(known.kind, known.repeated, field.value));
            match (known.map(|known| known.number), field.value) {
                (Some(1 | 7), Value::Len(text)) => {
                    let place = Place { string: field.number == 1, ..*place };
                    let Some(masked) = self.bounded_text(text, &place, &mut skip) else { continue };
                    self.scratch.edits.payload(end - text.len(), end, |out| out.extend_from_slice(masked.as_bytes()));
                }
                (Some(number @ (5 | 6)), Value::Len(list)) => {
                    self.list(place, number, list, end - list.len(), skip, depth + 1)?;
                }
                (Some(_), scalar) => {
                    if place.body
                        && self.scans_values
                        && let Some(masked) = scalar_text(field.number, scalar).and_then(|text| self.searched(&text, place, skip))
                    {
                        self.scratch.edits.truncate(mark);
                        self.scratch.edits.payload(base, base + value.len(), |out| put_len(out, 1, masked.as_bytes()));
                        return Ok(false);
                    }
                }
                (None, _) => self.scratch.edits.remove(end - field.raw.len(), end),
            }
        }
        Ok(false)
    }

    /// The elements of an `ArrayValue` (5) or `KeyValueList` (6).
    fn list(&mut self, place: &Place<'_>, number: u32, list: &[u8], base: usize, skip: u32, depth: u32) -> Result<(), Malformed> {
        let element = Place { body: place.body, ..Place::of(Subject::Nested) };
        let mut fields = Reader::with_base(list, base);
        while let Some(field) = fields.next()? {
            let end = base + fields.position();
            let raw = end - field.raw.len();
            let (1, Value::Len(payload)) = (field.number, field.value) else {
                self.scratch.edits.remove(raw, end);
                continue;
            };
            let start = end - payload.len();
            if number == 5 {
                self.value(&element, payload, start, skip, depth)?;
                continue;
            }
            let mark = self.scratch.edits.len();
            if self.pair(None, payload, start, place.body, skip, depth)?.0 && place.body {
                self.scratch.edits.truncate(mark);
                self.scratch.edits.remove(raw, end);
            }
        }
        Ok(())
    }

    /// A text's replacement with an attribute's bounds applied; `None` if it stays.
    fn bounded_text(&mut self, text: &[u8], place: &Place<'_>, skip: &mut u32) -> Option<String> {
        let masked = self.text(text, place, skip);
        let limit = self.rules.limits.value_bytes;
        let length = masked.as_ref().map_or(text.len(), String::len);
        if length <= limit || place.body || (!place.string && masked.is_none() && std::str::from_utf8(text).is_err()) {
            return masked;
        }
        let mut cut = masked.unwrap_or_else(|| String::from_utf8_lossy(text).into_owned());
        cut.truncate(cut.floor_char_boundary(limit));
        self.bounded += 1;
        Some(cut)
    }

    /// A text's replacement; `None` if it stays.
    #[inline]
    pub(super) fn text(&mut self, text: &[u8], place: &Place<'_>, skip: &mut u32) -> Option<String> {
        let targeted = self.plan.has_field_targets && matches!(place.subject, Subject::Field(..));
        let quiet = place.key.plain && !self.scans_values && !targeted;
        let is_unread = || place.string && std::str::from_utf8(text).is_err();
        if quiet && !(self.plan.builtin && (builtin::suspect(text) || is_unread())) {
            return None;
        }
        self.text_slowly(text, place, skip)
    }

    fn text_slowly(&mut self, text: &[u8], place: &Place<'_>, skip: &mut u32) -> Option<String> {
        let end = match std::str::from_utf8(text) {
            Ok(text) => self.run(Some(text), place, skip, true),
            // A string that is no text fails closed; so do bytes that hold a secret among others.
            Err(_) if place.string => End::Text(MASK.to_owned()),
            Err(_) => match self.run(Some(&String::from_utf8_lossy(text)), place, skip, true) {
                End::Text(_) => End::Text(MASK.to_owned()),
                End::Same | End::Delete => End::Same,
            },
        };
        match end {
            End::Text(text) => Some(text),
            End::Same | End::Delete => None,
        }
    }

    /// The stages at one value; `None` stands for a value that is no text, which reads as empty (as upstream) and can
    /// only be masked whole.
    fn run(&mut self, text: Option<&str>, place: &Place<'_>, skip: &mut u32, hideable: bool) -> End {
        let plan = self.plan;
        let mut current = text.map(Cow::Borrowed);
        for (at, stage) in plan.stages.iter().enumerate() {
            match stage {
                Stage::Sample => self.sample(current.as_deref(), place),
                Stage::Run(_) => {}
                Stage::Transform(statements) => self.transform(statements, &mut current, place),
                Stage::Redact(redact) => {
                    let bit = 1_u32.checked_shl(u32::try_from(at).unwrap_or(u32::MAX)).unwrap_or(0);
                    let action = place.key.action(at);
                    if action == KeyAction::Ignore {
                        *skip |= bit;
                    }
                    if *skip & bit != 0 {
                        continue;
                    }
                    if action == KeyAction::Delete && place.deletable() {
                        return End::Delete;
                    }
                    let attribute = place.body || !matches!(place.subject, Subject::Field(..));
                    let read = current.as_deref().unwrap_or_default();
                    if attribute && redact.allowed_values.iter().any(|allowed| allowed.is_match(read)) {
                        *skip |= bit;
                    } else if action == KeyAction::Mask {
                        current = Some(Cow::Owned(mask_lines(read)));
                        self.scratch.count(redact.rule);
                    } else if let Some(masked) = search(redact, read).filter(|_| current.is_some() || attribute) {
                        current = Some(Cow::Owned(masked));
                        self.scratch.count(redact.rule);
                    }
                }
            }
        }
        if plan.builtin {
            self.builtin(&mut current, place, hideable);
        }
        match current {
            Some(Cow::Owned(now)) if text != Some(now.as_str()) => End::Text(now),
            _ => End::Same,
        }
    }

    fn sample(&mut self, text: Option<&str>, place: &Place<'_>) {
        let Subject::Attribute(owner @ (Owner::Resource | Owner::Span), _) = place.subject else { return };
        if place.key.leaves == 0 {
            return;
        }
        let value = match text {
            Some(text) if place.string => Scalar::Text(text),
            Some(_) => return,
            None => match self.scalar {
                Some(scalar) => scalar,
                None => return,
            },
        };
        let leaves = self.rules.leaves.attributes.iter().filter(|leaf| leaf.mask & place.key.leaves & !self.bits != 0);
        let met = leaves.filter(|leaf| leaf.matches(value, owner == Owner::Resource)).fold(0, |bits, leaf| bits | leaf.mask);
        self.bits |= met;
    }

    fn transform(&mut self, statements: &[Statement], current: &mut Option<Cow<'_, str>>, place: &Place<'_>) {
        let bound = grown_max(current.as_deref().unwrap_or_default());
        for statement in statements {
            let hit = match (&statement.target, place.subject) {
                (Target::Attribute { owner, key }, Subject::Attribute(of, name)) => *owner == of && key == name,
                (Target::Field { owner, number }, Subject::Field(of, field)) => (*owner, *number) == (of, field),
                _ => false,
            };
            if !hit || !place.string {
                continue;
            }
            let Some(text) = current.as_deref() else { continue };
            if let Some(replaced) = statement.template.replace_all(&statement.regex, text) {
                self.scratch.count(statement.rule);
                if replaced.len() > bound {
                    *current = Some(Cow::Owned(MASK.to_owned()));
                    return;
                }
                *current = Some(Cow::Owned(replaced));
            }
        }
    }

    fn builtin(&mut self, current: &mut Option<Cow<'_, str>>, place: &Place<'_>, hideable: bool) {
        if place.key.sensitive && hideable {
            if !current.as_deref().is_some_and(|text| text.is_empty() || builtin::is_mask(text.as_bytes())) {
                *current = Some(Cow::Owned(self.plan.masking.whole(current.as_deref())));
                self.scratch.count(Rule::SecretName as usize);
            }
            return;
        }
        let Some(text) = current.as_deref() else { return };
        // What came here only because of its text has been looked at already.
        let looked_at = place.key.plain && !self.scans_values && !self.plan.has_field_targets;
        if !looked_at && !builtin::suspect(text.as_bytes()) {
            return;
        }
        let mut hits = std::mem::take(&mut self.scratch.hits);
        if let Some(masked) = self.plan.masking.mask(text, &mut hits, |rule| self.scratch.count(rule as usize)) {
            *current = Some(Cow::Owned(masked));
        }
        self.scratch.hits = hits;
    }

    /// What the `redaction` stages make of a body's number or truth value, read as text.
    fn searched(&mut self, text: &str, place: &Place<'_>, skip: u32) -> Option<String> {
        let mut skip = skip;
        match self.run(Some(text), place, &mut skip, false) {
            End::Text(masked) => Some(masked),
            End::Same | End::Delete => None,
        }
    }
}

/// How long a text may become. Masks make it at most four times as long, unless they stand for nothing: then each pattern may
/// do so again. Short texts may grow so far.
pub(super) fn grown_max(text: &str) -> usize {
    text.len().saturating_mul(4).saturating_add(4096)
}

/// All `blocked_values` in their order; `None` if none matches. A text that grows without an end is masked whole.
fn search(redact: &Redact, text: &str) -> Option<String> {
    if !redact.any_value.as_ref().is_some_and(|any| any.is_match(text)) {
        return None;
    }
    let mut current = Cow::Borrowed(text);
    for pattern in &redact.blocked_values {
        if let Cow::Owned(masked) = pattern.replace_all(&current, regex::NoExpand(MASK)) {
            current = Cow::Owned(masked);
        }
        if current.len() > grown_max(text) {
            return Some(MASK.to_owned());
        }
    }
    Some(current.into_owned())
}

/// A value masked whole, as upstream does with `.*`: one mask for each line.
fn mask_lines(text: &str) -> String {
    let lines = text.bytes().filter(|byte| *byte == b'\n').count();
    let mut masked = String::with_capacity((lines + 1) * (MASK.len() + 1));
    masked.push_str(MASK);
    for _ in 0..lines {
        masked.push('\n');
        masked.push_str(MASK);
    }
    masked
}

/// Key and text of a `KeyValue` in the form that nearly all have: one key, then one value that is one string.
#[inline]
fn plain_text(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, rest) = delimited(pair, 0x0a)?;
    let (value, []) = delimited(rest, 0x12)? else { return None };
    let (text, []) = delimited(value, 0x0a)? else { return None };
    Some((key, text))
}

/// The payload of the field that `bytes` begins with, if it has this one-byte tag and at most two bytes of length.
#[inline]
fn delimited(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [first, low @ 0..0x80, rest @ ..] if *first == tag => (usize::from(*low), rest),
        [first, low, high @ 0..0x80, rest @ ..] if *first == tag => (usize::from(*low & 0x7f) | usize::from(*high) << 7, rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The key of a `KeyValue`: of several the last counts.
fn last_key(pair: &[u8]) -> Result<&[u8], Malformed> {
    let mut key = &[][..];
    let mut fields = Reader::new(pair);
    while let Some(field) = fields.next()? {
        if let (1, Value::Len(text)) = (field.number, field.value) {
            key = text;
        }
    }
    Ok(key)
}

/// The number of the field that is an `AnyValue`'s value (of several kinds the last one counts), and where the fields of
/// that kind begin that count. What stands before is no value: no reader sees it, and no rule would look at it.
fn last_kind(value: &[u8]) -> Result<(Option<u32>, usize), Malformed> {
    let (mut kind, mut from) = (None, 0);
    let mut fields = Reader::new(value);
    loop {
        let start = fields.position();
        let Some(field) = fields.next()? else { return Ok((kind, from)) };
        let is_value = |known: &&Field| known.number != STRINDEX && fits(known.kind, known.repeated, field.value);
        if let Some(known) = ANY_VALUE.field(field.number).filter(is_value)
            && kind != Some(known.number)
        {
            (kind, from) = (Some(known.number), start);
        }
    }
}

/// The number or truth value that an `AnyValue` is, if it is one.
fn scalar_of(value: &[u8]) -> Option<Scalar<'static>> {
    let mut scalar = None;
    let mut fields = Reader::new(value);
    while let Ok(Some(field)) = fields.next() {
        scalar = match (field.number, field.value) {
            (2, Value::Varint(value)) => Some(Scalar::Bool(value != 0)),
            (3, Value::Varint(value)) => Some(Scalar::Int(value.cast_signed())),
            (4, Value::Fixed64(bits)) => Some(Scalar::Double(f64::from_bits(bits))),
            (number, value) if ANY_VALUE.field(number).is_some_and(|known| fits(known.kind, known.repeated, value)) => None,
            _ => scalar,
        };
    }
    scalar
}

/// A number or truth value as text.
fn scalar_text(number: u32, value: Value<'_>) -> Option<String> {
    match (number, value) {
        (2, Value::Varint(value)) => Some((value != 0).to_string()),
        (3, Value::Varint(value)) => Some(value.cast_signed().to_string()),
        (4, Value::Fixed64(bits)) => Some(f64::from_bits(bits).to_string()),
        _ => None,
    }
}
