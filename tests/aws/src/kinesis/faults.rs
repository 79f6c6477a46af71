//! What can go wrong with a call to the stream.

use spanlake_testkit::Rng;

use super::KinesisAction;
use crate::fault::draw;

/// Why an entry of a `PutRecords` call was not stored: the two codes that the API reference of `PutRecords` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryFault {
    /// `ProvisionedThroughputExceededException`.
    Throttled,
    /// `InternalFailure`.
    InternalFailure,
}

impl EntryFault {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Throttled => "ProvisionedThroughputExceededException",
            Self::InternalFailure => "InternalFailure",
        }
    }
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KinesisFault {
    /// Nothing: it is answered as it should be, whatever the percentages.
    Nothing,
    /// 400 without effect: `LimitExceededException` for `ListShards` and `DescribeStreamSummary`,
    /// `ProvisionedThroughputExceededException` for the rest.
    Throttled,
    /// 500 `InternalFailure` without effect.
    InternalFailure,
    /// 503 `ServiceUnavailable` without effect.
    Unavailable,
    /// The connection ends before the call takes effect.
    LostRequest,
    /// The connection ends after the call took effect.
    LostReply,
    /// No answer, until the client ends the connection.
    NoAnswer {
        /// Whether it takes effect all the same.
        takes_effect: bool,
    },
    /// It takes effect; the answer is 200 with JSON that is none.
    Garbage,
    /// It takes effect; the connection ends within the answer's body.
    CutReply,
    /// `PutRecords`: these entries, by their places in the call, are not stored; the others are.
    Entries(Vec<(usize, EntryFault)>),
    /// `ListShards`: the list as it was before the last so many splits and merges, on all pages of this list.
    StaleMap {
        /// How many.
        reshards: u64,
    },
    /// `GetRecords`: 400 `ExpiredIteratorException`.
    ExpiredIterator,
    /// `GetRecords`: no records although there are some, and an iterator for the same place.
    EmptyRead,
    /// `ListShards` with a `NextToken`: 400 `ExpiredNextTokenException`. Without one it is as [`Self::Nothing`].
    ExpiredToken,
}

/// How often calls go wrong, in percent of the calls that the fault is of. At most one fault of a whole call happens to a
/// call, so those that a kind of call can meet add up to at most 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KinesisFaults {
    /// [`KinesisFault::Throttled`].
    pub throttled: u64,
    /// [`KinesisFault::InternalFailure`].
    pub internal_failure: u64,
    /// [`KinesisFault::Unavailable`].
    pub unavailable: u64,
    /// [`KinesisFault::LostRequest`].
    pub lost_request: u64,
    /// [`KinesisFault::LostReply`].
    pub lost_reply: u64,
    /// [`KinesisFault::NoAnswer`], half of them after the effect.
    pub no_answer: u64,
    /// [`KinesisFault::Garbage`].
    pub garbage: u64,
    /// [`KinesisFault::CutReply`].
    pub cut_reply: u64,
    /// [`KinesisFault::ExpiredIterator`].
    pub expired_iterator: u64,
    /// [`KinesisFault::EmptyRead`].
    pub empty_read: u64,
    /// [`KinesisFault::ExpiredToken`].
    pub expired_token: u64,
    /// [`KinesisFault::StaleMap`].
    pub stale_map: u64,
    /// By how many reshards such a list is behind, at most and at least one; the number is drawn too.
    pub stale_reshards_max: u64,
    /// Entries of `PutRecords`: [`EntryFault::Throttled`].
    pub entry_throttled: u64,
    /// Entries of `PutRecords`: [`EntryFault::InternalFailure`].
    pub entry_internal_failure: u64,
    /// Calls of `PutRecords` whose entries are stored in another order: AWS promises none.
    pub reordered: u64,
}

impl KinesisFaults {
    /// The fault of a call.
    pub(super) fn draw(&self, rng: &mut Rng, action: KinesisAction, entries: usize) -> KinesisFault {
        let no_answer = KinesisFault::NoAnswer { takes_effect: rng.chance(50) };
        let reshards = 1 + rng.below(self.stale_reshards_max);
        let of = |is_of: KinesisAction, percent| if action == is_of { percent } else { 0 };
        let outcomes = [
            (self.throttled, KinesisFault::Throttled),
            (self.internal_failure, KinesisFault::InternalFailure),
            (self.unavailable, KinesisFault::Unavailable),
            (self.lost_request, KinesisFault::LostRequest),
            (self.lost_reply, KinesisFault::LostReply),
            (self.no_answer, no_answer),
            (self.garbage, KinesisFault::Garbage),
            (self.cut_reply, KinesisFault::CutReply),
            (of(KinesisAction::GetRecords, self.expired_iterator), KinesisFault::ExpiredIterator),
            (of(KinesisAction::GetRecords, self.empty_read), KinesisFault::EmptyRead),
            (of(KinesisAction::ListShards, self.expired_token), KinesisFault::ExpiredToken),
            (of(KinesisAction::ListShards, self.stale_map), KinesisFault::StaleMap { reshards }),
        ];
        draw(rng, outcomes).unwrap_or_else(|| self.draw_entries(rng, entries))
    }

    fn draw_entries(&self, rng: &mut Rng, entries: usize) -> KinesisFault {
        let outcomes =
            [(self.entry_throttled, EntryFault::Throttled), (self.entry_internal_failure, EntryFault::InternalFailure)];
        let failed: Vec<_> = (0..entries).filter_map(|at| Some((at, draw(rng, outcomes)?))).collect();
        if failed.is_empty() { KinesisFault::Nothing } else { KinesisFault::Entries(failed) }
    }
}
