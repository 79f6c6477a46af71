//! Measures the stages of the pipeline one by one, on real requests and the real disk: CPU time of this process per span.
//!
//! `cargo run --release -p spanlake-tests --example stages -- FOLDER [--config FILE] [--steady | --ingest | --json | --day OUT]
//! [--plans N] [--seconds S] [--window S] [--begin S]`
//!
//! FOLDER holds trace requests, as `loadgen --out` writes them: protobuf, plain or compressed by gzip or zstd. Every body is used
//! once, so that no cache flatters a stage. Without more: ingest, the same with the published types, grouping, archiving, and the
//! parts that they are made of, each alone.
//!
//! - `--steady` does the same work in the same order each time, without the comparisons: for counting instructions
//!   (`tests/ci/instructions.py`).
//! - `--ingest` measures ingest alone, `--json` the same with the bodies as OTLP/JSON; `--group` stops behind grouping.
//! - `--day OUT` makes the data folder of a day out of the requests, in 720 plans of 120 seconds, and measures nothing. `--plans`
//!   and `--seconds` make another stretch of time; `--begin` tells its Unix second; windows are as long as a plan unless `--window`
//!   says otherwise.
#![expect(clippy::print_stdout, reason = "its purpose is to print")]
#![expect(clippy::unwrap_used, reason = "a measurement stops where something is wrong")]

mod bodies;
mod day;
mod meter;
mod parts;
mod pipeline;
mod published;

use std::path::Path;
use std::sync::Arc;

use spanlake_local::{DiskStore, Floor, LogOptions, RealDisk, SegmentLog};
use spanlake_policy::{DEFAULT_CONFIG, load};

use meter::Meter;

const SHARDS: u16 = 2;
/// Requests under way at a time: that many share a write to the disk.
const CLIENTS: usize = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1).cloned());
    let has = |name: &str| arguments.iter().any(|word| word == name);
    let config = value("--config").map_or_else(|| DEFAULT_CONFIG.to_owned(), |path| std::fs::read_to_string(path).unwrap());
    let input = Path::new(arguments.first().unwrap());
    // What is measured runs on one thread.
    let workers = if has("--day") { 2 } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
    if let Some(out) = value("--day") {
        let number = |name: &str, default: i64| value(name).map_or(default, |text| text.parse().unwrap());
        let seconds = number("--seconds", 120);
        let stretch = day::Stretch {
            plans: usize::try_from(number("--plans", 720)).unwrap(),
            plan_nanos: seconds * 1_000_000_000,
            window_nanos: number("--window", seconds) * 1_000_000_000,
            begun_nanos: number("--begin", pipeline::BEGUN_NANOS / 1_000_000_000) * 1_000_000_000,
        };
        return runtime.block_on(day::make(input, Path::new(&out), &config, &stretch));
    }
    let bodies = if has("--json") { bodies::as_json(&bodies::read(input)) } else { bodies::read(input) };
    let folder = std::env::temp_dir().join(format!("spanlake-stages-{}", std::process::id()));
    let log = open_log(&folder.join("stream"));
    runtime.block_on(async {
        let spans = pipeline::ingest(&bodies, &log, if has("--steady") { 1 } else { CLIENTS }).await;
        if has("--ingest") || has("--json") {
            return;
        }
        if !has("--steady") {
            published::ingest(&bodies, &open_log(&folder.join("prost")), (CLIENTS, spans)).await;
        }
        let store = Arc::new(DiskStore::open(RealDisk, folder.join("store")).unwrap());
        let meter = Meter::start();
        pipeline::group(&log, &store, &config).await;
        meter.print("group", spans);
        if has("--group") {
            return;
        }
        let meter = Meter::start();
        let archived = pipeline::archive(store).await;
        meter.print("archive (of all spans, kept or not)", spans);
        println!("{} files, {} bytes", archived.files, archived.bytes);
        if !has("--steady") {
            parts::measure(&bodies, &load(&config, &|_| None).rules.unwrap(), &folder, spans);
        }
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

fn open_log(folder: &Path) -> Arc<SegmentLog<RealDisk>> {
    let mut options = LogOptions::new(SHARDS, Floor::default(), 1_790_000_000_000_000_000);
    options.limits = None;
    Arc::new(SegmentLog::open(RealDisk, folder.to_path_buf(), options).unwrap())
}
