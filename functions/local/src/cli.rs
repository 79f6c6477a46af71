//! The command line: every command, flag and default in one place, in words that teach.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use spanlake_model::Sequence;

/// An OpenTelemetry back end without servers: OTLP in, SQL out.
///
/// Point any OTLP/HTTP exporter at one URL. Spanlake keeps every error, every slow trace and a fair sample of the
/// rest, masks secrets before anything is filed, and files it as Parquet, ready for SQL.
///
/// New here? `spanlake demo` shows all of it in a minute. Then `spanlake up`, and paste what it prints into a service.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See it work: a shop's telemetry sent to a real process, queried, and compared with what was sent
    Demo(DemoArgs),
    /// Run: OTLP/HTTP in, Parquet out, all roles in one process
    Up(UpArgs),
    /// Ask in SQL: one statement, a saved query by name, or a prompt
    Sql(SqlArgs),
    /// Show one trace as a waterfall, also if it is not decided yet
    Trace(IdArgs),
    /// Explain why a trace was kept or dropped: every policy's vote, and the value that decided it
    Why(IdArgs),
    /// Read a Collector configuration and say what is used, what does nothing here, and what looks wrong
    Check(CheckArgs),
    /// Try new rules on what is stored: what they would keep, drop and mask, before they are used
    Replay(ReplayArgs),
    /// Show the ledger, lag, open windows, files and bytes
    Status(StatusArgs),
    /// Check that it works: marked items through the running process and back, and everything that is at rest
    Verify(VerifyArgs),
    /// Give up objects that are lost or damaged, so that their shard goes on: what they held is counted as lost
    Repair(RepairArgs),
    /// Show, compare and replace the rules of a deployment on AWS, without deploying anything
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// In an incident: keep every trace of a service for a while, whatever the policies say
    KeepAll(KeepAllArgs),
    /// List the records of the stream that could not be read, and fetch their bytes while they are there
    Quarantine(QuarantineArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Print the rules that are wanted, and say whether they are in force
    Show(BucketArgs),
    /// Print what pushing a file would change
    Diff {
        /// The configuration
        file: PathBuf,
        #[command(flatten)]
        of: BucketArgs,
    },
    /// Check a file and make it the wanted rules; they hold within two minutes
    Push {
        /// The configuration, in the Collector's format
        file: PathBuf,
        #[command(flatten)]
        of: BucketArgs,
    },
}

/// Which deployment. Credentials, profile and region are those of the AWS command line.
#[derive(Debug, Args)]
pub(crate) struct BucketArgs {
    /// The bucket of the deployment's state: the output `StateBucketName` of its stack
    #[arg(long, value_name = "NAME")]
    pub(crate) bucket: String,
}

/// What the operator's commands look at: a data folder, or a deployment on AWS.
#[derive(Debug, Args)]
pub(crate) struct SiteArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// In place of a folder: the bucket of a deployment's state, the output `StateBucketName` of its stack. Credentials, profile
    /// and region are those of the AWS command line. Needs a build with `--features aws`
    #[arg(long, value_name = "STATE", conflicts_with = "data")]
    pub(crate) bucket: Option<String>,
    /// The bucket of its lake: the output `LakeBucketName`
    #[arg(long, value_name = "LAKE", requires = "bucket")]
    pub(crate) lake_bucket: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "A deployment on AWS:\n  spanlake status --bucket STATE --lake-bucket LAKE\n\n\
    Files are counted by listing them, which takes a while in a large bucket; the ledger and the shards are printed before.")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The data folder; a new one in the temporary folder if left out
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Leave the process up after the report, until Ctrl-C
    #[arg(long)]
    pub(crate) keep_running: bool,
    /// Another seed makes another shop
    #[arg(long, default_value_t = crate::demo::SEED)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = "./spanlake-data")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: everything is right. 1: something is wrong, and is named. 2: something could not be checked.\n\n\
    The marked items are of the service spanlake-verify. They stay in the lake like any others.\n\n\
    A deployment on AWS may be checked while it works: what is at rest, and of the lake the last hour's files. What is left out\n\
    there is listed as skipped, and does not change the exit code:\n  \
    spanlake verify --bucket STATE --lake-bucket LAKE"
)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// Where the process that works on the folder takes OTLP/HTTP, without TLS
    #[arg(long, default_value = "http://127.0.0.1:4318", conflicts_with = "bucket")]
    pub(crate) url: String,
    /// A file with a bearer token. Also: the environment variable `SPANLAKE_TOKEN`
    #[arg(long, value_name = "FILE", conflicts_with = "bucket")]
    pub(crate) token_file: Option<PathBuf>,
    /// Check only what is at rest; no process need run
    #[arg(long, conflicts_with_all = ["url", "token_file", "timeout"])]
    pub(crate) offline: bool,
    /// How long the marked items may take to the lake: the rules' decision wait, a window, the archive
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = parse_duration, conflicts_with = "bucket")]
    pub(crate) timeout: Duration,
    /// How far back the lake's files are read, in whole hours of their rows: 30m, 7d. If left out, all of a folder and an hour
    /// of a bucket
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) lake_since: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --yes-count-as-lost it says what would be done, and does nothing. Name all lost objects in one call:\n\
    what one held is counted from what the others still hold. A backup of the object is better than giving it up.\n\n\
    A folder's process must be stopped. On AWS the archiver goes on; disable the grouper's event source mapping until it is\n\
    done: a manifest is swapped only as it was read, and a busy grouper wins each time. Records wait on the stream meanwhile.\n\
    docs/guides/aws-operations.md has the commands.\n\n\
    Exit code 0: done, or nothing to do. 1: the word is missing. 2: not possible, and why.\n\n\
    Examples:\n  spanlake repair staged/0f3a77c1d2e4b5a6978812cd34ef56ab --yes-count-as-lost\n  \
    spanlake repair --bucket STATE --lake-bucket LAKE sealed/0f3a77c1d2e4b5a6978812cd34ef56ab"
)]
pub(crate) struct RepairArgs {
    /// The objects, as `spanlake verify` and the log name them
    #[arg(required = true, value_name = "OBJECT")]
    pub(crate) objects: Vec<String>,
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// The word: what the objects held is given up for good
    #[arg(long)]
    pub(crate) yes_count_as_lost: bool,
}

/// What to listen on, where to keep data, which rules.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Address for OTLP/HTTP. Beyond the loopback a token, and TLS or --behind-proxy, are needed
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:4318", value_parser = parse_address)]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Rules: a Collector configuration (YAML). Without it the built-in default: errors, slow traces and 10 % of the rest
    /// are kept, health checks are not, secrets are masked. `spanlake check FILE` tells what of a file is used
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A file of bearer tokens, one a line, any of which admits. Also: the environment variable `SPANLAKE_TOKEN`
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// TLS certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// TLS private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A proxy in front of this address does TLS
    #[arg(long)]
    pub(crate) behind_proxy: bool,
    /// Shards of the stream; fixed when the folder is made, 2 if left out. Each takes 1 MB/s and 1,000 records/s, as on Kinesis
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) shards: Option<u16>,
    /// Whether shards take no more than Kinesis' shards do; `off` is for measuring
    #[arg(long, value_enum, default_value_t = StreamLimits::Kinesis)]
    pub(crate) stream_limits: StreamLimits,
    /// How long the lake is kept
    #[arg(long, value_enum, default_value_t = Retention::Production)]
    pub(crate) retention: Retention,
    /// Days after which files count as cold. Locally nothing moves; on AWS they change their storage class
    #[arg(long, value_name = "DAYS")]
    pub(crate) cold_after_days: Option<u32>,
    /// Days after which files are deleted
    #[arg(long, value_name = "DAYS")]
    pub(crate) delete_after_days: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamLimits {
    /// 1 MB/s and 1,000 records/s a shard: beyond it, 429 with Retry-After
    Kinesis,
    /// As fast as the disk
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Retention {
    /// Hot for 7 days, cold to day 30, then gone
    Production,
    /// Gone after 1 day
    Development,
}

impl UpArgs {
    /// Days until files count as cold, and until they are deleted.
    pub(crate) fn days(&self) -> (u32, u32) {
        let (cold, delete) = match self.retention {
            Retention::Production => (7, 30),
            Retention::Development => (1, 1),
        };
        (self.cold_after_days.unwrap_or(cold), self.delete_after_days.unwrap_or(delete))
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    spanlake sql \"SELECT service_name, count(*) FROM spans GROUP BY 1\"\n  \
    spanlake sql --saved slow-endpoints --since 1h\n  \
    spanlake sql --list\n  \
    spanlake sql --format csv \"SELECT * FROM decisions\" > decisions.csv")]
pub(crate) struct SqlArgs {
    /// The statement; without one, a prompt
    pub(crate) statement: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// How to print rows
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Run a saved query by its name
    #[arg(long, value_name = "NAME", conflicts_with = "statement")]
    pub(crate) saved: Option<String>,
    /// How far back the saved query looks: 30s, 15m, 1h, 2d. A day if left out
    #[arg(long, value_name = "DURATION", requires = "saved", conflicts_with = "statement", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// One service only, for saved queries that ask for one
    #[arg(long, value_name = "NAME", requires = "saved", conflicts_with = "statement")]
    pub(crate) service: Option<String>,
    /// The trace, for saved queries that ask for one
    #[arg(long, value_name = "TRACE_ID", requires = "saved", conflicts_with = "statement")]
    pub(crate) trace_id: Option<String>,
    /// Rows that the saved query shows
    #[arg(long, value_name = "ROWS", requires = "saved", conflicts_with = "statement")]
    pub(crate) limit: Option<u32>,
    /// List the saved queries
    #[arg(long, conflicts_with_all = ["statement", "saved"])]
    pub(crate) list: bool,
}

/// An address, or a name that this machine resolves.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| format!("{text:?} is no address: write a host and a port, such as 127.0.0.1:4318"))
}

/// A whole number and a unit: `15m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write a number and s, m, h or d, such as 15m");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Table,
    /// One JSON object a line
    Json,
    /// RFC 4180, with a header
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct IdArgs {
    /// The trace id: 32 hexadecimal digits
    #[arg(value_name = "TRACE_ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "On AWS (--bucket STATE) it lists the notes. The bytes are on Kinesis, for 48 hours from their arrival: for \
    --fetch it prints the commands that read them there."
)]
pub(crate) struct QuarantineArgs {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// Write the bytes of one record into the file --out. They are as the client sent them: no rule has masked them
    #[arg(long, value_name = "SHARD:SEQUENCE", requires = "out", value_parser = parse_record)]
    pub(crate) fetch: Option<(String, Sequence)>,
    /// The file to write, which must not exist yet. Only its owner can read it
    #[arg(long, value_name = "FILE", requires = "fetch")]
    pub(crate) out: Option<PathBuf>,
}

/// A shard and a sequence number, as the list shows them.
fn parse_record(text: &str) -> Result<(String, Sequence), String> {
    let wrong = || format!("{text:?} is no record: write a shard and a sequence number, such as shard-000000000001:42");
    let (shard, sequence) = text.rsplit_once(':').ok_or_else(wrong)?;
    Ok((shard.to_owned(), sequence.parse().map_err(|_| wrong())?))
}

#[derive(Debug, Args)]
#[command(
    after_help = "It ends by itself, whoever is or is not there: a span counts by its arrival. Asked for again, it is longer, never\n\
    shorter. Nothing is started anew; the process that runs, or the archiver on AWS, takes it up.\n\n\
    Examples:\n  \
    spanlake keep-all --service checkout --for 30m\n  \
    spanlake keep-all --list\n  \
    spanlake keep-all --stop --service checkout\n  \
    spanlake keep-all --service checkout --for 2h --bucket STATE"
)]
pub(crate) struct KeepAllArgs {
    /// The service, as `service_name` shows it in the tables
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    pub(crate) service: Option<String>,
    /// For how long from now: 1m to 24h
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration, required_unless_present_any = ["list", "stop"])]
    pub(crate) duration: Option<Duration>,
    /// Let the rules decide on the service again
    #[arg(long, conflicts_with = "duration")]
    pub(crate) stop: bool,
    /// Show what is kept, and until when
    #[arg(long, conflicts_with_all = ["service", "duration", "stop"])]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) site: SiteArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: the file can be used, and nothing in it is denied. 1: it cannot, or something is denied. 2: it could\n\
    not be read.\n\n\
    Examples:\n  spanlake check collector.yaml\n  spanlake check collector.yaml --deny warnings --allow decision-wait-short\n  \
    spanlake check - --format json < collector.yaml\n  spanlake check --explain shadowed-policy"
)]
pub(crate) struct CheckArgs {
    /// A Collector configuration (YAML); `-` reads standard input
    #[arg(required_unless_present_any = ["list", "explain"])]
    pub(crate) file: Option<PathBuf>,
    /// How to print: `json` is one object, for tools
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// Count as an error: `warnings`, `notes` (and warnings), or one kind of finding. May be repeated
    #[arg(long, value_name = "WHAT")]
    pub(crate) deny: Vec<String>,
    /// Leave out one kind of warning or note. May be repeated
    #[arg(long, value_name = "KIND")]
    pub(crate) allow: Vec<String>,
    /// List every kind of finding, with its severity
    #[arg(long, conflicts_with = "file")]
    pub(crate) list: bool,
    /// Say what a kind of finding means and what to do about it
    #[arg(long, value_name = "KIND", conflicts_with_all = ["file", "list"])]
    pub(crate) explain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A line for each finding with its remedy below, then what is used
    Text,
    /// One object: file, usable, denied, `rules_version`, counts, findings
    Json,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It reads the traces and log records of the lake and what is staged still, runs the new rules on them as the pipeline\n\
    does, and compares with what was decided. It changes nothing, and works beside a running process. Of the last minutes all\n\
    spans are there, also of what was not kept; of what was not kept before only the decision is left: what is known of that is\n\
    said in numbers, and by weights. The same rules change nothing.\n\n\
    It works on a data folder. How a deployment on AWS becomes one is in docs/guides/configuration.md.\n\n\
    Exit code 0: a report. 1: the configuration is refused (its findings are printed), or there is nothing to run it on.\n\n\
    Examples:\n  spanlake replay --config new.yaml --since 1h\n  spanlake replay --config new.yaml --since 2d --format json"
)]
pub(crate) struct ReplayArgs {
    /// The new rules: a Collector configuration (YAML); `-` reads standard input. `spanlake check FILE` tells what of it is used
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// How far back decisions are taken: 30s, 15m, 1h, 2d
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    pub(crate) since: Duration,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = ReplayFormat::Text)]
    pub(crate) format: ReplayFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplayFormat {
    /// For people
    Text,
    /// One JSON object, with everything
    Json,
}
