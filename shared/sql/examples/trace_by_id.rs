//! Measures how long it takes to find traces by their ids in a lake, and how many bytes are read for it.
//!
//! `cargo run --release -p spanlake-sql --example trace_by_id -- DATA TRACE_ID...`
//!
//! The first query finds no footer in memory, the later ones do. A line for each: time and bytes read from files.
#![expect(clippy::print_stdout, reason = "its purpose is to print")]
#![expect(clippy::unwrap_used, reason = "a measurement stops where something is wrong")]

use std::path::Path;
use std::time::Instant;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let lake = spanlake_sql::open(Path::new(&arguments.next().unwrap())).unwrap();
    for id in arguments {
        let (before, begun) = (bytes_read(), Instant::now());
        let statement = format!("SELECT * FROM spans WHERE trace_id = '{id}' ORDER BY start_unix_nano");
        let rows = lake.query(&statement).await.unwrap().rows.len();
        println!("{} ms, {} bytes read, {rows} spans", begun.elapsed().as_millis(), bytes_read() - before);
    }
}

/// Bytes that this process has read so far, from the disk or the kernel's memory.
fn bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}
