//! What a change of volume means for the bill of a deployment on AWS: storage of the lake's files, and queries. Everything else
//! follows from what is sent, which rules do not change.

use super::scan::Findings;

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
    pub(super) spans: [f64; 2],
    pub(super) logs: [f64; 2],
    /// Of Parquet files.
    pub(super) file_bytes: [f64; 2],
    /// USD a month for storage.
    pub(super) storage_usd: [f64; 2],
    /// USD for one query that reads all of a day.
    pub(super) scan_usd: [f64; 2],
}

/// The volume of a day like the time that was looked at: by the estimate, or of the lake alone where there is none. `None` if
/// nothing was decided in it.
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
    let spans = [tally.lake.spans as f64, new_spans];
    let logs_before: u64 = tally.services.values().map(|service| service.logs).sum();
    let logs_after: u64 = tally.services.values().map(|service| service.new_logs).sum();
    // A row's bytes in a file go with those of its message.
    let row = |files: &super::scan::Files| if files.rows == 0 { 0.0 } else { files.bytes as f64 / files.rows as f64 };
    let ratio = |new: f64, old: u64| if old == 0 { 1.0 } else { new / old as f64 };
    let span_bytes = spans[0] * row(&findings.spans_files);
    let log_bytes = logs_before as f64 * row(&findings.logs_files);
    let after =
        span_bytes * ratio(new_span_bytes, tally.span_bytes) + log_bytes * ratio(tally.new_log_bytes as f64, tally.log_bytes);
    let file_bytes = [(span_bytes + log_bytes) / days, after / days];
    let storage = |bytes: f64| bytes / 1e9 * (HOT_DAYS * HOT_MONTH_USD + COLD_DAYS * COLD_MONTH_USD * MONTH_DAYS / 30.0);
    Some(Volume {
        spans: spans.map(|spans| spans / days),
        logs: [logs_before as f64 / days, logs_after as f64 / days],
        file_bytes,
        storage_usd: file_bytes.map(storage),
        scan_usd: file_bytes.map(|bytes| bytes / 1e12 * SCANNED_TB_USD),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_those_of_the_bill() {
        let page = include_str!("../../../../infra/cost.md");
        for (name, usd) in [("s3_month", HOT_MONTH_USD), ("s3_cold_month", COLD_MONTH_USD)] {
            assert!(page.contains(&format!("| `{name}` | {usd} |")), "{name}");
        }
        assert!(page.contains(&format!("(USD {SCANNED_TB_USD} a TB)")));
    }
}
