//! What a stored data object holds, with every block of it read: for checks of a store, and for fuzzing what reads it.

use spanlake_model::Signal;

use crate::codec::Damaged;
use crate::decided::DecidedIndex;
use crate::keys;
use crate::sealed::Sealed;
use crate::staged::{StagedIndex, read_seen_object};

/// Counts of what an object holds; 0 for what its kind never does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Records of the stream that were staged.
    pub records: u64,
    /// Pairs of a resource and a scope.
    pub contexts: u64,
    /// Spans, log records and metrics.
    pub items: u64,
    /// Bytes of their messages.
    pub item_bytes: u64,
    /// Recorded decisions.
    pub decisions: u64,
    /// Rows of figures: requests by minute, calls between services.
    pub figures: u64,
    /// Records whose ids are remembered.
    pub seen: u64,
}

/// Reads a whole object of this key and counts what it holds.
///
/// # Errors
/// [`Damaged`] if any of it is not as it was written, or if the key is not that of a data object.
pub fn contents(key: &str, object: &[u8]) -> Result<Contents, Damaged> {
    if key.starts_with(keys::STAGED) {
        staged(object)
    } else if key.starts_with(keys::SEEN) {
        Ok(Contents { seen: read_seen_object(object)?.len() as u64, ..Contents::default() })
    } else if key.starts_with(keys::DECISIONS) {
        let decisions = DecidedIndex::read(object)?.all_explained(object)?.0.len() as u64;
        Ok(Contents { decisions, ..Contents::default() })
    } else if key.starts_with(keys::SEALED) {
        sealed(object)
    } else {
        Err(Damaged("not the key of a data object"))
    }
}

fn staged(object: &[u8]) -> Result<Contents, Damaged> {
    let index = StagedIndex::read(object)?;
    let part = |range: std::ops::Range<u64>| {
        let (start, end) = (usize::try_from(range.start).ok(), usize::try_from(range.end).ok());
        start.zip(end).and_then(|(start, end)| object.get(start..end)).ok_or(Damaged("object cut off"))
    };
    let rest = part(index.rest_range()?)?;
    let mut contents = Contents {
        records: index.records.len() as u64,
        contexts: index.contexts(rest)?.len() as u64,
        figures: index.red(rest)?.len() as u64,
        seen: index.seen(rest)?.len() as u64,
        ..Contents::default()
    };
    for segment in 0..index.segments.len() {
        let rows = index.rows(segment, part(index.facts_range(segment)?)?)?;
        let bodies = index.bodies(segment, part(index.bodies_range(segment)?)?)?;
        let bytes: u64 = rows.iter().map(|row| u64::from(row.body.1)).sum();
        if bytes != bodies.len() as u64 || rows.iter().any(|row| u64::from(row.context) >= contents.contexts) {
            return Err(Damaged("rows that do not fit their bodies or contexts"));
        }
        contents.items += rows.len() as u64;
        contents.item_bytes += bytes;
    }
    Ok(contents)
}

fn sealed(object: &[u8]) -> Result<Contents, Damaged> {
    let sealed = Sealed::read(object)?;
    let figures = (sealed.red.len() + sealed.edges.len()) as u64;
    let mut contents = Contents { contexts: sealed.contexts.len() as u64, figures, ..Contents::default() };
    for signal in Signal::ALL {
        sealed.groups(signal, |_, items| {
            contents.items += items.len() as u64;
            contents.item_bytes += items.iter().map(|item| item.body.len() as u64).sum::<u64>();
        })?;
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use spanlake_model::TraceId;

    use super::*;
    use crate::red::RedTable;
    use crate::sealed::{GroupHead, SealedItem, SealedWriter};
    use crate::staged::{Batch, Bodies, StagedContext, seen_object};

    #[test]
    fn an_objects_contents_are_counted_and_damage_or_another_kind_is_refused() {
        let mut writer = SealedWriter::new(0);
        let context = writer.context(&StagedContext::default());
        let item = SealedItem { context, arrival: 1, count: 1, body: b"body" };
        let head = GroupHead {
            signal: Signal::Logs,
            trace: TraceId::default(),
            policy: "",
            weight: 1.0,
            is_late: false,
            is_complete: true,
        };
        writer.group(&head, [item, item].into_iter()).unwrap();
        let red = RedTable::new(1);
        let object = writer.finish(&red, &red, None).unwrap().unwrap().bytes;
        let expected = Contents { contexts: 1, items: 2, item_bytes: 8, ..Contents::default() };
        assert_eq!(contents("sealed/x", &object), Ok(expected));
        for key in ["staged/x", "decisions/x", "lake/x"] {
            assert!(contents(key, &object).is_err(), "{key}");
        }
        assert!(contents("sealed/x", &object[1..]).is_err());
        assert_eq!(contents("seen/x", &seen_object(&[]).unwrap().bytes), Ok(Contents::default()));
        let mut batch = Batch {
            rules: Vec::new(),
            records: Vec::new(),
            contexts: Vec::new(),
            rows: Vec::new(),
            bodies: Bodies::default(),
            red: RedTable::new(1),
            seen: Vec::new(),
        };
        assert_eq!(contents("staged/x", &batch.finish().unwrap().bytes), Ok(Contents::default()));
    }
}
