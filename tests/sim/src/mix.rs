//! What a seed is made of: which faults it has and how often, which settings, how much of everything. Swarm style: most
//! seeds lack most faults, so that each is seen alone and in company.

use std::sync::{Arc, LazyLock, OnceLock};

use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::Rules;
use spanlake_testkit::Rng;

use crate::evidence::{Limit, Policies};
use crate::journal::{Fault, Rates};
use crate::processed::{PIPELINES, PROCESSORS};
use crate::stream::seconds;

/// The rules that a run begins with, and those that some runs switch to.
const RULES: [&str; 2] = [include_str!("rules_first.yaml"), include_str!("rules_second.yaml")];

/// What stands there instead of chance where rules limit something.
const LIMITS: [&str; 2] = [
    "      - {name: limit, type: rate_limiting, rate_limiting: {spans_per_second: 1, burst_capacity: 8}}\n",
    "      - name: limit
        type: composite
        composite:
          max_total_spans_per_second: 2
          policy_order: [web, rest]
          composite_sub_policy:
            - {name: web, type: string_attribute, string_attribute: {key: service.name, values: [web]}}
            - {name: rest, type: always_sample}
          rate_allocation: [{policy: web, percent: 50}, {policy: rest, percent: 50}]
",
];

/// What those let through, in the oracle's words.
const LIMITED: [Limit; 2] = [Limit { rate: 1, burst: 8, has_one_room: true }, Limit { rate: 2, burst: 0, has_one_room: false }];

/// Rules as texts, and compiled for all runs.
#[derive(Default)]
struct Known {
    text: String,
    rules: OnceLock<Result<Arc<Rules>, String>>,
}

/// Both files, in each of their forms; see [`Mix::texts`].
static KNOWN: LazyLock<Vec<[Known; 2]>> = LazyLock::new(|| {
    let known = |text: String| Known { text, rules: OnceLock::new() };
    (0..8).map(|form| [0, 1].map(|number| known(written(number, form & 1 > 0, form & 2 > 0, form & 4 > 0)))).collect()
});

/// Rules of some form: whether logs follow their trace, whether processors drop and change items, whether a limit stands in the
/// place of chance.
fn written(number: usize, follows_logs: bool, processes: bool, limits: bool) -> String {
    let mut text = RULES.get(number).copied().unwrap_or_default().to_owned();
    if limits {
        // Behind the others, so that it is named only for what none of them keeps.
        let (before, behind) = text.split_once("      - name: chance\n").unwrap_or_default();
        let (_, others) = behind.split_once("      - name: payments").unwrap_or_default();
        let (payments, rest) = others.split_once("exporters:").unwrap_or_default();
        let limit = LIMITS.get(number).copied().unwrap_or_default();
        text = format!("{before}      - name: payments{payments}{limit}exporters:{rest}");
    }
    if processes {
        text = text.replacen("processors:\n", PROCESSORS, 1);
        text = text.replacen("processors: [tail_sampling]", "processors: [filter, transform, tail_sampling]", 1) + PIPELINES;
    }
    if follows_logs { text + "spanlake: {logs: follow_trace}\n" } else { text }
}

/// What the caller of a run may ask for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether to keep the log of all events.
    pub is_logged: bool,
    /// Kinds of faults that are left out.
    pub without: Vec<Fault>,
    /// Traces sent, at most; 0 for no limit.
    pub traces_max: u64,
    /// Events that are left out.
    pub calm: Vec<Event>,
}

/// What happens in the world beside the faults of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Shards are split and merged.
    Resharding,
    /// The sweeper and the lifecycle run.
    Sweeper,
    /// Objects are lost, and records expire unread.
    Loss,
}

impl Event {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Resharding, Self::Sweeper, Self::Loss];
}

/// What a seed is made of.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    pub(crate) rates: Rates,
    pub(crate) settings: GroupSettings,
    pub(crate) shards: u16,
    pub(crate) rounds: u64,
    pub(crate) traces_max: u64,
    /// How long a round takes, at most, milliseconds.
    pub(crate) pace_ms: u64,
    pub(crate) file_bytes: u64,
    pub(crate) jump_percent: u64,
    pub(crate) redeliver_percent: u64,
    pub(crate) reshard_percent: u64,
    pub(crate) stale_percent: u64,
    pub(crate) hostile_percent: u64,
    pub(crate) overflow_percent: u64,
    /// So many rounds half of the shards are not read at all, while the others go on.
    pub(crate) laggard_rounds: u64,
    /// How often a shard is left alone for a round.
    pub(crate) lag_percent: u64,
    pub(crate) switches_rules: bool,
    /// Whether logs wait for the verdict on their trace.
    pub(crate) follows_logs: bool,
    /// Whether processors drop and change items.
    pub(crate) processes: bool,
    /// Whether a limit stands in the place of chance.
    pub(crate) limits: bool,
    /// Whether the first rules are named by heartbeats, or hold by default.
    pub(crate) names_rules: bool,
    pub(crate) sweeps: bool,
    /// Traces begun in a round, at most.
    pub(crate) burst: u64,
    /// How often the retention of records ends before they are read.
    pub(crate) expire_percent: u64,
    /// Objects that are lost and given up by an operator, at most.
    pub(crate) lost_objects: u64,
    /// The hour begins so long after the run, seconds; beyond the run's length if it is large.
    pub(crate) hour_in_seconds: u64,
}

impl Mix {
    /// The texts of the first rules and of the second.
    pub(crate) fn texts(&self) -> [&'static str; 2] {
        let form = usize::from(self.follows_logs) + 2 * usize::from(self.processes) + 4 * usize::from(self.limits);
        KNOWN.get(form).map_or([""; 2], |known| known.each_ref().map(|known| known.text.as_str()))
    }

    /// Some seeds have more in their rules. Drawn apart, so that the others are as they were.
    ///
    /// What limits came to is judged by deciding once more from the same records: these stay, on the same shards.
    pub(crate) fn draw_rules(&mut self, rng: &mut Rng) {
        (self.processes, self.limits) = (rng.chance(25), rng.chance(20));
        if self.limits {
            (self.reshard_percent, self.stale_percent, self.expire_percent, self.lost_objects) = (0, 0, 0, 0);
            // Both stores and all records count as what a run holds: no traces of half a megabyte.
            self.overflow_percent = 0;
        }
    }
}

impl Mix {
    pub(crate) fn draw(rng: &mut Rng, options: &Options) -> Self {
        let is_calm = |event: Event| options.calm.contains(&event);
        let harsh = if rng.chance(20) { 3 } else { 1 };
        let mut rates = Rates::default();
        for (fault, rate) in Fault::ALL.into_iter().zip(&mut rates) {
            let most = match fault {
                Fault::Refused412 => 0,
                Fault::CrashBefore | Fault::CrashAfter => 25,
                _ => 90,
            };
            let drawn = if rng.chance(50) { rng.below(most * harsh) } else { 0 };
            *rate = if options.without.contains(&fault) { 0 } else { drawn };
        }
        let mut some = |percent: u64, most: u64| if rng.chance(percent) { rng.below(most) } else { 0 };
        let [jump_percent, redeliver_percent, reshard_percent] = [some(50, 20), some(60, 50), some(60, 30)];
        let [stale_percent, hostile_percent, overflow_percent, lag_percent] =
            [some(60, 100), some(40, 40), some(5, 15), some(30, 60)];
        let expire_percent = some(15, 30);
        // Now and then nothing but splits, merges and old lists of shards.
        let (is_stormy, storm) = (rng.chance(15) && !is_calm(Event::Resharding), 30 + rng.below(40));
        // The memory of ids must outlast what lags behind.
        let is_lagging = is_stormy && rng.chance(40);
        let mut settings = settings(rng);
        if is_lagging {
            settings.seen_nanos = seconds(60);
        }
        Self {
            rates,
            settings,
            shards: 1 + u16::try_from(rng.below(3)).unwrap_or(0),
            rounds: if is_lagging { 22 } else { 8 + rng.below(10) },
            laggard_rounds: if is_lagging { 20 } else { 0 },
            traces_max: if options.traces_max == 0 { u64::MAX } else { options.traces_max },
            pace_ms: if is_lagging || rng.chance(20) { 9_000 } else { 4_000 },
            file_bytes: if rng.chance(30) { 1_500 } else { 1 << 20 },
            jump_percent,
            redeliver_percent,
            reshard_percent: if is_stormy { storm } else { reshard_percent * u64::from(!is_calm(Event::Resharding)) },
            stale_percent: if is_stormy { 30 + storm } else { stale_percent },
            hostile_percent,
            overflow_percent,
            lag_percent,
            switches_rules: rng.chance(30),
            names_rules: rng.chance(50),
            follows_logs: rng.chance(50),
            processes: false,
            limits: false,
            sweeps: rng.chance(60) && !is_calm(Event::Sweeper),
            burst: if is_stormy || rng.chance(20) { 10 } else { 4 },
            expire_percent: if is_calm(Event::Loss) { 0 } else { expire_percent },
            lost_objects: if rng.chance(15) && !is_calm(Event::Loss) { 3 } else { 0 },
            hour_in_seconds: if rng.chance(40) { rng.below(60) } else { 1_800 },
        }
    }
}

fn settings(rng: &mut Rng) -> GroupSettings {
    let mut settings = GroupSettings::default();
    if rng.chance(40) {
        settings.window_nanos = seconds(5);
    }
    if rng.chance(50) {
        settings.seal_bytes = 1_500;
    }
    if rng.chance(30) {
        settings.manifest_bytes_max = 800 + rng.index(2_200);
    }
    if rng.chance(20) {
        settings.red_keys_max = 2;
    }
    if rng.chance(40) {
        settings.late_horizon_nanos = seconds(40);
    }
    if rng.chance(50) {
        settings.seen_nanos = seconds(100);
    }
    if rng.chance(50) {
        settings.trace_spans_max = 12;
        settings.trace_errors_beyond = 2;
    }
    settings
}

fn compile(text: &str) -> Result<Arc<Rules>, String> {
    let loaded = spanlake_policy::load(text, &|_| None);
    loaded.rules.map(Arc::new).ok_or_else(|| format!("{:?}", loaded.findings))
}

/// The rules of a text; those of a run are compiled once for all runs.
pub(crate) fn compiled(text: &str) -> Result<Arc<Rules>, String> {
    let known = KNOWN.iter().flatten().find(|known| known.text == text);
    known.map_or_else(|| compile(text), |known| known.rules.get_or_init(|| compile(text)).clone())
}

/// The version of a text.
pub(crate) fn version(text: &str) -> Result<String, String> {
    compiled(text).map(|rules| rules.version().to_owned())
}

/// The policies of both files, in the oracle's words.
pub(crate) fn policies(mix: &Mix) -> Result<Vec<Policies>, String> {
    let ([first, second], [first_limit, second_limit]) = (mix.texts(), LIMITED.map(|limit| mix.limits.then_some(limit)));
    let first = Policies {
        versions: vec![String::new(), version(first)?],
        wait_nanos: seconds(10),
        slow_nanos: 1_000_000_000,
        percent: 20.0,
        services: &["payment-service"],
        limit: first_limit,
    };
    let second = Policies {
        versions: vec![version(second)?],
        wait_nanos: seconds(5),
        slow_nanos: 400_000_000,
        percent: 50.0,
        services: &["payment-service", "cart"],
        limit: second_limit,
    };
    Ok(vec![first, second])
}
