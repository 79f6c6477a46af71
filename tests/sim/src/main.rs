//! Runs seeds of the simulation: `sim --seeds 0..2000`, `sim --seed 7 --log`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use spanlake_sim::{Event, Fault, Matrix, Options, Outcome, run_seed};

const USAGE: &str = "usage: sim --seeds A..B [--first] | sim --seed N [--log] [--shrink]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let mut out = std::io::stdout().lock();
    let failed = if let Some(seed) = value("--seed").and_then(|seed| seed.parse().ok()) {
        one(seed, has("--log"), has("--shrink"), &mut out)
    } else if let Some((from, to)) = value("--seeds").and_then(range) {
        many(from, to, has("--first"), &mut out)
    } else {
        writeln!(out, "{USAGE}").map(|()| true)
    };
    if matches!(failed, Ok(false)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn range(text: &str) -> Option<(u64, u64)> {
    let (from, to) = text.split_once("..")?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn one(seed: u64, is_logged: bool, shrinks: bool, out: &mut impl Write) -> std::io::Result<bool> {
    let options = if shrinks { shrink(seed) } else { Options::default() };
    if shrinks {
        writeln!(out, "{options:?}")?;
    }
    let outcome = run_seed(seed, &Options { is_logged, ..options });
    for event in &outcome.log {
        writeln!(out, "{event}")?;
    }
    let verdict = outcome.violation.as_deref().unwrap_or("holds");
    writeln!(out, "seed {seed}: {verdict} ({} port calls, hash {:016x})", outcome.calls, outcome.hash)?;
    Ok(outcome.violation.is_some())
}

/// Leaves out what a failing seed does not need to fail, one thing after the other.
fn shrink(seed: u64) -> Options {
    let mut options = Options::default();
    let try_with = |options: &mut Options, change: &dyn Fn(&mut Options)| {
        let mut smaller = options.clone();
        change(&mut smaller);
        if run_seed(seed, &smaller).violation.is_some() {
            *options = smaller;
        }
    };
    for fault in Fault::ALL {
        try_with(&mut options, &|options| options.without.push(fault));
    }
    for event in Event::ALL {
        try_with(&mut options, &|options| options.calm.push(event));
    }
    for traces in [32, 24, 16, 12, 8, 6, 4, 3, 2, 1] {
        try_with(&mut options, &|options| options.traces_max = traces);
    }
    options
}

fn many(from: u64, to: u64, stops_at_first: bool, out: &mut impl Write) -> std::io::Result<bool> {
    let (begun, mut matrix, mut failed, mut calls, mut seeds, mut heap) = (Instant::now(), Matrix::new(), 0, 0, 0, 0);
    for seed in from..to {
        let Outcome { violation, calls: of_seed, matrix: hits, heap_bytes, .. } = run_seed(seed, &Options::default());
        for (cell, hits) in hits {
            *matrix.entry(cell).or_default() += hits;
        }
        (calls, seeds, heap) = (calls + of_seed, seeds + 1, heap_bytes.max(heap));
        if seeds % 100 == 0 && std::io::stderr().is_terminal() {
            write!(std::io::stderr(), "\r{seeds} of {} seeds, {failed} failed", to - from)?;
        }
        if let Some(violation) = violation {
            failed += 1;
            writeln!(out, "seed {seed}: {violation}")?;
            if stops_at_first {
                break;
            }
        }
    }
    if std::io::stderr().is_terminal() {
        writeln!(std::io::stderr())?;
    }
    print_matrix(&matrix, out)?;
    let taken = begun.elapsed().as_secs_f64();
    let per_second = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX)) / taken;
    writeln!(
        out,
        "{seeds} seeds, {failed} failed, {:.1} seeds/s, {:.0} port calls/s, {taken:.1} s, heap at most {} kB",
        per_second(seeds),
        per_second(calls),
        heap / 1_000
    )?;
    Ok(failed > 0)
}

/// Protocol steps down, kinds of faults across.
fn print_matrix(matrix: &Matrix, out: &mut impl Write) -> std::io::Result<()> {
    let mut rows: BTreeMap<&str, BTreeMap<Option<Fault>, u64>> = BTreeMap::new();
    for ((step, fault), hits) in matrix {
        rows.entry(step).or_default().insert(*fault, *hits);
    }
    write!(out, "{:<32}{:>10}", "protocol step", "calls")?;
    for fault in Fault::ALL {
        write!(out, "{:>12}", format!("{fault:?}"))?;
    }
    writeln!(out)?;
    for (step, hits) in rows {
        write!(out, "{step:<32}{:>10}", hits.get(&None).copied().unwrap_or_default())?;
        for fault in Fault::ALL {
            let shown = hits.get(&Some(fault)).map_or_else(|| "-".to_owned(), u64::to_string);
            write!(out, "{shown:>12}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
