//! What a change of volume means for the bill of a deployment on AWS: storage of the lake's files, and queries. Everything else
//! follows from what is sent, which rules do not change.

use spanlake_model::{PerSignal, Signal};

use super::scan::{Files, Findings};

/// USD for a GB-month of S3 Standard, and of `GLACIER_IR`: those of `infra/cost.md`, where their sources are.
const HOT_MONTH_USD: f64 = 0.023;
const COLD_MONTH_USD: f64 = 0.004;
/// USD for what Athena reads, a TB.
const SCANNED_TB_USD: f64 = 5.0;
/// As `infra/cost` counts it: 7 days from midnight are 7.5 on average, and `GLACIER_IR` is billed for 90 days at least.
const HOT_DAYS: f64 = 7.5;
const COLD_DAYS: f64 = 90.0;
const MONTH_DAYS: f64 = 730.0 / 24.0;

/// How it is computed, in words.
pub(super) const FORMULA: &str = "files: GB a day x (7.5 days x USD 0.023 + 90 days x USD 0.004 x 30.4 / 30) a month; a query over a \
day: its GB x USD 0.005. Prices and days are those of infra/cost.md";

/// A day's volume, before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Volume {
    pub(super) items: PerSignal<[f64; 2]>,
    /// `None` if there are no files yet to tell sizes by.
    pub(super) files: Option<FileVolume>,
}

/// What a day's Parquet files take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct FileVolume {
    pub(super) bytes: [f64; 2],
    /// USD a month for storage.
    pub(super) storage_usd: [f64; 2],
    /// USD for one query that reads all of a day.
    pub(super) scan_usd: [f64; 2],
}

/// The volume of a day like the time that was looked at: by the estimate, or of what was judged alone where there is none. `None`
/// if nothing was decided in it.
#[expect(clippy::cast_precision_loss, reason = "estimates")]
pub(super) fn volume(findings: &Findings) -> Option<Volume> {
    if findings.covered_nanos <= 0 {
        return None;
    }
    let days = findings.covered_nanos as f64 / 86_400e9;
    let tally = &findings.tally;
    let estimate = findings.estimate();
    let (new_spans, new_span_bytes) = if findings.is_limited {
        (tally.new.spans as f64, tally.new_span_bytes as f64)
    } else {
        (estimate.spans, estimate.span_bytes)
    };
    let of = |signal: Signal| {
        let sum = |place: usize| tally.services.values().filter_map(|service| service.records[signal].get(place)).sum::<u64>();
        [sum(0) as f64, sum(1) as f64]
    };
    let items = PerSignal([[tally.now.spans as f64, new_spans], of(Signal::Logs), of(Signal::Metrics)]);
    let bytes = |signal: Signal| match signal {
        Signal::Traces => [tally.span_bytes as f64, new_span_bytes],
        Signal::Logs | Signal::Metrics => tally.record_bytes[signal].map(|bytes| bytes as f64),
    };
    let mut files = Some([0.0; 2]);
    for signal in Signal::ALL {
        let more = file_bytes(items[signal], bytes(signal), findings.files[signal]);
        files = files.zip(more).map(|([now, then], [more_now, more_then])| [now + more_now, then + more_then]);
    }
    let files = files.map(|bytes| {
        let bytes = bytes.map(|bytes| bytes / days);
        let storage = |bytes: f64| bytes / 1e9 * (HOT_DAYS * HOT_MONTH_USD + COLD_DAYS * COLD_MONTH_USD * MONTH_DAYS / 30.0);
        FileVolume { bytes, storage_usd: bytes.map(storage), scan_usd: bytes.map(|bytes| bytes / 1e12 * SCANNED_TB_USD) }
    });
    Some(Volume { items: PerSignal(items.0.map(|items| items.map(|items| items / days))), files })
}

/// What these rows take in files, now and then. A row's bytes in a file go with those of its message.
#[expect(clippy::cast_precision_loss, reason = "estimates")]
fn file_bytes([now, then]: [f64; 2], [now_bytes, then_bytes]: [f64; 2], files: Files) -> Option<[f64; 2]> {
    if now == 0.0 && then == 0.0 {
        return Some([0.0; 2]);
    }
    if files.rows == 0 {
        return None;
    }
    let row = files.bytes as f64 / files.rows as f64;
    Some([now * row, if now_bytes > 0.0 { now * row * then_bytes / now_bytes } else { then * row }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_room_in_files_is_told_by_files_that_are_there() {
        let files = Files { rows: 10, bytes: 100 };
        assert_eq!(file_bytes([5.0, 10.0], [50.0, 200.0], files), Some([50.0, 200.0]));
        assert_eq!(file_bytes([0.0, 10.0], [0.0, 200.0], files), Some([0.0, 100.0]));
        assert_eq!(file_bytes([5.0, 0.0], [50.0, 0.0], files), Some([50.0, 0.0]));
        assert_eq!(file_bytes([0.0, 10.0], [0.0, 200.0], Files::default()), None);
        assert_eq!(file_bytes([0.0; 2], [0.0; 2], Files::default()), Some([0.0; 2]));
    }

    #[test]
    fn prices_are_those_of_the_bill() {
        let page = include_str!("../../../../infra/cost.md");
        for (name, usd) in [("s3_month", HOT_MONTH_USD), ("s3_cold_month", COLD_MONTH_USD)] {
            assert!(page.contains(&format!("| `{name}` | {usd} |")), "{name}");
        }
        assert!(page.contains(&format!("(USD {SCANNED_TB_USD} a TB)")));
    }
}
