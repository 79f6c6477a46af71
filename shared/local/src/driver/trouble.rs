//! What fails again and again is told when it begins, each minute while it lasts, and when it is over.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Between two reminders of the same failure.
const REMIND: Duration = Duration::from_mins(1);

/// One thing that may fail, and whether it does.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Whose it is, if it is a shard's.
    shard: Option<usize>,
    /// What was told last, and when.
    told: Option<(&'static str, Instant)>,
}

impl Trouble {
    pub(super) const fn new(shard: Option<usize>) -> Self {
        Self { shard, told: None }
    }

    /// It failed.
    pub(super) fn begin(&mut self, error: &(dyn Error + 'static), what: &'static str) {
        let shard = self.shard;
        if self.is_news(what) {
            warn!(shard, error, "{what}");
        } else {
            debug!(shard, error, "{what}");
        }
    }

    /// It worked.
    pub(super) fn end(&mut self) {
        if let Some((what, _)) = self.told.take() {
            info!(shard = self.shard, was = what, "it works again");
        }
    }

    fn is_news(&mut self, what: &'static str) -> bool {
        let is_known = self.told.is_some_and(|(told, at)| told == what && at.elapsed() < REMIND);
        if !is_known {
            self.told = Some((what, Instant::now()));
        }
        !is_known
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_when_it_begins_and_then_each_minute() {
        let mut trouble = Trouble::new(Some(0));
        assert!(trouble.is_news("full"));
        let mut told = 0;
        for _ in 0..180 {
            advance(Duration::from_secs(1)).await;
            told += u32::from(trouble.is_news("full"));
        }
        assert_eq!(told, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn another_failure_is_told_at_once_and_so_is_one_after_success() {
        let mut trouble = Trouble::new(None);
        assert!(trouble.is_news("full"));
        assert!(trouble.is_news("read-only"));
        assert!(!trouble.is_news("read-only"));
        trouble.end();
        assert!(trouble.is_news("read-only"));
    }
}
