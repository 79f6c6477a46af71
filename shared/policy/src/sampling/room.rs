//! The room of a limit in a window, at one shard.
//!
//! A window has room for what the rate yields in its length, or for the burst where that is more. A shard has its share of
//! that, fractions of a span included, and nothing is carried from window to window. So a trace may be larger than what is left.
//! Whether it is let in is then decided by the window's coin, a number from 0 to 1: a trace fits if coin times size is at most
//! what is left, and takes its whole size. The trace at the border gets in with the probability left / size. So what is taken
//! comes on average to just the room, however small that is and however large traces are. A shard that has all buckets has a
//! coin of 1: there a trace fits if it is no larger than what is left.
//!
//! The coin is a function of the window and of the shard's place, so that replays and closes in parts decide the same. Buckets
//! that one trace needs room in at once have the same coin: its chance is the smaller of theirs, and not their product. Others
//! have one that is turned against it: which traces the first of two limits leaves to the second depends on the coin of the
//! first, and with the same one the second would be used too little, or too much.

use spanlake_model::{BUCKETS, BucketRange};

use super::threshold::NEVER;

/// Where room is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Spans or bytes in a second.
    pub(crate) rate: u64,
    /// The most that a full bucket holds; `None` for an allowance of `composite`.
    pub(crate) burst: Option<u64>,
    pub(crate) counts_bytes: bool,
    /// It holds what the allocations of the `composite` with this total leave.
    pub(crate) fills: Option<usize>,
}

/// Spans or bytes in parts of 2^-56. No sum of sizes and rooms leaves an `i128`: one has at most 121 bits, and what is left
/// falls below 0 but once.
pub(super) fn parts(size: u64) -> i128 {
    i128::from(size) * i128::from(NEVER)
}

/// A window as a shard has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    length_ms: u64,
    /// How many of all hash buckets the shard has.
    buckets: u16,
    /// From 1 to 2^56, which stands for 1.
    coin: u64,
}

impl Window {
    /// `end_ms` is its end since 1970.
    pub(crate) fn new(end_ms: i64, length_ms: u64, shard: BucketRange) -> Self {
        let first = shard.first.min(shard.last);
        let buckets = shard.last.saturating_sub(first).saturating_add(1).min(BUCKETS);
        let coin = if buckets == BUCKETS { NEVER } else { coin(end_ms, first) };
        Self { length_ms, buckets, coin }
    }

    #[cfg(test)]
    pub(super) fn with_coin(self, coin: u64) -> Self {
        Self { coin, ..self }
    }
}

/// The coin of a window at the shard that begins at this bucket.
///
/// Over windows it looks random: a sequence that spreads evenly, as multiples of the golden ratio do, would meet traffic of some
/// periods with nearly the same coin for days. Over the shards of one window it is spread evenly, so that all shards together let
/// in what they should in every window, but for about one trace. Each shard by itself has a uniform coin either way.
fn coin(end_ms: i64, first: u16) -> u64 {
    // The finaliser of splitmix64.
    let mut mixed = end_ms.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    let drawn = (mixed ^ mixed >> 31) % NEVER;
    (drawn + u64::from(first) * (NEVER / u64::from(BUCKETS))) % NEVER + 1
}

/// How far coins of this number are turned against the window's, of 2^56: by the golden ratio, so that no few of them lie close.
fn turn(number: usize) -> u64 {
    (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8
}

/// A coin that is turned by so much, below 2^56.
fn turned(coin: u64, turn: u64) -> u64 {
    (coin - 1 + turn) % NEVER + 1
}

/// The coins of a window with which a bucket might let in a trace: so many from this one on, beginning anew at 1 behind 2^56.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coins {
    pub(super) first: u64,
    pub(super) count: u64,
}

impl Coins {
    pub(super) fn contain(self, coin: u64) -> bool {
        turned(coin, NEVER + 1 - self.first) <= self.count
    }

    /// The last one, if there are some and not all.
    pub(super) fn last(self) -> Option<u64> {
        (1..NEVER).contains(&self.count).then(|| turned(self.first, self.count - 1))
    }

    /// The one before the first, if there are some and not all.
    pub(super) fn before(self) -> Option<u64> {
        self.last().map(|_| turned(self.first, NEVER - 1))
    }
}

/// The room of one bucket in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// In parts.
    pub(super) allowance: i128,
    /// The largest trace that competes for it: as if the shard had all buckets.
    pub(super) size_max: u64,
    coin: u64,
    /// How far the coin is turned against the window's.
    turn: u64,
    pub(super) counts_bytes: bool,
}

impl Room {
    /// Buckets with the same number have the same coin.
    pub(super) fn new(bucket: &Bucket, window: Window, number: usize) -> Self {
        let yielded = u128::from(bucket.rate) * u128::from(window.length_ms) / 1000;
        let whole = u64::try_from(yielded).unwrap_or(u64::MAX).max(bucket.burst.unwrap_or(0));
        let allowance = parts(whole) / i128::from(BUCKETS) * i128::from(window.buckets);
        let size_max = bucket.burst.unwrap_or(u64::MAX).min(whole);
        let turn = if window.buckets == BUCKETS { 0 } else { turn(number) };
        Self { allowance, size_max, coin: turned(window.coin, turn), turn, counts_bytes: bucket.counts_bytes }
    }

    /// The same bucket with another allowance. Traces compete for it up to what all shards had, if they were like this one.
    pub(super) fn of(&self, allowance: i128, window: Window) -> Self {
        let whole = allowance / i128::from(window.buckets) * i128::from(BUCKETS) / i128::from(NEVER);
        Self { allowance, size_max: u64::try_from(whole).unwrap_or(u64::MAX), ..*self }
    }

    /// Whether a trace of this size gets in where so much is left.
    pub(super) fn fits(&self, size: u64, left: i128) -> bool {
        i128::from(size) * i128::from(self.coin) <= left
    }

    /// Whether a trace of this size gets in where nobody was before it.
    pub(super) fn lets_in(&self, size: u64) -> bool {
        self.coin <= self.coin_max(size)
    }

    /// The coins of the window with which a trace of this size might get in.
    pub(super) fn coins(&self, size: u64) -> Coins {
        Coins { first: turned(1, NEVER - self.turn), count: self.coin_max(size) }
    }

    /// The highest coin of its own with which a trace of this size might get in, from 0 (never) to 2^56.
    fn coin_max(&self, size: u64) -> u64 {
        if size > self.size_max {
            return 0;
        }
        let most = self.allowance.checked_div(i128::from(size)).unwrap_or(i128::MAX);
        u64::try_from(most).unwrap_or(NEVER).min(NEVER)
    }

    /// Whether a trace fits only where it is no larger than what is left.
    pub(super) fn is_whole(&self) -> bool {
        self.coin == NEVER
    }

    /// The allowance in whole spans or bytes, rounded up, and the largest trace that this window lets in.
    pub(super) fn whole(&self) -> (u64, u64) {
        let allowance = self.allowance / i128::from(NEVER) + i128::from(self.allowance % i128::from(NEVER) > 0);
        let most = self.allowance.checked_div(i128::from(self.coin)).unwrap_or(0);
        (u64::try_from(allowance).unwrap_or(u64::MAX), self.size_max.min(u64::try_from(most).unwrap_or(u64::MAX)))
    }
}
