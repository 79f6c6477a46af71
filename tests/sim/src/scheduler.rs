//! One thread, many callers: a seed picks who makes the next step. A caller that is dropped between two steps crashed; one
//! that is given up and goes on all the same is a zombie.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use spanlake_testkit::Rng;

use crate::journal::Journal;

struct Task {
    id: u64,
    role: &'static str,
    begun_nanos: i64,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// The callers under way.
pub(crate) struct Scheduler {
    tasks: Vec<Task>,
    next_id: u64,
    journal: Arc<Journal>,
    /// Those that ended, finished or not.
    ended: Vec<u64>,
}

impl Scheduler {
    pub(crate) const fn new(journal: Arc<Journal>) -> Self {
        Self { tasks: Vec::new(), next_id: 0, journal, ended: Vec::new() }
    }

    /// Adds a caller, which is told its number.
    pub(crate) fn spawn<F: Future<Output = ()> + 'static>(&mut self, role: &'static str, task: impl FnOnce(u64) -> F) -> u64 {
        self.next_id += 1;
        let (begun_nanos, future) = (self.journal.now(), Box::pin(task(self.next_id)));
        self.tasks.push(Task { id: self.next_id, role, begun_nanos, future });
        self.next_id
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whose calls are under way.
    pub(crate) fn roles(&self) -> Vec<&'static str> {
        self.tasks.iter().map(|task| task.role).collect()
    }

    pub(crate) fn ended(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.ended)
    }

    /// One caller makes a step.
    pub(crate) fn step(&mut self, rng: &mut Rng) {
        let at = rng.index(self.tasks.len());
        let Some(task) = self.tasks.get_mut(at) else { return };
        self.journal.set_caller(task.id, task.role);
        let mut context = Context::from_waker(Waker::noop());
        let is_over = task.future.as_mut().poll(&mut context).is_ready() | self.journal.take_crash();
        if is_over {
            self.ended.push(self.tasks.swap_remove(at).id);
        }
        self.journal.set_caller(0, "world");
    }

    /// Ends those who began before this: what they left half done stays so.
    pub(crate) fn end_older_than(&mut self, begun_nanos: i64) {
        let old: Vec<u64> = self.tasks.iter().filter(|task| task.begun_nanos < begun_nanos).map(|task| task.id).collect();
        self.tasks.retain(|task| task.begun_nanos >= begun_nanos);
        self.ended.extend(old);
    }
}

/// Lets others go first, so many times.
pub(crate) async fn yield_times(mut times: u64) {
    std::future::poll_fn(move |_| {
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        Poll::Pending
    })
    .await;
}
