//! Which log records follow their trace.

/// What `spanlake.logs` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogRule {
    /// Log records of a trace share its verdict and its weight.
    pub(crate) follow_trace: bool,
    /// But for those at least this severe, 1 to 24 as in `LogRecord.severity_number`, which are always kept.
    pub(crate) always_keep: Option<u8>,
}

impl LogRule {
    /// Whether any log record may wait.
    #[must_use]
    pub fn follows_trace(self) -> bool {
        self.follow_trace
    }

    /// What it does, for `check`.
    pub(crate) fn describe(self) -> Option<String> {
        let exempt = self.always_keep.map(|least| format!(", but for those of severity {least} and above")).unwrap_or_default();
        self.follow_trace.then(|| format!("logs of a trace share its verdict and its weight{exempt}"))
    }

    /// Whether a log record that belongs to a trace waits for the trace's verdict.
    ///
    /// `number` and `text` are `LogRecord.severity_number` and `severity_text`; the text counts where the number is 0.
    #[must_use]
    pub fn waits(self, number: i64, text: &str) -> bool {
        let severity = if number == 0 { lowest_of(text).map_or(0, i64::from) } else { number };
        self.follow_trace && self.always_keep.is_none_or(|least| severity < i64::from(least))
    }
}

/// The lowest severity number of a short name: logs data model, "Displaying Severity", and the names that logging libraries
/// have for the same.
pub(crate) fn lowest_of(name: &str) -> Option<u8> {
    const NAMES: [(&str, u8); 17] = [
        ("TRACE", 1),
        ("DEBUG", 5),
        ("INFO", 9),
        ("INFORMATION", 9),
        ("NOTICE", 9),
        ("WARN", 13),
        ("WARNING", 13),
        ("ERROR", 17),
        ("ERR", 17),
        ("SEVERE", 17),
        ("CRITICAL", 17),
        ("CRIT", 17),
        ("FATAL", 21),
        ("ALERT", 21),
        ("EMERG", 21),
        ("EMERGENCY", 21),
        ("PANIC", 21),
    ];
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_severe_enough_does_not_wait_whether_number_or_text_says_so() {
        let rule = LogRule { follow_trace: true, always_keep: lowest_of("error") };
        for (number, text, waits) in [
            (16, "", true),
            (17, "", false),
            (24, "INFO", false),
            (9, "ERROR", true),
            (0, "err", false),
            (0, "", true),
            (-1, "", true),
        ] {
            assert_eq!(rule.waits(number, text), waits, "{number} {text:?}");
        }
        assert!(LogRule { always_keep: None, ..rule }.waits(24, "FATAL"));
        assert!(!LogRule { follow_trace: false, ..rule }.waits(1, ""));
    }
}
