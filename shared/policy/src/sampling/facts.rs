//! What deciding needs to know of a span, in a form that merges in any order.

/// What is kept of one span for the decision on its trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanFacts {
    /// One bit for each condition of the policies that this span, or its resource, meets.
    pub bits: u64,
    /// Start, in nanoseconds since 1970; 0 where it is not set.
    pub start_nanos: u64,
    /// End, in nanoseconds since 1970; 0 where it is not set.
    pub end_nanos: u64,
    /// Whether the status is `ERROR`.
    pub is_error: bool,
    /// Whether there is no parent span id.
    pub is_root: bool,
    /// `Span.kind`, as its number; 0 for one that is unknown.
    pub kind: u8,
    /// Length of the span's message as it arrived.
    pub bytes: u32,
}

/// The facts of all spans of a trace that have arrived. Merging is commutative and associative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceFacts {
    /// The union of the spans' bits.
    pub bits: u64,
    /// The earliest start; 0 while no span has one (OTLP's zero means "not set").
    pub start_nanos: u64,
    /// The latest end; 0 while no span has one.
    pub end_nanos: u64,
    /// How many spans.
    pub spans: u64,
    /// How many spans with status `ERROR`.
    pub errors: u64,
    /// The sum of the spans' lengths.
    pub bytes: u64,
}

impl TraceFacts {
    /// Takes a span in.
    pub fn add(&mut self, span: &SpanFacts) {
        self.merge(&Self {
            bits: span.bits,
            start_nanos: span.start_nanos,
            end_nanos: span.end_nanos,
            spans: 1,
            errors: u64::from(span.is_error),
            bytes: u64::from(span.bytes),
        });
    }

    /// Takes in what is known of other spans of the same trace.
    pub fn merge(&mut self, other: &Self) {
        self.bits |= other.bits;
        self.start_nanos = match (self.start_nanos, other.start_nanos) {
            (0, start) | (start, 0) => start,
            (one, two) => one.min(two),
        };
        self.end_nanos = self.end_nanos.max(other.end_nanos);
        self.spans = self.spans.saturating_add(other.spans);
        self.errors = self.errors.saturating_add(other.errors);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// The latest end less the earliest start, in nanoseconds; negative under clock skew, `None` while either is unset.
    #[must_use]
    pub fn duration_nanos(&self) -> Option<i128> {
        (self.start_nanos != 0 && self.end_nanos != 0).then(|| i128::from(self.end_nanos) - i128::from(self.start_nanos))
    }
}
