//! What can go wrong with a call to the store.

use spanlake_testkit::Rng;

use super::S3Action;
use crate::fault::draw;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Fault {
    /// Nothing: it is answered as it should be, whatever the percentages.
    Nothing,
    /// 503 `SlowDown` without effect.
    SlowDown,
    /// 500 `InternalError` without effect.
    InternalError,
    /// 403 `AccessDenied` without effect.
    Denied,
    /// A write with a condition: 409 `ConditionalRequestConflict` without effect, whether the condition holds or not. Any
    /// other call is as [`Self::Nothing`].
    Conflict,
    /// The connection ends before the call takes effect.
    LostRequest,
    /// The connection ends after the call took effect.
    LostReply,
    /// No answer, until the client ends the connection.
    NoAnswer {
        /// Whether it takes effect all the same.
        takes_effect: bool,
    },
    /// It takes effect; the connection ends in the middle of the answer's body, of which the head told the length. An
    /// answer without a body is whole.
    CutReply,
    /// One bit of the answer's body is wrong, if it is no error; the checksum in the head, if there is one, is right.
    Corrupted,
}

/// How often calls go wrong, in percent of the calls that the fault is of. At most one fault happens to a call, so those
/// that a kind of call can meet add up to at most 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct S3Faults {
    /// [`S3Fault::SlowDown`].
    pub slow_down: u64,
    /// [`S3Fault::InternalError`].
    pub internal_error: u64,
    /// [`S3Fault::Conflict`], of writes.
    pub conflict: u64,
    /// [`S3Fault::LostRequest`].
    pub lost_request: u64,
    /// [`S3Fault::LostReply`].
    pub lost_reply: u64,
    /// [`S3Fault::NoAnswer`], half of them after the effect.
    pub no_answer: u64,
    /// [`S3Fault::CutReply`], of reads and listings.
    pub cut_reply: u64,
    /// [`S3Fault::Corrupted`], of reads of objects.
    pub corrupted: u64,
}

impl S3Faults {
    /// The fault of a call.
    pub(super) fn draw(&self, rng: &mut Rng, action: S3Action) -> S3Fault {
        let no_answer = S3Fault::NoAnswer { takes_effect: rng.chance(50) };
        let is_list = matches!(action, S3Action::ListObjectsV2 | S3Action::ListObjectVersions);
        let is_get = action == S3Action::GetObject;
        let only = |is_of: bool, percent| if is_of { percent } else { 0 };
        let outcomes = [
            (self.slow_down, S3Fault::SlowDown),
            (self.internal_error, S3Fault::InternalError),
            (only(action == S3Action::PutObject, self.conflict), S3Fault::Conflict),
            (self.lost_request, S3Fault::LostRequest),
            (self.lost_reply, S3Fault::LostReply),
            (self.no_answer, no_answer),
            (only(is_get || is_list, self.cut_reply), S3Fault::CutReply),
            (only(is_get, self.corrupted), S3Fault::Corrupted),
        ];
        draw(rng, outcomes).unwrap_or(S3Fault::Nothing)
    }
}
