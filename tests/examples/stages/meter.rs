//! What a stage costs: CPU and wall time of this process.

use std::time::Instant;

/// CPU and wall time from a moment on.
pub(crate) struct Meter {
    wall: Instant,
    ticks: u64,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { wall: Instant::now(), ticks: ticks() }
    }

    /// CPU time so far, nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        (ticks() - self.ticks) * NANOS_PER_TICK
    }

    /// Prints `stage`, its spans and nanoseconds of CPU for a span. Others read this line.
    pub(crate) fn print(&self, stage: &str, spans: u64) {
        let (cpu, wall) = (self.cpu_nanos(), self.wall.elapsed().as_millis());
        let nanos = cpu / spans.max(1);
        println!("{stage}: {spans} spans, {nanos} ns/span of CPU, CPU {} ms, wall {wall} ms", cpu / 1_000_000);
    }
}

const NANOS_PER_TICK: u64 = 10_000_000;

/// User and system time of this process, hundredths of a second.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields.get(11..13).unwrap().iter().map(|field| field.parse::<u64>().unwrap()).sum()
}
