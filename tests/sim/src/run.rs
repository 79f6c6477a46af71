//! One run of a seed: a time of faults, a time of calm, and what must be true in both.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use spanlake_model::Signal;
use spanlake_pipeline::inspect::{Overview, overview};
use spanlake_pipeline::keys;
use spanlake_pipeline::repair::LOST_OBJECT;
use spanlake_pipeline::sweep::{expire, sweep};
use spanlake_policy::BY_PROCESSOR;
use spanlake_testkit::block_on;

use crate::HEAP;
use crate::again::check_decisions;
use crate::evidence::{Account, Evidence, ensure};
use crate::journal::Matrix;
use crate::mix::Options;
use crate::processed;
use crate::scan::first_leak;
use crate::store::Quiet;
use crate::stream::seconds;
use crate::world::World;

/// Rounds of calm after which everything must have come to rest.
const CALM_ROUNDS: u64 = 30;

/// Steps after which every call of such a round must have ended.
const CALM_STEPS: u64 = 100_000;

/// Attempts of a repair; the last one is without faults.
const REPAIRS: u32 = 20;

/// What a run may hold at most, the objects of its store and the judge's copies of them included. Limits bound it: a
/// request, a batch, a part of a window, a file set.
const HEAP_BYTES_MAX: usize = 64 << 20;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The promise that was broken, if one was.
    pub violation: Option<String>,
    /// A hash of all that happened: equal for equal seeds.
    pub hash: u64,
    /// Port calls.
    pub calls: u64,
    /// How often each fault hit each protocol step.
    pub matrix: Matrix,
    /// The most bytes that were allocated at a time, by all runs of this process so far.
    pub heap_bytes: usize,
    /// The events, if they were asked for.
    pub log: Vec<String>,
}

/// Runs a seed.
#[must_use]
pub fn run_seed(seed: u64, options: &Options) -> Outcome {
    let before_bytes = HEAP.max_allocated();
    let mut world = match World::new(seed, options) {
        Ok(world) => world,
        Err(violation) => return Outcome { violation: Some(violation), ..Outcome::default() },
    };
    let result = catch_unwind(AssertUnwindSafe(|| live(&mut world)));
    let heap_bytes = HEAP.max_allocated();
    let is_within = heap_bytes <= HEAP_BYTES_MAX.max(before_bytes);
    let within = |()| ensure(is_within, || format!("I6: {heap_bytes} bytes are allocated"));
    let violation = result.unwrap_or_else(|_| Err("I6: a panic".to_owned())).and_then(within).err();
    let (hash, calls, matrix, log) = world.journal.finish();
    Outcome { violation, hash, calls, matrix, heap_bytes, log }
}

fn live(world: &mut World) -> Result<(), String> {
    for _ in 0..world.mix.rounds {
        world.begin_round(false);
        let (steps, check_at) = (50 + world.rng.below(600), world.rng.below(1_500));
        for step in 0..steps {
            if world.scheduler.is_empty() {
                break;
            }
            world.step();
            if step == check_at {
                world.collect()?;
                check_any_time(world)?;
            }
        }
        world.collect()?;
    }
    check_any_time(world)?;
    if world.mix.lost_objects > 0 {
        lose(world)?;
    }
    world.calm();
    come_to_rest(world)?;
    if world.mix.limits {
        check_decisions(world)?;
    }
    clean_up(world)?;
    if world.mix.lost_objects == 0 {
        world.repeat_some();
    }
    come_to_rest(world)?;
    end(world)
}

/// Some objects are lost; an operator gives them up, and does so again until it succeeds.
fn lose(world: &mut World) -> Result<(), String> {
    let mut rounds = 0;
    while world.stop_all_but_groupers() {
        rounds += 1;
        if rounds == CALM_ROUNDS {
            return Err("liveness: the stream is not read to its end".to_owned());
        }
    }
    world.collect()?;
    world.journal.set_rates(world.mix.rates);
    let objects = world.lose_some();
    for attempt in 0..REPAIRS {
        if attempt + 1 == REPAIRS {
            world.calm();
        }
        let outcome = world.spawn_repair(&objects);
        while !world.scheduler.is_empty() {
            world.step();
        }
        if let Some(outcome) = outcome.take() {
            world.store.settle(100);
            world.reader.borrow_mut().forget();
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) if attempt + 1 == REPAIRS => return Err(format!("repair: {error}")),
                Err(_) => {}
            }
        }
    }
    Err("liveness: no repair comes to its end".to_owned())
}

/// Liveness: without faults everything comes to rest, within a time, and is as it must be.
fn come_to_rest(world: &mut World) -> Result<(), String> {
    let mut quiet_rounds = 0;
    for _ in 0..CALM_ROUNDS {
        world.begin_round(true);
        for _ in 0..CALM_STEPS {
            if world.scheduler.is_empty() {
                break;
            }
            world.step();
        }
        if !world.scheduler.is_empty() {
            return Err(format!("liveness: a call goes on and on without faults: {:?}", world.scheduler.roles()));
        }
        world.collect()?;
        let waits = world.hurry_clients();
        // What came in this round may be read in the next one, and put on the stream again for its owner.
        quiet_rounds = if waits || !state(world)?.is_settled() { 0 } else { quiet_rounds + 1 };
        if quiet_rounds == 3 {
            return check(world, true);
        }
    }
    let state = state(world)?;
    let traces = state.ledger.account(Signal::Traces);
    Err(format!("liveness: not at rest {CALM_ROUNDS} rounds after the faults: {traces:?}, undone plans {}", state.plans_undone))
}

/// With nobody under way every orphan may go, and nothing else does.
fn clean_up(world: &World) -> Result<(), String> {
    let store = world.store.as_ref();
    block_on(sweep(store, world.journal.now() + 1)).map_err(|error| format!("the sweeper fails at rest: {error}"))?;
    let leftovers = world.store.below(keys::SEALED);
    if let Some((key, _)) = leftovers.first() {
        return Err(format!("I12: {key} is archived, and the sweeper leaves it"));
    }
    Ok(())
}

/// The lifecycle takes everything at last.
fn end(world: &World) -> Result<(), String> {
    let store = world.store.as_ref();
    block_on(expire(store, world.journal.now() + seconds(7_200))).map_err(|error| format!("the lifecycle fails: {error}"))?;
    match world.store.below(keys::LAKE).first() {
        Some((key, _)) => Err(format!("I12: {key} outlives its lifecycle")),
        None => Ok(()),
    }
}

fn state(world: &World) -> Result<Overview, String> {
    block_on(overview(&Quiet(&world.store))).map_err(|error| format!("the state cannot be read: {error}"))
}

fn check_any_time(world: &World) -> Result<(), String> {
    check(world, false)
}

fn check(world: &World, is_at_rest: bool) -> Result<(), String> {
    if let Some(violation) = world.store.violation() {
        return Err(violation);
    }
    let lake = world.reader.borrow_mut().read(&world.store.below(keys::LAKE))?;
    let state = state(world)?;
    let shards_balance = state.manifests.iter().all(|manifest| manifest.ledger.balances());
    let mut ledger = BTreeMap::new();
    for signal in Signal::ALL {
        let account = state.ledger.account(signal);
        let balances = account.balances() && shards_balance;
        let (committed, kept, sampled_out, pending) = (account.committed, account.kept, account.sampled_out, account.pending);
        let lost = account.dropped.get(LOST_OBJECT).copied().unwrap_or_default();
        let by_processor = account.dropped.iter().filter(|(reason, _)| reason.starts_with(BY_PROCESSOR));
        let filtered = by_processor.map(|(_, count)| count).sum();
        ledger.insert(signal.name(), Account { committed, kept, sampled_out, pending, lost, filtered, balances });
    }
    let processed = world.mix.processes.then(|| processed::all(&world.sent));
    let evidence = Evidence {
        came: &world.sent,
        sent: processed.as_deref().unwrap_or(&world.sent),
        window_nanos: world.mix.settings.window_nanos,
        shards: world.mix.shards,
        policies: &world.policies,
        switched_nanos: world.switched_nanos,
        follows_logs: world.mix.follows_logs,
        trace_spans_max: world.mix.settings.trace_spans_max,
        poisoned_logs: world.poisoned_logs,
        is_capped: world.mix.settings.red_keys_max < 100,
        is_lossy: world.mix.lost_objects > 0,
        lake: &lake,
        ledger: &ledger,
        quarantined: (world.unreadable, state.ledger.quarantined_records),
    };
    if !is_at_rest {
        return evidence.check_any_time();
    }
    if let Some(key) = first_leak(&world.store.below("")) {
        return Err(format!("I5: {key} holds a secret"));
    }
    evidence.check_at_rest()
}
