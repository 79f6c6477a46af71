//! The attributes of one item: read, promoted, and what is left.

use std::borrow::Cow;

use spanlake_otlp::wire::WireError;

use crate::any::{Any, Attribute, sort_distinct};
use crate::columns::Row;
use crate::promote::{Kind, Promotions, SPAN_KIND_CLIENT, Special};

/// Reused for every item: what the attributes are, and which of them feed a column.
pub(crate) struct Attributes<'a> {
    all: Vec<Attribute<'a>>,
    /// For each rule the value's rank (0 is the current key) and place in `all`.
    chosen: Vec<Option<(u8, usize)>>,
    /// Values that are not an attribute as it stands: one half of one, or an event's.
    parts: Vec<Option<Cow<'a, str>>>,
}

impl<'a> Attributes<'a> {
    pub(crate) const fn new() -> Self {
        Self { all: Vec::new(), chosen: Vec::new(), parts: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }

    /// Adds a `KeyValue` message.
    pub(crate) fn push(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.all.push(Attribute::read(message)?);
        Ok(())
    }

    /// Sorts, drops repeated keys, and finds what feeds the columns of `promotions`. What is chosen leaves the rest.
    pub(crate) fn promote(&mut self, promotions: &Promotions, span_kind: i32) {
        sort_distinct(&mut self.all);
        self.chosen.clear();
        self.chosen.resize(promotions.rules().len(), None);
        self.parts.clear();
        self.parts.resize(promotions.rules().len(), None);
        for (place, attribute) in self.all.iter().enumerate() {
            let Some(key) = promotions.find(&attribute.key) else { continue };
            if key.client_only && span_kind != SPAN_KIND_CLIENT || !fits(key.kind, attribute.value) {
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
            *part = Some(crate::any::lossy(before));
        }
        if !has_query {
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
        let chosen = &self.chosen;
        let mut place = 0;
        self.all.retain(|_| {
            let taken = chosen.iter().flatten().any(|(_, chosen)| *chosen == place);
            place += 1;
            !taken
        });
        // Splitting a target renames a key.
        sort_distinct(&mut self.all);
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
