//! What was called, in order of arrival.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// A log that can be waited for.
pub(crate) struct Log<T> {
    calls: Mutex<Vec<T>>,
    count: watch::Sender<usize>,
}

impl<T: Clone> Log<T> {
    pub(crate) fn new() -> Self {
        Self { calls: Mutex::default(), count: watch::Sender::new(0) }
    }

    pub(crate) fn push(&self, call: T) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        self.count.send_modify(|count| *count += 1);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns when there are at least so many calls.
    pub(crate) async fn wait(&self, calls: usize) {
        let mut seen = self.count.subscribe();
        // The sender is ours: waiting cannot fail.
        drop(seen.wait_for(|count| *count >= calls).await);
    }
}
