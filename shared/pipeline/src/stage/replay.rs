//! A dry run: what rules would make of items that are stored already. The same staging and the same decisions as on the stream;
//! nothing is written, and no clock passes but that of the items.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use spanlake_model::{Bucket, BucketRange, NANOS_PER_MS, Signal, TraceId};
use spanlake_otlp::cut::CUTTING_RULE;
use spanlake_otlp::payload::{Items as PayloadItems, item_count};
use spanlake_policy::{Admission, Admitted, Rules, SpanFacts, TraceFacts};

use super::{Fate, InForce, NANOS_PER_MINUTE, RulesBook, Stager, Workspace};
use crate::close::{Brought, as_asked, facts_of, verdict_of};
use crate::codec::Damaged;
use crate::decided::Verdict;
use crate::envelope::{Items, Part};
use crate::manifest::Manifest;
use crate::payload::Dictionary;
use crate::seen::Known;
use crate::settings::GroupSettings;
use crate::staged::StagedContext;

/// An export request that stands for one record of the stream.
#[derive(Clone, Copy, Debug)]
pub struct StoredPayload<'p> {
    /// The export request.
    pub bytes: &'p [u8],
    /// When it arrived, Unix nanoseconds.
    pub arrival_nanos: i64,
}

/// An item that the rules leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// What deciding knows of a span; nothing of other signals.
    pub facts: SpanFacts,
    /// Ledger items: 1, or a metric's data points.
    pub count: u32,
    /// Length of the message as it would be stored.
    pub bytes: u32,
    /// Of a log record that waits for the verdict on its trace: which trace that is.
    pub follows: Option<TraceId>,
    /// Its place among the contexts.
    context: u32,
}

/// What becomes of one payload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Staged {
    /// What is left, in the payload's order.
    pub left: Vec<Left>,
    /// What was dropped, by the ledger's reasons.
    pub dropped: BTreeMap<String, u64>,
    /// Values that were masked, by rule.
    pub masked: BTreeMap<String, u64>,
    /// Statements and conditions that could not be executed, and how often.
    pub failed: BTreeMap<String, u64>,
    contexts: Vec<StagedContext>,
}

/// Rules at work on what is stored.
pub struct Replay {
    rules: Arc<Rules>,
    book: RulesBook,
    settings: GroupSettings,
    workspace: Workspace,
}

impl Replay {
    /// Begins a dry run of these rules.
    #[must_use]
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules, book: RulesBook::default(), settings: GroupSettings::default(), workspace: Workspace::default() }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Sends a payload through processors and masking. All of one that makes a rule panic is dropped as `poison`, as on the
    /// stream.
    ///
    /// # Errors
    /// [`Damaged`] if the bytes are no export request.
    pub fn stage(&mut self, signal: Signal, payload: StoredPayload<'_>) -> Result<Staged, Damaged> {
        let (mut all, mut count, mut messages) = (PayloadItems::new(payload.bytes), 0, 0);
        while let Some(item) = all.next().map_err(|_| Damaged("payload is not OTLP"))? {
            count += item_count(signal, item.bytes);
            messages += 1;
        }
        let items = one_part(signal, count, messages, payload.arrival_nanos);
        let mut manifest = Manifest::new("replay", BucketRange::ALL);
        manifest.clock = payload.arrival_nanos;
        self.workspace.forget_counts();
        let mut stager = Stager::new(manifest, Known::default(), (&self.book, &self.settings), &mut self.workspace);
        let force = InForce {
            rules: Arc::clone(&self.rules),
            previous: None,
            window: 0,
            minute: payload.arrival_nanos.div_euclid(NANOS_PER_MINUTE) * NANOS_PER_MINUTE,
            record: 0,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| stager.payload(&items, (payload.bytes, 0), &[Fate::Taken], &force)));
        let Ok(outcome) = outcome else {
            self.workspace = Workspace::default();
            return Ok(Staged { dropped: BTreeMap::from([("poison".to_owned(), count)]), ..Staged::default() });
        };
        outcome?;
        stager.note_counts();
        let left = stager.batch.rows.iter();
        let left = left.map(|row| Left {
            facts: facts_of(row, row.span.bits),
            count: row.count,
            bytes: row.body.1,
            follows: row.waits.then_some(row.key.trace),
            context: row.context,
        });
        Ok(Staged {
            left: left.collect(),
            dropped: std::mem::take(&mut stager.manifest.ledger.account_mut(signal).dropped),
            masked: std::mem::take(&mut stager.manifest.ledger.masked),
            failed: std::mem::take(&mut stager.manifest.ledger.failed),
            contexts: std::mem::take(&mut stager.batch.contexts),
        })
    }

    /// The facts of a trace, from what became of its payloads in the order of their arrival; `None` if nothing of it is left. Each
    /// number names a record: payloads of one number came in the same one.
    #[must_use]
    pub fn facts<'s>(&self, staged: impl IntoIterator<Item = (i64, &'s Staged)>) -> Option<Vec<TraceFacts>> {
        let (pairs, needs_size) = (self.rules.pairs(), self.rules.needs_size());
        let mut records = Vec::new();
        let (mut brought, mut record, mut spans) = (Brought::default(), None, 0);
        for (number, staged) in staged {
            if record.is_some_and(|record| record != number) {
                records.push(std::mem::take(&mut brought).facts());
            }
            record = Some(number);
            for left in &staged.left {
                let context = staged.contexts.get(left.context as usize).filter(|_| needs_size);
                let context = context.map(|context| (context.resource.as_slice(), context.scope.as_slice()));
                brought.span(&left.facts, pairs, context);
                spans += 1;
            }
        }
        records.push(brought.facts());
        (spans > 0).then(|| as_asked(records, &self.rules))
    }

    /// Begins the close of a window over these shards.
    #[must_use]
    pub fn close(&self, end_nanos: i64, window_nanos: i64, shards: &[BucketRange]) -> Closing<'_> {
        let (end_ms, window_ms) = (end_nanos / NANOS_PER_MS, u64::try_from(window_nanos / NANOS_PER_MS).unwrap_or(0));
        let admission = |shard: &BucketRange| (*shard, self.rules.admission(end_ms, window_ms, *shard));
        let limited = self.rules.has_limits();
        Closing { rules: &self.rules, room: shards.iter().filter(|_| limited).map(admission).collect() }
    }
}

/// The header of a record that holds one part.
fn one_part(signal: Signal, count: u64, messages: usize, arrival_nanos: i64) -> Items<'static> {
    Items {
        only: None,
        signal,
        tenant: "",
        cutting_rule: CUTTING_RULE,
        batch_id: spanlake_model::BatchId::default(),
        received_nanos: arrival_nanos,
        count,
        parts: vec![Part { bucket: Bucket::default(), part: 0, overflow: false }],
        part_of_item: vec![0; messages],
        payload_bytes: 0,
        dictionary: Dictionary::None,
        payload: &[],
    }
}

/// A window while it is told which traces are due.
pub struct Closing<'r> {
    rules: &'r Rules,
    room: Vec<(BucketRange, Admission<'r>)>,
}

impl<'r> Closing<'r> {
    /// Takes note of a trace that is due: with limits, all must be known before the first is decided.
    pub fn offer(&mut self, id: &TraceId, facts: &[TraceFacts]) {
        let bucket = Bucket::of_trace(id);
        if let Some((_, admission)) = self.room.iter_mut().find(|(shard, _)| shard.contains(bucket)) {
            let _told_later = catch_unwind(AssertUnwindSafe(|| admission.offer(id, facts)));
        }
    }

    /// The window, ready to decide.
    #[must_use]
    pub fn finish(self) -> Closed<'r> {
        let room = self.room.into_iter().map(|(shard, admission)| (shard, admission.finish())).collect();
        Closed { rules: self.rules, room, no_room: Admitted::default() }
    }
}

/// A window that decides.
pub struct Closed<'r> {
    rules: &'r Rules,
    room: Vec<(BucketRange, Admitted)>,
    no_room: Admitted,
}

/// What the rules decide on a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What becomes of it.
    pub verdict: Verdict,
    /// What it goes by, as `decisions.policy` has it.
    pub policy: String,
    /// What it stands for if it is kept.
    pub weight: f64,
    /// How likely a trace with these facts is kept, whatever its id: 0 to 1.
    pub chance: f64,
}

impl Closed<'_> {
    /// Whether what becomes of a trace depends on the others of its window.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        self.rules.has_limits()
    }

    /// Decides a trace. One that makes the rules panic is dropped as `poison`, as on the stream.
    #[must_use]
    pub fn decide(&self, id: &TraceId, facts: &[TraceFacts]) -> Judged {
        let bucket = Bucket::of_trace(id);
        let room = self.room.iter().find(|(shard, _)| shard.contains(bucket)).map_or(&self.no_room, |(_, room)| room);
        let judged = catch_unwind(AssertUnwindSafe(|| {
            let decision = self.rules.decide_in_window(id, facts, room);
            let (verdict, policy) = verdict_of(self.rules, &decision);
            Judged { verdict, policy, weight: decision.weight, chance: self.rules.chance(id, facts, room) }
        }));
        judged.unwrap_or_else(|_| Judged { verdict: Verdict::Dropped, policy: "poison".to_owned(), weight: 1.0, chance: 0.0 })
    }
}
