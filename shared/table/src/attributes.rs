//! The attributes of one item: read, promoted, and what is left.

use std::borrow::Cow;

use spanlake_otlp::wire::WireError;

use crate::any::{Any, Attribute, lossy, sort_distinct};
use crate::columns::Row;
use crate::promote::{Key, Kind, Promotions, SPAN_KIND_CLIENT, Special};

/// Reused for every item: what the attributes are, and which of them feed a column.
pub(crate) struct Attributes<'a> {
    /// As they came.
    raw: Vec<(&'a [u8], Any<'a>)>,
    shape: Shape<'a>,
    /// Sorted by key, distinct.
    all: Vec<Attribute<'a>>,
    /// For each rule the value's rank (0 is the current key) and place in `all`.
    chosen: Vec<Option<(u8, usize)>>,
    /// Values that are not an attribute as it stands: one half of one, or an event's.
    parts: Vec<Option<Cow<'a, str>>>,
    /// Which of `all` feed a column.
    taken: Vec<bool>,
    is_renamed: bool,
}

/// The keys of the last item, sorted and looked up: neighbours in a file mostly have the same ones in the same order.
#[derive(Default)]
struct Shape<'a> {
    /// As they came.
    raw: Vec<&'a [u8]>,
    /// Sorted and distinct: of equal keys the last one stays.
    sorted: Vec<Known<'a>>,
}

/// A key of a shape.
struct Known<'a> {
    text: Cow<'a, str>,
    /// Its place as it came.
    place: usize,
    /// What it feeds.
    feeds: Option<Key>,
}

impl<'a> Shape<'a> {
    fn fit(&mut self, raw: &[(&'a [u8], Any<'a>)], promotions: &Promotions) {
        if self.raw.iter().eq(raw.iter().map(|(key, _)| key)) {
            return;
        }
        self.raw.clear();
        self.raw.extend(raw.iter().map(|(key, _)| *key));
        let known = self.raw.iter().enumerate().map(|(place, key)| (lossy(key), place));
        let mut sorted: Vec<_> = known.collect();
        sorted.sort_unstable_by(|(a, left), (b, right)| a.cmp(b).then(right.cmp(left)));
        sorted.dedup_by(|(later, _), (earlier, _)| later == earlier);
        let known = sorted.into_iter().map(|(text, place)| Known { feeds: promotions.find(&text), text, place });
        self.sorted = known.collect();
    }
}

impl<'a> Attributes<'a> {
    pub(crate) fn new() -> Self {
        Self {
            raw: Vec::new(),
            shape: Shape::default(),
            all: Vec::new(),
            chosen: Vec::new(),
            parts: Vec::new(),
            taken: Vec::new(),
            is_renamed: false,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.raw.clear();
    }

    /// Adds a `KeyValue` message.
    pub(crate) fn push(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.raw.push(Attribute::read_parts(message)?);
        Ok(())
    }

    /// Sorts, drops repeated keys, and finds what feeds the columns of `promotions`, which are always the same. What is
    /// chosen leaves the rest.
    pub(crate) fn promote(&mut self, promotions: &Promotions, span_kind: i32) {
        self.shape.fit(&self.raw, promotions);
        self.chosen.clear();
        self.chosen.resize(promotions.rules().len(), None);
        self.parts.clear();
        self.parts.resize(promotions.rules().len(), None);
        self.all.clear();
        self.is_renamed = false;
        for (place, known) in self.shape.sorted.iter().enumerate() {
            let value = self.raw.get(known.place).map_or(Any::Empty, |(_, value)| *value);
            self.all.push(Attribute { key: known.text.clone(), value });
            let Some(key) = known.feeds else { continue };
            if key.client_only && span_kind != SPAN_KIND_CLIENT || !fits(key.kind, value) {
                continue;
            }
            if let Some(slot) = self.chosen.get_mut(key.rule)
                && slot.is_none_or(|(rank, _)| key.rank < rank)
            {
                *slot = Some((key.rank, place));
            }
        }
        self.split_method(promotions);
        self.split_target(promotions);
    }

    /// Fills a text column's rule if nothing else has.
    pub(crate) fn fill(&mut self, rule: usize, value: Cow<'a, str>) {
        if let (Some(None), Some(part @ None)) = (self.chosen.get(rule), self.parts.get_mut(rule)) {
            *part = Some(value);
        }
    }

    /// `pkg.Service/Method` feeds two columns; a bare method leaves the service to its own key.
    fn split_method(&mut self, promotions: &Promotions) {
        let (Some(service), Some(method)) = (promotions.special(Special::RpcService), promotions.special(Special::RpcMethod))
        else {
            return;
        };
        let Some(Some((_, place))) = self.chosen.get(method).copied() else { return };
        let Some(Any::Text(text)) = self.all.get(place).map(|attribute| attribute.value) else { return };
        let Ok(text) = std::str::from_utf8(text) else { return };
        if let Some((before, after)) = text.rsplit_once('/') {
            if let Some(slot) = self.chosen.get_mut(service) {
                *slot = None;
            }
            if let Some(part) = self.parts.get_mut(service) {
                *part = Some(Cow::Borrowed(before));
            }
            if let Some(part) = self.parts.get_mut(method) {
                *part = Some(Cow::Borrowed(after));
            }
        }
    }

    /// `http.target` is path and query: the path feeds the column, the query stays in the map under its current name.
    fn split_target(&mut self, promotions: &Promotions) {
        let Some(path) = promotions.special(Special::UrlPath) else { return };
        let Some(Some((rank, place))) = self.chosen.get(path).copied() else { return };
        if rank == 0 {
            return;
        }
        let has_query = self.all.binary_search_by(|attribute| (*attribute.key).cmp("url.query")).is_ok();
        let Some(attribute) = self.all.get_mut(place) else { return };
        let Any::Text(text) = attribute.value else { return };
        let Some(cut) = text.iter().position(|byte| *byte == b'?') else { return };
        let (before, after) = text.split_at(cut);
        if let Some(part) = self.parts.get_mut(path) {
            *part = Some(lossy(before));
        }
        if !has_query {
            self.is_renamed = true;
            attribute.key = Cow::Borrowed("url.query");
            attribute.value = Any::Text(after.get(1..).unwrap_or_default());
        }
        // Not consumed: it stays in the map, as the query or (where the query has its own key) as it came.
        if let Some(slot) = self.chosen.get_mut(path) {
            *slot = None;
        }
    }

    /// Writes one column for each rule, in order.
    pub(crate) fn write_promoted(&self, promotions: &Promotions, row: &mut Row<'_>) {
        for ((rule, chosen), part) in promotions.rules().iter().zip(&self.chosen).zip(&self.parts) {
            let value = chosen.and_then(|(_, place)| self.all.get(place)).map_or(Any::Empty, |attribute| attribute.value);
            match (rule.kind, value) {
                (Kind::Text, _) if part.is_some() => row.text(part.as_deref()),
                (Kind::Text, value) => row.any(value),
                (Kind::Int, Any::Int(number)) => row.int(i32::try_from(number).ok()),
                (Kind::Int, _) => row.int(None),
                (Kind::Bigint, Any::Int(number)) => row.bigint(Some(number)),
                (Kind::Bigint, _) => row.bigint(None),
            }
        }
    }

    /// Takes away what feeds a column and writes the rest as a map.
    pub(crate) fn write_rest(&mut self, row: &mut Row<'_>) {
        self.take_chosen();
        row.attributes(&self.all);
    }

    /// What feeds no column, sorted by key. The columns must have been written before.
    pub(crate) fn take_chosen(&mut self) -> &[Attribute<'a>] {
        self.taken.clear();
        self.taken.resize(self.all.len(), false);
        for (_, place) in self.chosen.iter().flatten() {
            if let Some(taken) = self.taken.get_mut(*place) {
                *taken = true;
            }
        }
        let mut taken = self.taken.iter();
        self.all.retain(|_| taken.next() != Some(&true));
        if self.is_renamed {
            sort_distinct(&mut self.all);
        }
        &self.all
    }

    /// All attributes; sorted and distinct once promoted.
    pub(crate) fn all(&self) -> &[Attribute<'a>] {
        &self.all
    }

    /// The text that a rule's column gets.
    pub(crate) fn promoted_text(&self, rule: usize) -> Option<Cow<'a, str>> {
        if let Some(Some(part)) = self.parts.get(rule) {
            return Some(part.clone());
        }
        let (_, place) = self.chosen.get(rule).copied().flatten()?;
        self.all.get(place).map(|attribute| attribute.value.text())
    }
}

/// Whether a value can stand in a column of this kind.
fn fits(kind: Kind, value: Any<'_>) -> bool {
    match (kind, value) {
        (_, Any::Empty) => false,
        (Kind::Text, _) | (Kind::Bigint, Any::Int(_)) => true,
        (Kind::Int, Any::Int(number)) => i32::try_from(number).is_ok(),
        _ => false,
    }
}
