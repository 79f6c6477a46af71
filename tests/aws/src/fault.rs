//! Which fault a call meets: one that a test has told, or one that is drawn.

use std::collections::VecDeque;

use spanlake_testkit::Rng;

/// Faults that were told, for calls of one kind each.
pub(crate) struct Told<A, F>(VecDeque<(A, F)>);

impl<A: PartialEq, F> Told<A, F> {
    pub(crate) const fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(crate) fn push(&mut self, action: A, fault: F) {
        self.0.push_back((action, fault));
    }

    /// The oldest that is left for such a call.
    pub(crate) fn take(&mut self, action: &A) -> Option<F> {
        let at = self.0.iter().position(|(told, _)| told == action)?;
        self.0.remove(at).map(|(_, fault)| fault)
    }
}

/// One of several outcomes by their percentages, or nothing: at most one happens to a call.
pub(crate) fn draw<F>(rng: &mut Rng, outcomes: impl IntoIterator<Item = (u64, F)>) -> Option<F> {
    let mut drawn = rng.below(100);
    for (percent, fault) in outcomes {
        if drawn < percent {
            return Some(fault);
        }
        drawn -= percent;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_comes_once_and_in_order_for_each_kind_of_call() {
        let mut told = Told::new();
        told.push('a', 1);
        told.push('b', 2);
        told.push('a', 3);
        assert_eq!([told.take(&'b'), told.take(&'a'), told.take(&'a'), told.take(&'a')], [Some(2), Some(1), Some(3), None]);
    }

    #[test]
    fn percentages_are_kept_about_and_the_same_seed_draws_the_same() {
        let draws = |seed| {
            let mut rng = Rng::new(seed);
            (0..10_000).map(|_| draw(&mut rng, [(10, 'a'), (0, 'b'), (30, 'c')])).collect::<Vec<_>>()
        };
        let results = draws(7);
        assert_eq!(results, draws(7));
        assert_ne!(results, draws(8));
        let share = |fault| results.iter().filter(|result| **result == fault).count() / 100;
        assert!((9..12).contains(&share(Some('a'))) && share(Some('b')) == 0 && (28..33).contains(&share(Some('c'))));
    }
}
