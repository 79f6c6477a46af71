//! What the new rules would keep of everything that was decided, as the weights of what is left say it. It never says more than was
//! decided. Staged traces need no weights: they are all there.

use spanlake_pipeline::Verdict;

use super::scan::Findings;
use super::tally::{Basis, Kept, Sum};

/// Everything that was sent and might be kept by chance, as weights estimate it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Estimate {
    /// What the kept traces stand for beside themselves.
    pub(super) left_out_traces: f64,
    pub(super) left_out_spans: f64,
    /// What the new rules would keep of all.
    pub(super) traces: f64,
    pub(super) spans: f64,
    pub(super) span_bytes: f64,
}

impl Estimate {
    /// Takes note of a trace of which the new rules would keep this share.
    #[expect(clippy::cast_precision_loss, reason = "estimates")]
    pub(super) fn add(&mut self, share: f64, parts: &[Kept]) {
        self.traces += share;
        for part in parts {
            self.spans += share * part.spans as f64;
            self.span_bytes += share * part.bytes as f64;
        }
    }

    /// Both together. What is left out is what the first says.
    fn and(self, more: Self) -> Self {
        Self {
            traces: self.traces + more.traces,
            spans: self.spans + more.spans,
            span_bytes: self.span_bytes + more.span_bytes,
            ..self
        }
    }

    /// The same, but no more than there is in the lake, and no more left out than is gone.
    #[expect(clippy::cast_precision_loss, reason = "estimates")]
    fn within(self, rows: Sum, gone: Sum) -> Self {
        let most = (rows.spans + gone.spans) as f64;
        let share = if self.spans > most { most / self.spans } else { 1.0 };
        Self {
            left_out_traces: self.left_out_traces.min(gone.traces as f64),
            left_out_spans: self.left_out_spans.min(gone.spans as f64),
            traces: self.traces.min((rows.traces + gone.traces) as f64),
            spans: self.spans * share,
            span_bytes: self.span_bytes * share,
        }
    }
}

impl Findings {
    /// Traces of which nothing is stored.
    pub(super) fn gone(&self) -> Sum {
        self.gone.values().fold(Sum::default(), |mut sum, gone| {
            sum.add(gone.traces, gone.spans);
            sum
        })
    }

    /// Of them those that no policy kept, for which the weights of others stand: nothing stands for what a policy dropped.
    pub(super) fn left_out(&self) -> Sum {
        let left_out = self.gone.iter().filter(|((verdict, _), _)| verdict == Verdict::SampledOut.name());
        left_out.fold(Sum::default(), |mut sum, (_, gone)| {
            sum.add(gone.traces, gone.spans);
            sum
        })
    }

    /// What weights say of all that rows of the lake stand for. With [`Findings::is_limited`] they do not say what the new rules
    /// would keep.
    pub(super) fn estimate_of_rows(&self) -> Estimate {
        let rows = self.tally.judged.get(&Basis::Rows).copied().unwrap_or_default();
        self.tally.estimate.within(rows, self.left_out())
    }

    /// The same with the staged traces.
    pub(super) fn estimate(&self) -> Estimate {
        self.estimate_of_rows().and(self.tally.staged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_estimate_is_more_than_was_decided() {
        let parts = [Kept { service: "a".to_owned(), spans: 4, bytes: 100 }];
        let mut estimate = Estimate { left_out_traces: 9.0, left_out_spans: 36.0, ..Estimate::default() };
        estimate.add(10.0, &parts);
        let (lake, gone) = (Sum { traces: 1, spans: 4 }, Sum { traces: 4, spans: 16 });
        let within = Estimate { left_out_traces: 4.0, left_out_spans: 16.0, traces: 5.0, spans: 20.0, span_bytes: 500.0 };
        assert_eq!(estimate.within(lake, gone), within);
        let more = Sum { traces: 90, spans: 360 };
        assert_eq!(estimate.within(lake, more), estimate);
    }
}
