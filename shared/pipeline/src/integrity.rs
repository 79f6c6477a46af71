//! Whether a data object is what was written, and what stands in for one that was given up.

use crate::codec::{Damaged, Put, Take};
use crate::decided::{DecidedIndex, DecidedWriter};
use crate::keys;
use crate::object::{Effort, Finished, ObjectIndex, ObjectWriter, content_hash};
use crate::ports::{ObjectStore, StoreError};

/// In the header of what stands in for a sealed output, where the key of its decisions would be.
const STAND_IN: &[u8] = b"given up";

/// What is found under a data object's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// What was written.
    Whole,
    /// An empty object that stands in for one that was given up.
    StandIn,
    /// Nothing.
    Missing,
    /// Something else than what was written.
    Damaged,
}

/// What is found under the key of an object that is named by its content.
pub(crate) async fn state_of<S: ObjectStore>(store: &S, key: &str) -> Result<State, StoreError> {
    let object = match store.get(key).await {
        Ok(Some(object)) => object,
        Ok(None) => return Ok(State::Missing),
        Err(StoreError::Damaged { .. }) => return Ok(State::Damaged),
        Err(error) => return Err(error),
    };
    let (_, name) = key.split_once('/').unwrap_or_default();
    if content_hash(&object.bytes).to_string() == name {
        return Ok(State::Whole);
    }
    let is_stand_in = match () {
        () if key.starts_with(keys::SEALED) => is_sealed_stand_in(&object.bytes),
        () if key.starts_with(keys::DECISIONS) => is_decisions_stand_in(&object.bytes),
        () => Ok(false),
    };
    Ok(if is_stand_in == Ok(true) { State::StandIn } else { State::Damaged })
}

/// What stands in for a sealed output: an archive plan, which cannot change, reads it and finds nothing.
pub(crate) fn sealed_stand_in() -> Result<Finished, Damaged> {
    let mut writer = ObjectWriter::new(Effort::Lasting);
    let mut no_contexts = Vec::new();
    no_contexts.varint(0);
    writer.block(&no_contexts)?;
    let mut header = Vec::new();
    header.zigzag(0);
    header.bytes(&[]);
    header.bytes(STAND_IN);
    Ok(writer.finish(&header))
}

fn is_sealed_stand_in(bytes: &[u8]) -> Result<bool, Damaged> {
    let index = ObjectIndex::read(bytes)?;
    let mut take = Take::new(index.header());
    take.zigzag()?;
    Ok(take.bytes()?.is_empty() && take.bytes()? == STAND_IN)
}

/// What stands in for decisions that a plan files: none.
pub(crate) fn decisions_stand_in() -> Result<Finished, Damaged> {
    DecidedWriter::default().finish(0, 0)
}

fn is_decisions_stand_in(bytes: &[u8]) -> Result<bool, Damaged> {
    let index = DecidedIndex::read(bytes)?;
    Ok(index.lasts.is_empty() && index.reasons.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::Sealed;

    #[test]
    fn a_stand_in_is_read_as_an_object_with_nothing_in_it() {
        let sealed = sealed_stand_in().unwrap();
        let read = Sealed::read(&sealed.bytes).unwrap();
        assert!(read.contexts.is_empty() && read.red.is_empty() && read.edges.is_empty());
        assert_eq!(is_sealed_stand_in(&sealed.bytes), Ok(true));
        let decisions = decisions_stand_in().unwrap();
        assert!(DecidedIndex::read(&decisions.bytes).unwrap().all_explained(&decisions.bytes).unwrap().0.is_empty());
        assert_eq!(is_decisions_stand_in(&decisions.bytes), Ok(true));
        assert!(is_sealed_stand_in(&decisions.bytes) != Ok(true));
    }
}
