//! What happens at a value: facts are taken, then the built-in masking runs, then the bounds.

use spanlake_otlp::payload::plain_pair;
use spanlake_otlp::schema::{ANY_VALUE, Field, KEY_VALUE};
use spanlake_otlp::wire::{Reader, Value, put_len};

use super::MASK;
use super::builtin::{self, Rule};
use super::keys::KeyPlan;
use super::walk::{DEPTH_MAX, Malformed, Walk, fits};
use crate::rules::{Owner, Scalar};

/// `AnyValue.string_value_strindex`, which stands for no value here: there is no table of strings.
const STRINDEX: u32 = 8;

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The message whose own attribute it is; `None` for fields, keys and what is deeper.
    pub(super) owner: Option<Owner>,
    /// What the rules say about its key.
    pub(super) key: KeyPlan,
    /// A log's body, which has no bound of an attribute's value.
    pub(super) body: bool,
    /// A real string, as policies compare it, not bytes that happen to be text.
    pub(super) string: bool,
}

impl Place {
    /// A place of which nothing is known.
    pub(super) fn plain() -> Self {
        Self { owner: None, key: KeyPlan::plain(), body: false, string: true }
    }
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
        if is_within && let Some((key, text)) = plain_pair(pair) {
            is_plain = self.scratch.keys.get(self.rules, self.signal, key).plain;
            if is_plain && let Some(masked) = self.bounded_text(text, &Place::plain()) {
                self.scratch.edits.payload(end - text.len(), end, |out| out.extend_from_slice(masked.as_bytes()));
            }
        }
        if !is_plain {
            is_plain = self.pair(Some(owner), pair, start, false, depth)?;
            if !is_within {
                self.scratch.edits.truncate(mark);
                self.scratch.edits.remove(raw, end);
                self.bounded = bounded + 1;
            }
        }
        // A mask that is masked again stays as it is and is counted: that must not depend on what came before.
        if is_plain && (mark, bounded, counted) == (self.scratch.edits.len(), self.bounded, self.scratch.counted) {
            self.scratch.clean.remember(self.signal, pair);
        }
        Ok(())
    }

    /// The value of a log record's body.
    pub(super) fn body(&mut self, value: &[u8], start: usize, depth: u32) -> Result<(), Malformed> {
        self.value(&Place { body: true, ..Place::plain() }, value, start, depth)
    }

    /// A `KeyValue`: whether only its value's own text matters. `owner` is set for a message's own attributes.
    fn pair(&mut self, owner: Option<Owner>, pair: &[u8], base: usize, body: bool, depth: u32) -> Result<bool, Malformed> {
        let key = last_key(pair)?;
        let plan = self.scratch.keys.get(self.rules, self.signal, key);
        let place = Place { owner, key: plan, body, string: true };
        let mut fields = Reader::with_base(pair, base);
        while let Some(field) = fields.next()? {
            let end = base + fields.position();
            match (field.number, field.value) {
                (1, Value::Len(text)) => {
                    if (plan.dirty || text != key)
                        && let Some(masked) = self.text(text, &Place::plain())
                    {
                        self.scratch.edits.payload(end - text.len(), end, |out| out.extend_from_slice(masked.as_bytes()));
                    }
                }
                (2, Value::Len(value)) => self.value(&place, value, end - value.len(), depth + 1)?,
                (number, value) if KEY_VALUE.field(number).is_some_and(|known| fits(known.kind, known.repeated, value)) => {}
                _ => self.scratch.edits.remove(end - field.raw.len(), end),
            }
        }
        Ok(plan.plain)
    }

    /// An `AnyValue`.
    fn value(&mut self, place: &Place, value: &[u8], base: usize, depth: u32) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed);
        }
        let (kind, counts_from) = last_kind(value)?;
        if place.key.leaves != 0 {
            self.scalar = scalar_of(value);
        }
        if kind != Some(1)
            && !place.key.plain
            && let Some(masked) = self.run(None, place, kind != Some(2))
        {
            self.scratch.edits.payload(base, base + value.len(), |out| put_len(out, 1, masked.as_bytes()));
            return Ok(());
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
                    let Some(masked) = self.bounded_text(text, &place) else { continue };
                    self.scratch.edits.payload(end - text.len(), end, |out| out.extend_from_slice(masked.as_bytes()));
                }
                (Some(number @ (5 | 6)), Value::Len(list)) => {
                    self.list(place, number, list, end - list.len(), depth + 1)?;
                }
                (Some(_), _) => {}
                (None, _) => self.scratch.edits.remove(end - field.raw.len(), end),
            }
        }
        Ok(())
    }

    /// The elements of an `ArrayValue` (5) or `KeyValueList` (6).
    fn list(&mut self, place: &Place, number: u32, list: &[u8], base: usize, depth: u32) -> Result<(), Malformed> {
        let element = Place { body: place.body, ..Place::plain() };
        let mut fields = Reader::with_base(list, base);
        while let Some(field) = fields.next()? {
            let end = base + fields.position();
            let (1, Value::Len(payload)) = (field.number, field.value) else {
                self.scratch.edits.remove(end - field.raw.len(), end);
                continue;
            };
            let start = end - payload.len();
            if number == 5 {
                self.value(&element, payload, start, depth)?;
            } else {
                self.pair(None, payload, start, place.body, depth)?;
            }
        }
        Ok(())
    }

    /// A text's replacement with an attribute's bounds applied; `None` if it stays.
    fn bounded_text(&mut self, text: &[u8], place: &Place) -> Option<String> {
        let masked = self.text(text, place);
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
    pub(super) fn text(&mut self, text: &[u8], place: &Place) -> Option<String> {
        // Nearly all texts are ASCII, which is told sooner.
        let is_unread = || place.string && !text.is_ascii() && std::str::from_utf8(text).is_err();
        if place.key.plain && !(self.plan.builtin && (builtin::suspect(text) || is_unread())) {
            return None;
        }
        self.text_slowly(text, place)
    }

    fn text_slowly(&mut self, text: &[u8], place: &Place) -> Option<String> {
        match std::str::from_utf8(text) {
            Ok(text) => self.run(Some(text), place, true),
            // A string that is no text fails closed; so do bytes that hold a secret among others.
            Err(_) if place.string => Some(MASK.to_owned()),
            Err(_) => self.run(Some(&String::from_utf8_lossy(text)), place, true).map(|_| MASK.to_owned()),
        }
    }

    /// What becomes of one value; `None` for one that stays. A value that is no text (`text` is `None`) can only be masked
    /// whole.
    fn run(&mut self, text: Option<&str>, place: &Place, hideable: bool) -> Option<String> {
        self.sample(text, place);
        if !self.plan.builtin {
            return None;
        }
        self.builtin(text, place, hideable).filter(|masked| text != Some(masked.as_str()))
    }

    /// Takes facts from a span's or resource's own attribute.
    fn sample(&mut self, text: Option<&str>, place: &Place) {
        let Some(owner @ (Owner::Resource | Owner::Span)) = place.owner else { return };
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

    fn builtin(&mut self, text: Option<&str>, place: &Place, hideable: bool) -> Option<String> {
        if place.key.sensitive && hideable {
            if text.is_some_and(|text| text.is_empty() || builtin::is_mask(text.as_bytes())) {
                return None;
            }
            self.scratch.count(Rule::SecretName as usize);
            return Some(self.plan.masking.whole(text));
        }
        let text = text?;
        // What came here only because of its text has been looked at already.
        if !place.key.plain && !builtin::suspect(text.as_bytes()) {
            return None;
        }
        let mut hits = std::mem::take(&mut self.scratch.hits);
        let masked = self.plan.masking.mask(text, &mut hits, |rule| self.scratch.count(rule as usize));
        self.scratch.hits = hits;
        masked
    }
}

/// How long a text may become. Masks make it at most four times as long, unless they stand for nothing: then each pattern may
/// do so again. Short texts may grow so far.
pub(super) fn grown_max(text: &str) -> usize {
    text.len().saturating_mul(4).saturating_add(4096)
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
