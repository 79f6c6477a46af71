//! Runs several callers on one thread and lets a seed pick which of them makes the next step. Dropping a caller
//! between two steps is a crash; running two callers of the same shard is a zombie.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::Rng;

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The callers under way.
#[derive(Default)]
pub struct Scheduler<'a> {
    tasks: Vec<(u64, Task<'a>)>,
    next_id: u64,
    /// Steps made so far.
    pub steps: u64,
}

impl<'a> Scheduler<'a> {
    /// Adds a caller and returns its id.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'a) -> u64 {
        self.next_id += 1;
        self.tasks.push((self.next_id, Box::pin(task)));
        self.next_id
    }

    /// How many callers are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether nobody is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Lets one caller, picked by the generator, make a step; `crash_percent` of steps end their caller instead.
    pub fn step(&mut self, rng: &mut Rng, crash_percent: u64) {
        if self.tasks.is_empty() {
            return;
        }
        self.steps += 1;
        let at = rng.index(self.tasks.len());
        if rng.chance(crash_percent) {
            drop(self.tasks.swap_remove(at));
            return;
        }
        let Some((_, task)) = self.tasks.get_mut(at) else { return };
        let mut context = Context::from_waker(Waker::noop());
        if task.as_mut().poll(&mut context).is_ready() {
            drop(self.tasks.swap_remove(at));
        }
    }

    /// Runs until nobody is under way.
    pub fn finish(&mut self, rng: &mut Rng, crash_percent: u64) {
        while !self.is_empty() {
            self.step(rng, crash_percent);
        }
    }
}

/// Gives the scheduler a chance to let others go first.
pub(crate) async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(move |_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Runs a future of the memory twins, which are ready whenever they are asked again and wake nobody.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
