//! One visit as spans without attributes: who, when, below which parent, failed or not.

use spanlake_model::{SpanId, TraceId};

use super::flows::{FLOWS, Flow, Op, Service, Step};
use super::rng::Rng;

const NANOS_PER_MS: u64 = 1_000_000;
/// Health checks and ordinary visits stay well below the second from which a trace counts as slow.
const ORDINARY_MS_MAX: u64 = 750;

/// Which end of an operation a span is; its span kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl Side {
    /// The kind's code in OTLP.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
            Self::Producer => 4,
            Self::Consumer => 5,
        }
    }

    /// The kind's word in the lake.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Internal => "INTERNAL",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        }
    }
}

/// A span before it has attributes.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) service: &'static Service,
    /// The service at the other end, where there is one.
    pub(crate) peer: Option<&'static Service>,
    pub(crate) op: &'static Op,
    pub(crate) side: Side,
    /// Position of the parent in the trace.
    pub(crate) parent: Option<usize>,
    pub(crate) id: SpanId,
    pub(crate) start_nanos: u64,
    pub(crate) end_nanos: u64,
    pub(crate) failed: bool,
}

/// A whole visit.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    pub(crate) flow: &'static Flow,
    /// The customer, for attributes that all spans of a visit share.
    pub(crate) user: u64,
    pub(crate) drafts: Vec<Draft>,
}

/// A kind of visit, drawn by the shares.
pub(crate) fn draw_flow(rng: &mut Rng) -> Option<&'static Flow> {
    let mut draw = rng.below(FLOWS.iter().map(|flow| flow.share).sum());
    FLOWS.iter().find(|flow| {
        let hit = draw < flow.share;
        draw = draw.wrapping_sub(flow.share);
        hit
    })
}

/// What fails in a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// Any span, by chance.
    Something,
    /// The last span of this service.
    At(&'static str),
}

/// A visit that begins at `start_nanos`. A slow one takes between 1.2 and 2.6 seconds, any other less than one.
pub(crate) fn draw_trace(rng: &mut Rng, flow: &'static Flow, start_nanos: u64, slow: bool, fault: Fault) -> Trace {
    let duration_ms = if slow {
        rng.between(1_200, 2_600)
    } else {
        let spread = rng.between(50, 150) + rng.below(60) * u64::from(rng.chance(150));
        (flow.usual_ms * spread / 100).clamp(1, ORDINARY_MS_MAX)
    };
    let duration_nanos = duration_ms * NANOS_PER_MS + rng.below(NANOS_PER_MS);
    let mut layout = Layout { rng, drafts: Vec::new() };
    layout.step(&flow.root, None, start_nanos, start_nanos + duration_nanos);
    let mut drafts = layout.drafts;
    let last = drafts.len().saturating_sub(1) as u64;
    let failing = match fault {
        Fault::Nothing => None,
        Fault::Something => usize::try_from(rng.between(last.min(1), last)).ok(),
        Fault::At(service) => drafts.iter().rposition(|draft| draft.service.name == service),
    };
    fail(&mut drafts, failing);
    Trace { id: TraceId(rng.trace_id()), flow, user: rng.between(1, 40_000), drafts }
}

struct Layout<'a> {
    rng: &'a mut Rng,
    drafts: Vec<Draft>,
}

impl Layout<'_> {
    /// Lays one operation out over a stretch of time, below `parent` (a position and its service).
    fn step(&mut self, step: &'static Step, parent: Option<(usize, &'static Service)>, start: u64, end: u64) {
        let (other, outgoing, incoming) = match step.op {
            Op::Http(service, ..) | Op::Rpc(service, ..) => (Some(service), Side::Client, Side::Server),
            Op::Queue(service, ..) => (Some(service), Side::Producer, Side::Consumer),
            Op::Sql(..) | Op::Cache(..) => (None, Side::Client, Side::Client),
            Op::Work(..) => (None, Side::Internal, Side::Internal),
        };
        let Some(callee) = other else {
            if let Some((position, service)) = parent {
                self.push(step, service, None, outgoing, Some(position), start, end);
            }
            return;
        };
        let Some((position, service)) = parent else {
            let root = self.push(step, callee, None, incoming, None, start, end);
            self.children(step.children, (root, callee), start, end);
            return;
        };
        // A message is taken up after it was sent; a call's callee works within the call.
        let length = end - start;
        let (sent_by, taken_at, done_at) = match incoming {
            Side::Consumer => (start + length / 8, start + length / 5, end),
            _ => (end, start + length / 50, end - length / 50),
        };
        let out = self.push(step, service, Some(callee), outgoing, Some(position), start, sent_by);
        let inside = self.push(step, callee, Some(service), incoming, Some(out), taken_at, done_at);
        self.children(step.children, (inside, callee), taken_at, done_at);
    }

    /// Lays the children out one after another within their parent.
    fn children(&mut self, steps: &'static [Step], parent: (usize, &'static Service), start: u64, end: u64) {
        let mut turns = Vec::new();
        for step in steps {
            let repeats = self.rng.between(step.times.0, step.times.1);
            turns.extend((0..repeats).map(|_| (step, 1)));
        }
        for (_, weight) in &mut turns {
            *weight = self.rng.between(10, 100);
        }
        let whole: u64 = turns.iter().map(|(_, weight)| weight).sum();
        let margin = (end - start) / 20;
        let room = end - start - 2 * margin;
        let mut at = start + margin;
        for (step, weight) in turns {
            let slot = room / whole * weight;
            self.step(step, Some(parent), at, at + slot - slot / 20);
            at += slot;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one argument for each field that differs between the callers")]
    fn push(
        &mut self,
        step: &'static Step,
        service: &'static Service,
        peer: Option<&'static Service>,
        side: Side,
        parent: Option<usize>,
        start_nanos: u64,
        end_nanos: u64,
    ) -> usize {
        let id = SpanId(self.rng.span_id());
        self.drafts.push(Draft { service, peer, op: &step.op, side, parent, id, start_nanos, end_nanos, failed: false });
        self.drafts.len() - 1
    }
}

/// A span fails, and with it everything that waits for it, up to the root or to the message that started it.
fn fail(drafts: &mut [Draft], mut at: Option<usize>) {
    while let Some(draft) = at.and_then(|position| drafts.get_mut(position)) {
        draft.failed = true;
        at = if draft.side == Side::Consumer { None } else { draft.parent };
    }
}

impl Draft {
    /// The span's name, after the semantic conventions.
    pub(crate) fn name(&self) -> String {
        match *self.op {
            Op::Http(_, method, route) => format!("{method} {route}"),
            Op::Rpc(_, method) => method.to_owned(),
            Op::Sql(verb, table, _) => format!("{verb} {table}"),
            Op::Cache(verb, _) => verb.to_owned(),
            Op::Queue(_, topic) if self.side == Side::Producer => format!("send {topic}"),
            Op::Queue(_, topic) => format!("process {topic}"),
            Op::Work(name) => name.to_owned(),
        }
    }

    /// End less start.
    pub(crate) fn duration_nanos(&self) -> u64 {
        self.end_nanos - self.start_nanos
    }
}

impl Trace {
    /// Latest end less earliest start.
    pub(crate) fn duration_nanos(&self) -> u64 {
        let start = self.drafts.iter().map(|draft| draft.start_nanos).min().unwrap_or(0);
        let end = self.drafts.iter().map(|draft| draft.end_nanos).max().unwrap_or(0);
        end - start
    }

    /// Whether a span belongs to the service.
    pub(crate) fn visits(&self, service: &str) -> bool {
        self.drafts.iter().any(|draft| draft.service.name == service)
    }
}

#[cfg(test)]
mod tests {
    use super::super::flows::FLOWS;
    use super::*;

    #[test]
    fn children_lie_within_the_whole_and_calls_lead_to_another_service() {
        let mut rng = Rng::new(3);
        for flow in FLOWS {
            for round in 0..20 {
                let trace =
                    draw_trace(&mut rng, flow, 1_000, round == 0, if round == 1 { Fault::Something } else { Fault::Nothing });
                assert!((2..=25).contains(&trace.drafts.len()), "{} spans", trace.drafts.len());
                assert_eq!(trace.drafts.iter().filter(|draft| draft.parent.is_none()).count(), 1);
                assert_eq!(trace.duration_nanos(), trace.drafts[0].duration_nanos());
                for draft in &trace.drafts {
                    assert!(draft.end_nanos > draft.start_nanos);
                    if let Some(parent) = draft.parent {
                        assert_eq!(
                            trace.drafts[parent].service.name != draft.service.name,
                            matches!(draft.side, Side::Server | Side::Consumer)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn only_what_shall_be_slow_or_failed_is() {
        let mut rng = Rng::new(4);
        for flow in FLOWS {
            let ordinary = draw_trace(&mut rng, flow, 0, false, Fault::Nothing);
            assert!(ordinary.duration_nanos() < 800 * NANOS_PER_MS && !ordinary.drafts.iter().any(|draft| draft.failed));
            let bad = draw_trace(&mut rng, flow, 0, true, Fault::Something);
            assert!(bad.duration_nanos() > 1_100 * NANOS_PER_MS && bad.drafts.iter().any(|draft| draft.failed));
        }
    }
}
