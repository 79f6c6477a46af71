//! `spanlake demo`: starts the real process, lets the shop send to its URL, waits for the windows, prints the report.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use spanlake_model::{PerSignal, Signal};
use spanlake_pipeline::inspect::Overview;
use tokio::runtime::Runtime;

use crate::cli::DemoArgs;
use crate::demo::{self, Lake, LedgerLine, Sent, Size, State, TableSize, Target};
use crate::folder::{Folder, runtime};
use crate::status::usage;
use crate::terminal::{colours, is_interactive, note, status};
use crate::up::LISTENING;
use crate::why::parse_id;
use crate::{lake, waterfall, why};

/// How long the process may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the windows may take to close: wait, window, archive, and a slow disk.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(45);
/// How often to look whether they did.
const SETTLE_INTERVAL: Duration = Duration::from_millis(250);

/// Rows of a saved query that the report shows.
const SHOWN_ROWS: u32 = 8;

/// Exit code 0 if every figure agrees.
pub(crate) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let data = args.data.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("spanlake-demo-{}", std::process::id())));
    ensure!(
        !data.join("manifest").exists(),
        "{} holds data already: the demo wants a new folder, so that every figure is its own",
        data.display()
    );
    std::fs::create_dir_all(&data).with_context(|| format!("making {}", data.display()))?;
    let rules = data.join("demo-rules.yaml");
    std::fs::write(&rules, demo::RULES).with_context(|| format!("writing {}", rules.display()))?;
    let mut process = Running::start(&data, &rules)?;
    note(&format!("[1/4] spanlake up is listening at {}, its data is in {}", process.url, data.display()));

    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
    let shop = demo::build(args.seed, u64::try_from(now.as_nanos())?, Size::USUAL)?;
    note(&format!(
        "[2/4] a web shop sends its telemetry there, {} OTLP/HTTP requests over about ten seconds",
        shop.requests.len()
    ));
    let target = Target { url: process.url.clone(), headers: Vec::new() };
    let sent = demo::send(&target, &shop.requests, &|sent| progress(&sending(sent)))?;
    finish_line(&format!("      {}", sending(&sent)));

    note("[3/4] waiting until the windows close and the files are written (decision wait 10 s + window 10 s)");
    let runtime = runtime()?;
    let folder = Folder::open(&data)?;
    let overview = settle(&runtime, &folder, &sent)?;
    note("[4/4] asking the lake, and comparing with what was sent");
    note("");
    let agree = report(&runtime, &folder, &shop.truth, &sent, &overview, process.url.as_str())?;
    note(&format!("\nThe demo took {} s.", begun.elapsed().as_secs()));
    if args.keep_running {
        note(&format!("Still running at {}. Ctrl-C stops it.", process.url));
        process.wait();
    } else {
        process.stop();
    }
    Ok(if agree { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The process under demonstration.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(data: &Path, rules: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut child = Command::new(program)
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .arg("--config")
            .arg(rules)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting `spanlake up`")?;
        let stderr = child.stderr.take().context("reading what `spanlake up` prints")?;
        let (lines, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                drop(lines.send(line));
            }
        });
        let begun = Instant::now();
        let mut heard = Vec::new();
        while begun.elapsed() < START_TIMEOUT {
            let Ok(line) = said.recv_timeout(Duration::from_millis(200)) else {
                if child.try_wait()?.is_some() {
                    break;
                }
                continue;
            };
            if let Some((_, rest)) = line.split_once(LISTENING) {
                let url = rest.split_whitespace().next().unwrap_or_default().to_owned();
                // What the process logs from here on belongs to the demo's own output.
                std::thread::spawn(move || {
                    said.iter()
                        .filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\""))
                        .for_each(|line| note(&line));
                });
                return Ok(Self { child, url });
            }
            heard.push(line);
        }
        drop(child.kill());
        bail!("`spanlake up` did not start; it said:\n{}", heard.join("\n"))
    }

    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        if rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_err() {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }

    fn wait(&mut self) {
        drop(self.child.wait());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
    }
}

fn sending(sent: &Sent) -> String {
    let items: Vec<String> =
        Signal::ALL.into_iter().map(|signal| format!("{} {}", sent.accepted[signal], signal.items())).collect();
    format!("{} requests answered: {}", sent.requests, items.join(", "))
}

fn progress(line: &str) {
    if is_interactive() {
        status(&format!("      {line}"));
    }
}

fn finish_line(line: &str) {
    if is_interactive() {
        status("");
    }
    note(line);
}

fn settle(runtime: &Runtime, folder: &Folder, sent: &Sent) -> anyhow::Result<Overview> {
    let begun = Instant::now();
    loop {
        let overview = runtime.block_on(folder.overview())?;
        let committed = Signal::ALL.into_iter().all(|signal| overview.ledger.account(signal).committed >= sent.accepted[signal]);
        if committed && overview.is_settled() {
            finish_line(&format!("      done after {} s", begun.elapsed().as_secs()));
            return Ok(overview);
        }
        ensure!(
            begun.elapsed() < SETTLE_TIMEOUT,
            "the windows did not close within {} s; `spanlake status --data {}` shows where it stands",
            SETTLE_TIMEOUT.as_secs(),
            folder.path.display()
        );
        let pending: u64 = Signal::ALL.into_iter().map(|signal| overview.ledger.account(signal).pending).sum();
        progress(&format!(
            "{pending} items undecided, {} plans not carried out, {} s",
            overview.plans_undone,
            begun.elapsed().as_secs()
        ));
        std::thread::sleep(SETTLE_INTERVAL);
    }
}

fn report(
    runtime: &Runtime,
    folder: &Folder,
    truth: &demo::Truth,
    sent: &Sent,
    overview: &Overview,
    url: &str,
) -> anyhow::Result<bool> {
    let open = lake::open(&folder.path)?;
    let query = |sql: &str| runtime.block_on(lake::texts(&open, sql));
    let saved = |name: &str| {
        let asked = lake::Asked { limit: Some(SHOWN_ROWS), ..lake::Asked::default() };
        Ok(runtime.block_on(lake::run_saved(&open, name, asked))?.format(spanlake_sql::Format::Table))
    };
    let trace = |id: &str| Ok(runtime.block_on(waterfall::draw(folder, parse_id(id)?, false))?.1);
    let why = |id: &str| Ok(runtime.block_on(why::explain(folder, parse_id(id)?))?.1);
    let lake = Lake { query: &query, saved: &saved, trace: &trace, why: &why };
    let state = state(folder, overview, sent, url, &query)?;
    let mut out = std::io::stdout().lock();
    let agree = demo::print(&mut out, colours(), truth, sent, &lake, &state).context("printing the report")?;
    out.flush().context("printing the report")?;
    Ok(agree)
}

type Rows<'a> = &'a dyn Fn(&str) -> anyhow::Result<Vec<Vec<String>>>;

fn state(folder: &Folder, overview: &Overview, sent: &Sent, url: &str, query: Rows<'_>) -> anyhow::Result<State> {
    let line = |signal| {
        let account = overview.ledger.account(signal);
        LedgerLine {
            committed: account.committed,
            kept: account.kept,
            sampled_out: account.sampled_out,
            dropped: account.dropped.iter().map(|(reason, items)| (reason.clone(), *items)).collect(),
            pending: account.pending,
            duplicates: account.duplicates,
            refused: sent.refused[signal],
        }
    };
    let mut tables = Vec::new();
    for table in spanlake_table::schema::TABLES {
        let (files, bytes) = usage(&folder.path.join("lake/v1").join(table.name))?;
        let rows = query(&format!("SELECT count(*) FROM {}", table.name))?;
        let rows = rows.into_iter().flatten().next().and_then(|count| count.parse().ok()).unwrap_or_default();
        tables.push(TableSize { table: table.name.to_owned(), files, rows, bytes });
    }
    let data: PathBuf = folder.path.clone();
    let data = data.display();
    Ok(State {
        ledger: PerSignal(Signal::ALL.map(line)),
        tables,
        masked: overview.ledger.masked.iter().map(|(rule, values)| (rule.clone(), *values)).collect(),
        saved_queries: ["slow-endpoints", "error-rate", "who-calls-whom"].map(str::to_owned).to_vec(),
        next_steps: vec![
            format!("Ask this lake yourself:   spanlake sql --data {data} --saved errors"),
            format!("All saved queries:        spanlake sql --data {data} --list"),
            "Keep your own telemetry:  spanlake up, and paste what it prints into a service".to_owned(),
            "Bring your own rules:     spanlake check your-collector.yaml, then spanlake up --config your-collector.yaml"
                .to_owned(),
            format!("Look again while it runs: spanlake demo --keep-running (this one listened at {url})"),
        ],
    })
}
