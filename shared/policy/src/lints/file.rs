//! Kinds of findings about the file as a whole, about single values, and about pipelines.

use super::{Lint, Row, note, warning};

pub(super) const ROWS: [Row; 24] = [
    warning(
        Lint::EmptyFile,
        "empty-file",
        "Nothing is in the file. The built-in default holds only where no file is given.",
        "write `processors: {}` if this is meant",
    ),
    warning(Lint::NoService, "no-service", "Without a section `service` no processor runs.", "add service.pipelines"),
    warning(
        Lint::UnusedProcessor,
        "unused-processor",
        "A processor is defined but in no pipeline, so it does nothing. The Collector says nothing about it.",
        "list it under processors of a pipeline in service.pipelines, or take it out",
    ),
    warning(
        Lint::IdleProcessor,
        "idle-processor",
        "A processor is listed in a pipeline for whose signal it has nothing to do, such as a `transform` without log_statements in the logs pipeline.",
        "take it out of the pipeline, or, if it has statements, give it some for this signal",
    ),
    warning(
        Lint::UnsetVariable,
        "unset-variable",
        "An environment variable is not set: it counts as empty text, as in the Collector.",
        "set the variable, or write a default: `${env:NAME:-default}`",
    ),
    warning(
        Lint::DurationWithoutUnit,
        "duration-without-unit",
        "A bare number as a duration counts as nanoseconds, here and in the Collector.",
        "write a unit: `10s`, `500ms`",
    ),
    warning(
        Lint::NegativeDuration,
        "negative-duration",
        "A negative duration counts as 0.",
        "write a duration that is not negative",
    ),
    warning(
        Lint::FractionCutOff,
        "fraction-cut-off",
        "A fraction stands where a whole number is expected: it is cut off, as in the Collector.",
        "write a whole number",
    ),
    warning(
        Lint::NumberOutOfRange,
        "number-out-of-range",
        "A number is too large for its type. The Collector lets it wrap, here the nearest one is taken.",
        "write a number of the expected size",
    ),
    warning(
        Lint::ShortHorizon,
        "late-horizon-short",
        "`spanlake.late_horizon` is below a minute: spans that come later than that after their trace's decision begin a new trace, which is decided for itself.",
        "leave it at 10m, unless late spans are rare",
    ),
    warning(
        Lint::LongHorizon,
        "late-horizon-long",
        "`spanlake.late_horizon` is above an hour: every close looks into the decisions of that time, and late spans are rare after minutes.",
        "write 10m to 1h",
    ),
    warning(
        Lint::LongWindow,
        "window-long",
        "`spanlake.window` is above a minute: traces are decided, and can be queried, once in a window, and a close takes all of it at once.",
        "leave it at 10s, or write up to 1m",
    ),
    warning(
        Lint::BuiltinMaskingOff,
        "builtin-masking-off",
        "The built-in masking is off: secrets that no rule of yours matches are stored.",
        "take the line out",
    ),
    warning(
        Lint::EmailsStored,
        "emails-stored",
        "The map of `builtin_redaction` does not say what is to happen to e-mail addresses: they are stored.",
        "write `emails: true` or `emails: false`",
    ),
    warning(
        Lint::FailOpen,
        "fail-open",
        "`fail_closed` is off: what a failing statement was to redact is stored as it is.",
        "take the line out",
    ),
    warning(
        Lint::KeyInFile,
        "key-in-file",
        "The key of a keyed hash stands in the file: who reads the file can test guesses.",
        "write `${env:NAME}` and give the key in the environment",
    ),
    warning(
        Lint::NothingRedacted,
        "nothing-redacted",
        "The built-in masking is off, and there are signals for which no redaction of your own runs.",
        "add a redaction processor, or take `builtin_redaction: off` out",
    ),
    note(
        Lint::UnredactedSignal,
        "unredacted-signal",
        "Your own redaction does not run for every signal: only the built-in masking does.",
        "list the redacting processor in the other pipelines too, if it is meant for them",
    ),
    warning(
        Lint::OverlayInFile,
        "overlay-in-file",
        "The text ends with what `spanlake keep-all` has laid over it for a while. Such a file is for looking at.",
        "take it out: a file with it is neither started with nor pushed",
    ),
    note(
        Lint::ComponentWithoutEffect,
        "component-without-effect",
        "A receiver, exporter, extension or connector that does nothing here.",
        "nothing to do",
    ),
    note(
        Lint::GrpcNotServed,
        "grpc-not-served",
        "OTLP is taken over HTTP only.",
        "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf in your services",
    ),
    note(
        Lint::ProcessorWithoutEffect,
        "processor-without-effect",
        "A processor that is accepted and does nothing here, such as `batch` or `memory_limiter`: memory and batches have limits of their own.",
        "nothing to do",
    ),
    note(
        Lint::OptionWithoutEffect,
        "option-without-effect",
        "An option about memory or shards that has no meaning here: undecided traces wait on storage, and none is evicted.",
        "nothing to do",
    ),
    note(
        Lint::NodeLocalSampling,
        "node-local-sampling",
        "The sign of a Collector on every node, whose tail sampling sees fragments of traces.",
        "nothing to do: here the stream is partitioned by trace id",
    ),
];
