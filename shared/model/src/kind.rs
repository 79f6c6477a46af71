//! What a caller should do about an error. A kind exists only if somebody acts differently on it.

/// The coarse, prescriptive kind of an error. Every operation's own error type answers one of these, and they are
/// mapped to the outside in exactly two places: the HTTP answer and the batch answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The client's fault: never worth a retry as it is.
    Invalid,
    /// Beyond a limit: smaller requests would pass.
    TooLarge,
    /// Throttled or out of reach: worth a retry, later.
    Unavailable,
    /// Stored bytes are not what they should be: set aside, a person must look.
    BadData,
    /// This program's fault.
    Bug,
}
