//! What every port call of a run goes through: it draws the call's fault, counts it by protocol step, and keeps the hash of
//! all that happened, by which two runs of a seed are compared.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use spanlake_testkit::Rng;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::scheduler::yield_times;

/// What can happen to a port call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Others go first, many times.
    Delay,
    /// It fails without effect: an internal error of the store or stream.
    Error500,
    /// It fails without effect: slow down, throttled; of several records, some are taken.
    Error503,
    /// It takes effect and fails.
    LostReply,
    /// It fails, and takes effect later.
    Zombie,
    /// A conditional write is refused though its condition holds.
    Conflict409,
    /// A conditional write is refused since another writer was faster; not drawn, it happens.
    Refused412,
    /// Its caller ends before it has an effect.
    CrashBefore,
    /// Its caller ends once it has had its effect.
    CrashAfter,
}

impl Fault {
    /// Every kind, in order.
    pub const ALL: [Self; 9] = [
        Self::Delay,
        Self::Error500,
        Self::Error503,
        Self::LostReply,
        Self::Zombie,
        Self::Conflict409,
        Self::Refused412,
        Self::CrashBefore,
        Self::CrashAfter,
    ];
}

/// What kind of call it is, and so what can happen to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write,
    Conditional,
}

impl Call {
    /// Whether the fault can happen to such a call.
    pub(crate) fn can(self, fault: Fault) -> bool {
        match fault {
            Fault::LostReply | Fault::Zombie | Fault::CrashAfter => self != Self::Read,
            Fault::Conflict409 | Fault::Refused412 => self == Self::Conditional,
            _ => true,
        }
    }
}

/// How often each fault is drawn, per thousand calls, in the order of [`Fault::ALL`].
pub(crate) type Rates = [u64; Fault::ALL.len()];

/// How often each fault hit each protocol step. `None` counts the calls.
pub type Matrix = BTreeMap<(String, Option<Fault>), u64>;

struct State {
    now_nanos: i64,
    caller: u64,
    role: &'static str,
    hash: u64,
    calls: u64,
    log: Option<Vec<String>>,
    matrix: Matrix,
    crashed: bool,
    rng: Rng,
    rates: Rates,
}

/// The journal of a run.
pub(crate) struct Journal(Mutex<State>);

impl Journal {
    pub(crate) fn new(seed: u64, rates: Rates, is_logged: bool) -> Self {
        let (log, rng) = (is_logged.then(Vec::new), Rng::new(seed));
        let (now_nanos, caller, hash, calls, crashed) = (0, 0, 0, 0, false);
        Self(Mutex::new(State { now_nanos, caller, role: "world", hash, calls, log, matrix: Matrix::new(), crashed, rng, rates }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> i64 {
        self.state().now_nanos
    }

    pub(crate) fn advance(&self, nanos: u64) {
        self.state().now_nanos += nanos.cast_signed();
    }

    pub(crate) fn set_now(&self, now_nanos: i64) {
        self.state().now_nanos = now_nanos;
    }

    pub(crate) fn set_rates(&self, rates: Rates) {
        self.state().rates = rates;
    }

    /// The one whose call it is from now on.
    pub(crate) fn set_caller(&self, caller: u64, role: &'static str) {
        let mut state = self.state();
        (state.caller, state.role) = (caller, role);
    }

    pub(crate) fn caller(&self) -> u64 {
        self.state().caller
    }

    pub(crate) fn role(&self) -> &'static str {
        self.state().role
    }

    /// Whether the caller ended within its last call.
    pub(crate) fn take_crash(&self) -> bool {
        std::mem::take(&mut self.state().crashed)
    }

    /// A number below `bound` of the faults' own sequence.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.state().rng.below(bound)
    }

    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.state().rng.chance(percent)
    }

    /// Notes an event of the world.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        self.state().event(what);
    }

    /// Counts an event of the world beside the port calls.
    pub(crate) fn happened(&self, what: &'static str) {
        *self.state().matrix.entry((format!("world: {what}"), None)).or_default() += 1;
        self.note(|| what.to_owned());
    }

    /// Lets others go first, then says what happens to the call.
    pub(crate) async fn step(&self, call: Call, name: &'static str, key: &str) -> Option<Fault> {
        yield_times(self.delay(name, key)).await;
        let mut state = self.state();
        state.calls += 1;
        let fault = state.draw(call);
        state.count(name, key, fault);
        state.event(|| format!("{name} {key}{}", fault.map_or(String::new(), |fault| format!(" -> {fault:?}"))));
        fault
    }

    fn delay(&self, name: &str, key: &str) -> u64 {
        let mut state = self.state();
        let rate = state.rates.first().copied().unwrap_or_default();
        if state.rng.below(1_000) >= rate {
            return 1;
        }
        state.add(name, key, Fault::Delay);
        2 + state.rng.below(40)
    }

    /// A conditional write met another writer's.
    pub(crate) fn refused(&self, name: &str, key: &str) {
        let mut state = self.state();
        state.add(name, key, Fault::Refused412);
        state.event(|| format!("{name} {key} -> refused"));
    }

    /// The caller ends here.
    pub(crate) async fn crash<T>(&self) -> T {
        self.state().crashed = true;
        std::future::pending().await
    }

    pub(crate) fn finish(&self) -> (u64, u64, Matrix, Vec<String>) {
        let mut state = self.state();
        let (matrix, log) = (std::mem::take(&mut state.matrix), state.log.take().unwrap_or_default());
        (state.hash, state.calls, matrix, log)
    }
}

impl State {
    fn draw(&mut self, call: Call) -> Option<Fault> {
        let mut drawn = self.rng.below(1_000);
        for (fault, rate) in Fault::ALL.into_iter().zip(self.rates) {
            if matches!(fault, Fault::Delay | Fault::Refused412) || !call.can(fault) {
                continue;
            }
            if drawn < rate {
                return Some(fault);
            }
            drawn -= rate;
        }
        None
    }

    fn count(&mut self, name: &str, key: &str, fault: Option<Fault>) {
        *self.matrix.entry((step_of(self.role, name, key), None)).or_default() += 1;
        if let Some(fault) = fault {
            self.add(name, key, fault);
        }
    }

    fn add(&mut self, name: &str, key: &str, fault: Fault) {
        *self.matrix.entry((step_of(self.role, name, key), Some(fault))).or_default() += 1;
    }

    fn event(&mut self, what: impl FnOnce() -> String) {
        let text = format!("{} {}#{} {}", self.now_nanos / 1_000_000, self.role, self.caller, what());
        self.hash = xxh3_64_with_seed(text.as_bytes(), self.hash);
        if let Some(log) = &mut self.log {
            log.push(text);
        }
    }
}

/// The protocol step of a call: who, what, on what.
fn step_of(role: &str, name: &str, key: &str) -> String {
    let on = match key.split_once('/') {
        Some(("plan", rest)) if rest.contains(".done") => "done mark",
        Some((prefix, _)) => prefix,
        None => key,
    };
    format!("{role}: {name} {on}").trim_end().to_owned()
}
