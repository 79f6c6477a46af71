//! Figures from the sample are truthful: the sum of weights estimates what was before sampling, without bias and within
//! what chance allows, under the seed configuration's 5 %.

use std::collections::BTreeMap;
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use spanlake_model::{NANOS_PER_SECOND, Signal, SpanId, TraceId};
use spanlake_pipeline::archive::Archiver;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::EventStream;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::{SpanFacts, TraceFacts, Verdict};
use spanlake_testkit::{Faults, Rng, SimStore, SpanSpec, trace_request};

use crate::drive::{Front, START_NANOS, block_on, grouper, rules};

const SEED_CONFIG: &str = include_str!("../bench/seed.yaml");
const SHARE: f64 = 0.05;
const SEEDS: u64 = 200;

/// The requests of an endpoint as the sample tells them, over their true number.
fn estimate(rules: &spanlake_policy::Rules, rng: &mut Rng, requests: u32) -> f64 {
    let mut facts = TraceFacts::default();
    facts.add(&SpanFacts { start_nanos: 1_000_000, end_nanos: 2_000_000, kind: 2, bytes: 400, ..SpanFacts::default() });
    let mut sum = 0.0;
    for _ in 0..requests {
        let decision = rules.decide(&TraceId(rng.bytes()), &facts);
        if decision.verdict == Verdict::Kept {
            sum += decision.weight;
        }
    }
    sum / f64::from(requests)
}

#[test]
fn estimates_from_the_sample_are_unbiased_and_within_three_standard_errors() {
    let rules = rules(SEED_CONFIG).unwrap();
    for requests in [1_000, 5_000, 30_000] {
        let error = ((1.0 - SHARE) / (SHARE * f64::from(requests))).sqrt();
        let estimates: Vec<f64> = (0..SEEDS).map(|seed| estimate(&rules, &mut Rng::new(seed), requests)).collect();
        let beyond = estimates.iter().filter(|estimate| (*estimate - 1.0).abs() > 3.0 * error).count();
        // Of 200 fair estimates 0.5 lie beyond three standard errors.
        assert!(beyond <= 3, "{requests} requests: {beyond} of {SEEDS} estimates beyond 3 standard errors");
        let mean = estimates.iter().sum::<f64>() / f64::from(u32::try_from(SEEDS).unwrap()) - 1.0;
        assert!(
            mean.abs() < 3.0 * error / 200_f64.sqrt() && (requests < 5_000 || mean.abs() < 0.01),
            "{requests}: mean error {mean}"
        );
    }
}

#[test]
fn what_a_deterministic_policy_keeps_stands_for_itself_alone() {
    let rules = rules(SEED_CONFIG).unwrap();
    let mut rng = Rng::new(1);
    for _ in 0..1_000 {
        let mut facts = TraceFacts::default();
        facts.add(&SpanFacts { start_nanos: 1, end_nanos: 1_500_000_001, kind: 2, ..SpanFacts::default() });
        let decision = rules.decide(&TraceId(rng.bytes()), &facts);
        assert_eq!((decision.verdict, decision.weight.to_bits()), (Verdict::Kept, 1.0_f64.to_bits()));
    }
}

/// What one endpoint of a service is sent.
struct Endpoint {
    service: &'static str,
    name: &'static str,
    requests: u32,
    /// Of a hundred requests so many fail, and so many are slow: kept whatever chance says.
    errors: u32,
    slow: u32,
}

const ENDPOINTS: &[Endpoint] = &[
    Endpoint { service: "shop", name: "GET /products", requests: 30_000, errors: 0, slow: 0 },
    Endpoint { service: "shop", name: "GET /cart", requests: 4_000, errors: 0, slow: 0 },
    Endpoint { service: "shop", name: "POST /cart", requests: 3_000, errors: 10, slow: 5 },
    Endpoint { service: "search", name: "GET /search", requests: 800, errors: 1, slow: 0 },
    Endpoint { service: "search", name: "GET /suggest", requests: 100, errors: 0, slow: 0 },
    Endpoint { service: "payment-service", name: "POST /pay", requests: 500, errors: 2, slow: 2 },
];

impl Endpoint {
    fn span(&self, rng: &mut Rng, number: u32) -> SpanSpec {
        let percent = number % 100;
        let is_slow = (self.errors..self.errors + self.slow).contains(&percent);
        let start_nanos = START_NANOS.unsigned_abs();
        SpanSpec {
            trace: TraceId(rng.bytes()),
            id: SpanId(rng.bytes()),
            parent: SpanId::default(),
            name: self.name.to_owned(),
            kind: 2,
            start_nanos,
            end_nanos: start_nanos + if is_slow { 1_500_000_000 } else { 20_000_000 },
            status: if percent < self.errors { 2 } else { 0 },
            attributes: Vec::new(),
        }
    }

    /// The standard error of the sample's figure: nothing for what no chance decides.
    fn standard_error(&self) -> f64 {
        let by_chance = if self.service == "payment-service" { 0 } else { self.requests / 100 * (100 - self.errors - self.slow) };
        (f64::from(by_chance) * (1.0 - SHARE) / SHARE).sqrt()
    }
}

/// Sums a column of a table's files by operation, read with the Parquet library's own reader.
fn sums(files: &[bytes::Bytes], operation: &str, summed: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for file in files {
        let reader = SerializedFileReader::new(file.clone()).unwrap();
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let place = |name: &str| fields.iter().position(|field| field.name() == name).unwrap();
        let (operation, summed) = (place(operation), place(summed));
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let number =
                row.get_double(summed).or_else(|_| row.get_long(summed).map(|whole| i32::try_from(whole).unwrap().into()));
            *sums.entry(row.get_string(operation).unwrap().clone()).or_default() += number.unwrap();
        }
    }
    sums
}

#[test]
fn weighted_figures_in_the_lake_tell_how_much_was_sent() {
    let front = Front::new(2);
    let mut rng = Rng::new(7);
    for endpoint in ENDPOINTS {
        let spans: Vec<SpanSpec> = (0..endpoint.requests).map(|number| endpoint.span(&mut rng, number)).collect();
        for spans in spans.chunks(500) {
            front.post(Signal::Traces, trace_request(endpoint.service, spans));
        }
    }
    front.beat(START_NANOS + 40 * NANOS_PER_SECOND);
    let store = Arc::new(SimStore::new(0, Faults::default()));
    for (number, shard) in front.stream.shards().iter().enumerate() {
        let mut grouper = grouper(&store, shard, &GroupSettings::default(), SEED_CONFIG);
        for records in front.records(number).chunks(20) {
            assert!(block_on(grouper.handle(records)).unwrap().close_error.is_none());
        }
        assert!(block_on(grouper.manifest()).unwrap().staged.is_empty(), "everything is decided");
    }
    block_on(Archiver::new(Arc::clone(&store), 1 << 20).run()).unwrap();
    let table = |name: &str| -> Vec<bytes::Bytes> {
        let folder = format!("{}{name}/", keys::LAKE);
        store.snapshot().into_iter().filter(|(key, _)| key.starts_with(&folder)).map(|(_, bytes)| bytes).collect()
    };
    let sampled = sums(&table("spans"), "name", "sampling_weight");
    let counted = sums(&table("red_1m"), "operation", "requests");
    for endpoint in ENDPOINTS {
        let sent = f64::from(endpoint.requests);
        let off = (sampled[endpoint.name] - sent).abs();
        assert!(off <= 3.0 * endpoint.standard_error(), "{}: {} for {sent}", endpoint.name, sampled[endpoint.name]);
        assert!(endpoint.requests < 30_000 || off <= 0.05 * sent, "{}: {} for {sent}", endpoint.name, sampled[endpoint.name]);
        assert!((counted[endpoint.name] - sent).abs() < 0.5, "before sampling every request is counted: {counted:?}");
    }
}
