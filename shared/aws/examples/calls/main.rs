//! Counts what the functions ask of S3 and of Kinesis, by running them: `infra/cost --measure` reads what this prints.
//!
//! `cargo run -p spanlake-aws --example calls -- FOLDER --records` tells the records that requests are cut into, for each
//! number of shards. `... -- FOLDER OUT [--config FILE] [--shards N] [--rate SPANS] [--minutes N] [--warm N] [--environments N]
//! [--window S] [--held-part N]` plays minutes of a stream and writes what was called in those behind the first `--warm` ones to
//! the file OUT.
//!
//! FOLDER holds trace requests, as `loadgen --out` writes them. Requests go through the real ingest, batches as Lambda's events
//! through the real grouper with what it holds in memory (`--held-part`: an Nth of it), and the archiver runs each minute; only the buckets are in memory. Time
//! is the stream's: minutes pass as fast as they can be computed. With `--environments` each batch goes to any of so many
//! environments of the grouper, drawn by a seed; without, a shard has one of its own. Lines of the log go to the standard
//! output, as they do on Lambda.
#![expect(clippy::print_stdout, reason = "its purpose is to print")]
#![expect(clippy::unwrap_used, reason = "a measurement stops where something is wrong")]

mod records;
mod store;
mod stream;
mod timeline;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Request;
use spanlake_aws::{HeldBytes, SystemClock};
use spanlake_pipeline::ingest::Ingest;

use stream::Shelf;
use timeline::Plan;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str, default: u64| value(name).map_or(default, |text| text.parse().unwrap());
    let folder = Path::new(arguments.first().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if arguments.iter().any(|word| word == "--records") {
        return println!("{}", runtime.block_on(records::measure(folder)));
    }
    let plan = Plan {
        shards: u16::try_from(number("--shards", 1)).unwrap(),
        rate: number("--rate", 1_000),
        minutes: number("--minutes", 20),
        warm: number("--warm", 16),
        environments: usize::try_from(number("--environments", 0)).unwrap(),
        window_seconds: number("--window", 5),
        held: held(usize::try_from(number("--held-part", 1)).unwrap()),
        config: value("--config").map(|path| std::fs::read_to_string(path).unwrap()),
    };
    let told = runtime.block_on(timeline::play(&plan, folder));
    std::fs::write(arguments.get(1).unwrap(), told.to_string()).unwrap();
}

/// A part of what the grouper function holds in memory.
fn held(part: usize) -> HeldBytes {
    let whole = HeldBytes::default();
    HeldBytes { bodies: whole.bodies / part, lists: whole.lists / part }
}

/// The requests of a folder, in order of their names.
fn bodies(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Sends a request; answers how many spans it had.
async fn send(ingest: &Ingest<Shelf, SystemClock>, path: &Path) -> u64 {
    let spans = || ingest.counts().accepted.iter().sum::<u64>();
    let before = spans();
    let head = Request::post("/v1/traces").header("content-type", "application/x-protobuf").header("content-encoding", "gzip");
    let answer = ingest.handle(head.body(Bytes::from(std::fs::read(path).unwrap())).unwrap()).await;
    assert_eq!(answer.status(), 200);
    spans() - before
}
