//! `spanlake up`: checks the flags, loads the rules, runs the process until Ctrl-C or SIGTERM.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use spanlake_local::Tls;
use spanlake_model::{NANOS_PER_MS, Sequence, Signal};
use spanlake_policy::{DEFAULT_CONFIG, Overlay, Rules, Severity, load, render};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;
use tracing::info;

use crate::allocator;
use crate::cli::UpArgs;
use crate::runtime::{Process, Setup, http_runtime};
use crate::terminal::{is_interactive, note, status};

/// The environment variable of a bearer token.
pub(crate) const TOKEN_VARIABLE: &str = "SPANLAKE_TOKEN";

/// How the line begins that tells the URL.
pub(crate) const LISTENING: &str = "Spanlake takes OTLP/HTTP at ";

/// Between two status lines.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Between two status lines in the log, where there is no terminal.
const LOG_INTERVAL_TICKS: u32 = 60;

pub(crate) fn run(args: UpArgs) -> anyhow::Result<()> {
    allocator::settle();
    start_logging();
    let tokens = tokens(&args)?;
    let is_local = args.listen.ip().is_loopback();
    ensure!(
        is_local || !tokens.is_empty(),
        "{} can be reached from other machines, so a token is needed: put one into a file and name it with --token-file, \
         or set {TOKEN_VARIABLE}",
        args.listen
    );
    ensure!(
        is_local || args.tls_cert.is_some() || args.behind_proxy,
        "{} can be reached from other machines, so the token must not travel in the clear: give --tls-cert and --tls-key, \
         or --behind-proxy if a proxy in front does TLS",
        args.listen
    );
    let tls = tls(&args)?;
    let (config, rules) = rules(args.config.as_deref())?;
    let setup = Setup { args, tokens, tls, config, rules };
    http_runtime()?.block_on(serve(setup))
}

async fn serve(setup: Setup) -> anyhow::Result<()> {
    let behind_proxy = setup.args.behind_proxy;
    let (with_token, with_tls) = (!setup.tokens.is_empty(), setup.tls.is_some());
    let data = setup.args.data.data.clone();
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
    let process = Process::start(setup).await?;
    let scheme = if with_tls { "https" } else { "http" };
    let url = format!("{scheme}://{}", process.address);
    announce(&url, &data, with_token);
    if process.address.ip().is_unspecified() || behind_proxy {
        note("Services elsewhere: put the name by which they reach this machine, or its proxy, in place of the address above.");
    }
    let mut ticks = interval(STATUS_INTERVAL);
    let mut ticked = 0;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = ticks.tick() => {
                if is_interactive() {
                    status(&status_line(&process));
                } else if ticked % LOG_INTERVAL_TICKS == LOG_INTERVAL_TICKS - 1 {
                    info!(status = status_line(&process), "running");
                }
                ticked += 1;
            }
        }
    }
    if is_interactive() {
        note("");
    }
    process.stop().await;
    Ok(())
}

/// Compiles the stored configuration of a rules version, or says why it cannot be used here.
pub(crate) fn compile(text: &str) -> Result<Rules, String> {
    let loaded = load(text, &|name| std::env::var(name).ok());
    let refusal = loaded.refusal();
    loaded.rules.ok_or(refusal)
}

/// The rules' text and the rules; prints what the linter has to say.
fn rules(file: Option<&Path>) -> anyhow::Result<(String, Rules)> {
    let (text, name) = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            (text, file.display().to_string())
        }
        None => (DEFAULT_CONFIG.to_owned(), "the built-in configuration".to_owned()),
    };
    ensure!(
        Overlay::split(&text).1.is_none(),
        "{name} ends with what `spanlake keep-all` has added for a while: take that out, the folder keeps it by itself"
    );
    let loaded = load(&text, &|name| std::env::var(name).ok());
    let matters = loaded.findings.iter().any(|finding| finding.severity != Severity::Note);
    if file.is_some() && matters {
        note(render(&loaded, &name).trim_end());
    }
    let rules = loaded.rules.ok_or_else(|| anyhow!("{name} cannot be used: see above; `spanlake check` tells more"))?;
    Ok((text, rules))
}

fn tokens(args: &UpArgs) -> anyhow::Result<Vec<String>> {
    let mut tokens: Vec<String> = std::env::var(TOKEN_VARIABLE).into_iter().collect();
    if let Some(file) = &args.token_file {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        tokens.extend(text.lines().map(str::to_owned));
        ensure!(tokens.iter().any(|token| !token.trim().is_empty()), "{} holds no token", file.display());
    }
    let tokens: Vec<String> = tokens.into_iter().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()).collect();
    if let Some(token) = tokens.iter().find(|token| token.len() < 16) {
        bail!("a token of {} characters can be guessed: use at least 16, such as from `openssl rand -hex 24`", token.len());
    }
    Ok(tokens)
}

fn tls(args: &UpArgs) -> anyhow::Result<Option<Tls>> {
    let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) else { return Ok(None) };
    let read = |file: &Path| std::fs::read(file).with_context(|| format!("reading {}", file.display()));
    let tls = Tls::from_pem(&read(certificate)?, &read(key)?).context("setting up TLS")?;
    Ok(Some(tls))
}

/// What to paste into a service.
fn announce(url: &str, data: &Path, with_token: bool) {
    note(&format!("{LISTENING}{url} and keeps its data in {}.", data.display()));
    note("Paste into a service (any OpenTelemetry SDK):");
    note("");
    note(&format!("  export OTEL_EXPORTER_OTLP_ENDPOINT={url}"));
    note("  export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf");
    note("  export OTEL_EXPORTER_OTLP_COMPRESSION=gzip");
    note("  export OTEL_TRACES_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp OTEL_METRICS_EXPORTER=otlp");
    if with_token {
        note("  export OTEL_EXPORTER_OTLP_HEADERS=\"authorization=Bearer%20<token>\"");
    }
    note("");
    note(&format!("Then ask: spanlake sql --data {} \"SELECT service_name, count(*) FROM spans GROUP BY 1\"", data.display()));
    note("Ctrl-C stops it; a start on the same folder goes on where it was.");
}

fn status_line(process: &Process) -> String {
    let progress = process.driver.progress();
    let counts = process.counts();
    let mut parts = vec![format!("{} requests", counts.requests)];
    for signal in Signal::ALL {
        let (committed, kept) = progress.totals(signal);
        if committed > 0 {
            parts.push(format!("{} {committed} in, {kept} kept", signal.items()));
        }
    }
    let refused: u64 = counts.refusals.values().sum();
    if refused > 0 {
        parts.push(format!("{refused} refused"));
    }
    let watermark = |shard: usize| {
        progress.manifests.get(shard).and_then(Option::as_ref).map_or(Sequence::ZERO, |manifest| manifest.watermark)
    };
    let lags = (0..progress.manifests.len()).map(|shard| process.log.lag(shard, watermark(shard)).oldest_age_nanos);
    let tenths = lags.max().unwrap_or_default() / (100 * NANOS_PER_MS);
    parts.push(format!("lag {}.{} s", tenths / 10, tenths % 10));
    parts.push(format!("{} files", progress.archived.files));
    parts.join(" | ")
}

/// Structured logs: JSON lines unless a person is watching.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SPANLAKE_LOG").unwrap_or_else(|_| "warn,spanlake=info".into());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if is_interactive() {
        drop(builder.with_ansi(std::env::var_os("NO_COLOR").is_none()).with_target(false).try_init());
    } else {
        drop(builder.json().try_init());
    }
    std::panic::set_hook(Box::new(log_panic));
}

/// Says where a panic was and not what it said: that may quote telemetry, which is never logged.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(String::new, ToString::to_string);
    tracing::error!("a fault of this program at {place}: please report this line");
}
