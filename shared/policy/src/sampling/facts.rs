//! What deciding needs to know of a span, in a form that merges: booleans and numbers, never a text.

/// What is kept of one span for the decision on its trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanFacts {
    /// One bit for each condition of the policies that this span, or its resource, meets. A condition that can fail has two:
    /// whether it was met, and whether it failed before anything met it.
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
    /// Length of the span's message as the Collector writes it, which gives an absent parent id and an absent status two bytes
    /// each.
    pub size_bytes: u32,
    /// The randomness that its tracestate states (`ot=rv:`), 56 bits.
    pub randomness: Option<u64>,
    /// The rejection threshold that its tracestate states (`ot=th:`), 56 bits: how it was sampled before it came here.
    pub threshold: Option<u64>,
}

/// How large a trace is as protobuf, in bytes, grouped anew: for each record that brought spans of it, a `ResourceSpans` for
/// each of its resources with this trace's spans alone. What records have in common is counted in each of them.
///
/// [`TraceSize::add`] takes one such group. A trace's size is the sum over its groups, in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceSize {
    /// The sum of the `ResourceSpans` messages, without their own tags and lengths: what `maximum_trace_size_bytes` bounds.
    pub groups_bytes: u64,
    /// The same as one `TracesData` message, tags and lengths included: what `bytes_limiting` counts.
    pub whole_bytes: u64,
}

impl TraceSize {
    /// Takes in what one record brought of the trace under one resource. `resource_bytes` is the length of the `Resource`
    /// message; `scopes` has, for each `InstrumentationScope` under it, the length of that message and the sum of
    /// [`TraceSize::span_bytes`] over the trace's spans there. Schema URLs don't count, as upstream loses them here.
    pub fn add(&mut self, resource_bytes: u64, scopes: &[(u64, u64)]) {
        let scope = |(scope, spans): &(u64, u64)| framed(framed(*scope).saturating_add(*spans));
        let inner = scopes.iter().map(scope).fold(framed(resource_bytes), u64::saturating_add);
        self.merge(&Self { groups_bytes: inner, whole_bytes: framed(inner) });
    }

    /// What a span adds to its scope's group: tag, length and message.
    #[must_use]
    pub fn span_bytes(span: &SpanFacts) -> u64 {
        framed(u64::from(span.size_bytes))
    }

    /// Takes in the size of other groups.
    pub fn merge(&mut self, other: &Self) {
        self.groups_bytes = self.groups_bytes.saturating_add(other.groups_bytes);
        self.whole_bytes = self.whole_bytes.saturating_add(other.whole_bytes);
    }
}

/// A message with a tag of one byte and its length in front.
fn framed(bytes: u64) -> u64 {
    let bits = u64::from(64 - (bytes | 1).leading_zeros());
    bytes.saturating_add(1 + bits.div_ceil(7))
}

/// The facts of all spans of a trace that have arrived, or of those that one record brought.
///
/// Merging is commutative and associative, but for the bits of conditions that can fail: there what came first counts
/// ([`Pairs`]), so facts are merged in the order of the stream.
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
    /// The trace's size in its groups; only needed where [`crate::Rules::needs_size`] says so.
    pub size: TraceSize,
    /// The randomness that its spans state, 56 bits; of several the highest.
    pub randomness: Option<u64>,
    /// Whether some span states a threshold.
    pub has_threshold: bool,
}

/// Which bits belong to conditions that can fail: the lower bit of each pair says "met", the next one "failed".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pairs(pub(crate) u64);

impl TraceFacts {
    /// The facts of one span.
    #[must_use]
    pub fn of(span: &SpanFacts) -> Self {
        Self {
            bits: span.bits,
            start_nanos: span.start_nanos,
            end_nanos: span.end_nanos,
            spans: 1,
            errors: u64::from(span.is_error),
            bytes: u64::from(span.bytes),
            size: TraceSize::default(),
            randomness: span.randomness,
            has_threshold: span.threshold.is_some(),
        }
    }

    /// Takes a span in, where no condition can fail.
    pub fn add(&mut self, span: &SpanFacts) {
        self.merge(&Self::of(span));
    }

    /// Takes in what is known of other spans of the same trace, where no condition can fail.
    pub fn merge(&mut self, other: &Self) {
        self.then(other, Pairs::default());
    }

    /// Takes in what is known of spans of the same trace that came later; `pairs` is [`crate::Rules::pairs`].
    pub fn then(&mut self, later: &Self, pairs: Pairs) {
        let known = (self.bits | self.bits >> 1) & pairs.0;
        self.bits |= later.bits & !(known | known << 1);
        self.start_nanos = match (self.start_nanos, later.start_nanos) {
            (0, start) | (start, 0) => start,
            (one, two) => one.min(two),
        };
        self.end_nanos = self.end_nanos.max(later.end_nanos);
        self.spans = self.spans.saturating_add(later.spans);
        self.errors = self.errors.saturating_add(later.errors);
        self.bytes = self.bytes.saturating_add(later.bytes);
        self.size.merge(&later.size);
        self.randomness = self.randomness.max(later.randomness);
        self.has_threshold |= later.has_threshold;
    }

    /// The latest end less the earliest start, in nanoseconds; negative under clock skew, `None` while either is unset.
    #[must_use]
    pub fn duration_nanos(&self) -> Option<i128> {
        (self.start_nanos != 0 && self.end_nanos != 0).then(|| i128::from(self.end_nanos) - i128::from(self.start_nanos))
    }

    /// Whether a span states how it was sampled, or by which randomness.
    pub(crate) fn states_sampling(&self) -> bool {
        self.has_threshold || self.randomness.is_some()
    }
}
