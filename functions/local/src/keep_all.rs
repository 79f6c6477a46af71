//! `spanlake keep-all`: keeps every trace of a service for a while, on a data folder or on a deployment's buckets. What is wanted
//! is written beside the rules; who puts heartbeats on the shards lays it over them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail, ensure};
use spanlake_local::{FolderLock, LockError};
use spanlake_model::NANOS_PER_SECOND;
use spanlake_pipeline::archive::partition_of;
use spanlake_pipeline::group::all_manifests;
use spanlake_pipeline::keep_all::{keep, kept, kept_by};
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::ObjectStore;
use spanlake_pipeline::rules::{active_version, wanted};
use spanlake_policy::{DEFAULT_CONFIG, KEEP_ALL, KEEP_ALL_SECONDS, Overlay, Rules};
use tokio::runtime::Runtime;

use crate::cli::KeepAllArgs;
use crate::lake::{open, texts};
use crate::site::{Access, Place, Site, Task, on};
use crate::terminal::{note, print, say};
use crate::why::timestamp_text;

/// Until who puts heartbeats has looked, and they are read: of a process, which looks each second; on AWS, each minute.
const LOOKED_AT_SECONDS: [u64; 2] = [3, 120];

/// Names that are told to whoever misspelled one.
const NAMES_MOST: usize = 10;

pub(crate) fn run(args: &KeepAllArgs) -> anyhow::Result<()> {
    on(&args.site, Access::Beside, args)
}

impl Task for &KeepAllArgs {
    type Output = ();

    fn run<S: ObjectStore>(self, runtime: &Runtime, site: &Site<S>) -> anyhow::Result<()> {
        let now = now_nanos()?;
        match (self.service.as_deref(), self.duration) {
            (Some(service), _) if self.stop => runtime.block_on(stop(site, service, now)),
            (Some(service), Some(duration)) => runtime.block_on(begin(site, service, duration, now)),
            _ => {
                let shown = runtime.block_on(lines(&site.store, &site.place, now))?;
                print(if shown.is_empty() { "Nothing is kept as a whole: the rules decide.\n" } else { &shown });
                Ok(())
            }
        }
    }
}

/// Now, nanoseconds since 1970.
pub(crate) fn now_nanos() -> anyhow::Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
    Ok(i64::try_from(since.as_nanos())?)
}

async fn begin<S: ObjectStore>(site: &Site<S>, service: &str, duration: Duration, now: i64) -> anyhow::Result<()> {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let (least, most) = KEEP_ALL_SECONDS;
    ensure!(
        (least..=most).contains(&seconds),
        "--for takes {} minute to {} hours: for longer, change the rules, and for less it would be over before it holds",
        least / 60,
        most / 3_600
    );
    // Who sends such a name is seldom; who types one, or pastes it, is not.
    ensure!(service.trim() == service, "{service:?} cannot be kept: a service's name neither begins nor ends with blanks");
    let (stored, etag) = kept(&site.store).await.with_context(|| mend(&site.place))?;
    let mut overlay = stored.at(now);
    let asked = (now + NANOS_PER_SECOND - 1) / NANOS_PER_SECOND + seconds;
    let until = overlay.add(service, asked).map_err(|reason| anyhow!("{service:?} cannot be kept: {reason}"))?;
    let rules = try_on(site, &overlay).await?;
    if let Some(masked) = rules.as_ref().and_then(|rules| rules.masked_service(service)) {
        bail!(
            "{service:?} cannot be kept: the built-in masking takes it for a secret, and its spans are stored with the service_name \
             {masked:?}. Ask for that name: --service {}",
            quoted(&masked)
        );
    }
    keep(&site.store, &overlay, etag.as_ref()).await.context("nothing has changed")?;
    say(&format!("Every trace with a span of {} is kept until {}, {}.", named(service), time(until), left(until, now)));
    if until > asked {
        say("It was asked for until then before, and stays so: to end earlier, use --stop and ask again.");
    }
    print(&explain(&site.place, service, until, rules.as_ref()));
    if let Place::Folder(path) = &site.place {
        warn_of_name(path, service, now).await;
    }
    Ok(())
}

async fn stop<S: ObjectStore>(site: &Site<S>, service: &str, now: i64) -> anyhow::Result<()> {
    let (stored, etag) = kept(&site.store).await.with_context(|| mend(&site.place))?;
    let mut overlay = stored.at(now);
    if !overlay.stop(service) {
        let names: Vec<String> = overlay.services().map(|(service, _)| named(service)).collect();
        let names = if names.is_empty() { "nothing is".to_owned() } else { format!("these are: {}", names.join(", ")) };
        bail!("{} is not kept as a whole; {names}", named(service));
    }
    keep(&site.store, &overlay, etag.as_ref()).await.context("nothing has changed")?;
    let (soon, _) = Worked::on(&site.place).soon();
    say(&format!(
        "{} goes by the rules again: traces that begin {soon}, or, if rules have just changed, once the traces of before are decided. \
         What was kept stays.",
        named(service)
    ));
    Ok(())
}

/// What to do where the note of what is kept is no such note.
fn mend(place: &Place) -> String {
    let key = keys::RULES_KEEP_ALL;
    match place {
        Place::Folder(path) => format!("reading what is kept: if it is damaged, delete {}", path.join(key).display()),
        Place::Buckets(buckets) => format!("reading what is kept: if it is damaged, delete {key} in bucket {}", buckets.state),
    }
}

/// The rules as they will be; `None` if they cannot be compiled here, which says nothing of there.
async fn try_on<S: ObjectStore>(site: &Site<S>, overlay: &Overlay) -> anyhow::Result<Option<Rules>> {
    let base = match wanted(&site.store).await {
        Ok(Some((text, _))) => text,
        _ => held(&site.store).await?.unwrap_or_else(|| DEFAULT_CONFIG.to_owned()),
    };
    match (compile(&site.place, &base), compile(&site.place, &overlay.compose(&base))) {
        (Ok(_), Ok(rules)) => Ok(Some(rules)),
        (Ok(_), Err(reason)) => bail!("the rules have no room for it: {reason}"),
        (Err(_), _) => Ok(None),
    }
}

/// The configuration that heartbeats carry, without what is kept.
async fn held<S: ObjectStore>(store: &S) -> anyhow::Result<Option<String>> {
    let Some(version) = active_version(store).await.context("reading which rules hold")? else { return Ok(None) };
    let object = store.get(&keys::rules(&version)).await.context("reading the rules")?;
    let text = object.and_then(|object| String::from_utf8(object.bytes.into()).ok());
    Ok(text.map(|text| Overlay::split(&text).0.to_owned()))
}

fn compile(place: &Place, text: &str) -> Result<Rules, String> {
    match place {
        Place::Folder(_) => crate::up::compile(text),
        #[cfg(feature = "aws")]
        Place::Buckets(_) => spanlake_aws::rules::compiler()(text)
            .and_then(|rules| std::sync::Arc::into_inner(rules).ok_or_else(|| "somebody else has these rules".to_owned())),
        #[cfg(not(feature = "aws"))]
        Place::Buckets(_) => Err("this build knows no AWS".to_owned()),
    }
}

/// Who takes up what is wanted.
#[derive(Clone, Copy)]
enum Worked {
    /// A process on the folder.
    Process,
    /// Nobody, until one is started.
    Nobody,
    /// The archiver of a deployment.
    Archiver,
}

impl Worked {
    fn on(place: &Place) -> Self {
        match place {
            Place::Folder(path) if is_worked_on(path) => Self::Process,
            Place::Folder(_) => Self::Nobody,
            Place::Buckets(_) => Self::Archiver,
        }
    }

    /// From when on traces go by a change, and why.
    fn soon(self) -> (String, &'static str) {
        let [folder, buckets] = LOOKED_AT_SECONDS;
        match self {
            Self::Process => (format!("from some {folder} s on"), "the process looks each second"),
            Self::Nobody => (format!("from some {folder} s after the next `spanlake up` on"), "no process works on this folder"),
            Self::Archiver => (format!("from some {buckets} s on"), "the archiver looks each minute"),
        }
    }
}

/// From when, at what price, and how it ends.
fn explain(place: &Place, service: &str, until: i64, rules: Option<&Rules>) -> String {
    if rules.is_some_and(|rules| !rules.samples()) {
        return "These rules have no tail_sampling, so every trace is kept already, and this changes nothing.\n".to_owned();
    }
    let worked = Worked::on(place);
    let (soon, who) = worked.soon();
    let end = if matches!(worked, Worked::Nobody) { format!(", if that is before {}", time(until)) } else { String::new() };
    let mut out = String::new();
    let latest = rules.map_or_else(
        || "once the traces of before are decided".to_owned(),
        |rules| format!("{} s after that change", (rules.decision_wait_ms() + rules.window_ms()).div_ceil(1_000)),
    );
    let flags = place.flags();
    // Infallible: a text takes any text.
    let _infallible = write!(
        out,
        "  from when   traces that begin {soon}{end} ({who}); if rules have just changed, {latest}\n\
         \x20             traces that began before go by the rules of then\n\
         \x20 what        whole traces, also the spans of other services in them, whatever the policies say, drop included\n\
         \x20 what not    what processors drop, and what is beyond the limits of a trace; masking goes on\n\
         \x20 cost        what these traces weigh, which cannot be known before: `spanlake status {flags}` counts bytes\n\
         \x20 in tables   sampling_policy is {KEEP_ALL} and the weight 1: sums stay right\n\
         \x20 to stop     it ends by itself; earlier: spanlake keep-all --stop --service {} {flags}\n",
        quoted(service)
    );
    out
}

/// A name in a sentence: in quotes where one could not see what belongs to it.
fn named(service: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./".contains(letter);
    if !service.is_empty() && service.chars().all(is_plain) { service.to_owned() } else { format!("{service:?}") }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    if word.bytes().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn is_worked_on(folder: &Path) -> bool {
    matches!(FolderLock::take(folder), Err(LockError::Held { .. }))
}

/// Says if no request of the service was counted since yesterday: then it may be misspelled. What cannot be read says nothing.
async fn warn_of_name(folder: &Path, service: &str, now: i64) {
    let partition = partition_of(now - 86_400 * NANOS_PER_SECOND);
    let date = partition.split_once('/').map_or("", |(date, _)| date.trim_start_matches("dt="));
    let sql = format!("SELECT DISTINCT service_name FROM red_1m WHERE dt >= '{date}' ORDER BY 1");
    let Ok(lake) = open(folder) else { return };
    let Ok(rows) = texts(&lake, &sql).await else { return };
    let names: Vec<&str> = rows.iter().flatten().map(String::as_str).collect();
    if let Some(warning) = misspelled(service, &names) {
        note(&warning);
    }
}

/// The warning about a name that is not among the known ones; none if nothing is known.
fn misspelled(service: &str, names: &[&str]) -> Option<String> {
    if names.is_empty() || names.contains(&service) {
        return None;
    }
    let known = names.iter().take(NAMES_MOST).map(|name| named(name)).collect::<Vec<_>>().join(", ");
    let more = if names.len() > NAMES_MOST { ", ..." } else { "" };
    Some(format!(
        "warning: no span of a service {service:?} is in the tables since yesterday: is it spelled so? There are {known}{more}"
    ))
}

/// What is kept now, a line for each service; empty if nothing is.
pub(crate) async fn lines<S: ObjectStore>(store: &S, place: &Place, now: i64) -> anyhow::Result<String> {
    let overlay = kept(store).await.with_context(|| mend(place))?.0.at(now);
    if overlay.is_empty() {
        return Ok(String::new());
    }
    let mut shards = Vec::new();
    for manifest in all_manifests(store).await.context("reading the manifests")? {
        if !manifest.closed {
            let laid = kept_by(store, &manifest.rules.current).await;
            shards.push(laid.with_context(|| format!("reading the rules of {}", manifest.shard))?);
        }
    }
    let mut out = String::new();
    for (service, until) in overlay.services() {
        let holds = shards.iter().filter(|shard| shard.until(service).is_some_and(|held| held >= until)).count();
        let force = match (holds, shards.len()) {
            (holds, all) if holds == all && all > 0 => String::new(),
            (0, _) => ", not in force yet".to_owned(),
            (holds, all) => format!(", in force on {holds} of {all} shards"),
        };
        writeln!(out, "{KEEP_ALL}: {} until {}, {}{force}", named(service), time(until), left(until, now))?;
    }
    Ok(out)
}

/// A point in time within a day: `18:00:00Z`.
fn time(seconds: i64) -> String {
    let text = timestamp_text(seconds.saturating_mul(NANOS_PER_SECOND));
    format!("{}Z", text.get(11..19).unwrap_or_default())
}

fn left(until_seconds: i64, now_nanos: i64) -> String {
    match until_seconds.saturating_mul(NANOS_PER_SECOND).saturating_sub(now_nanos) / NANOS_PER_SECOND {
        seconds @ ..120 => format!("{} s left", seconds.max(0)),
        seconds @ 120..7_200 => format!("{} min left", seconds / 60),
        seconds => format!("{} h {} min left", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_utc_and_what_is_left_in_words() {
        assert_eq!(time(1_790_000_000), "14:13:20Z");
        for (seconds, wanted) in [(119, "119 s left"), (120, "2 min left"), (7_199, "119 min left"), (86_399, "23 h 59 min left")]
        {
            assert_eq!(left(1_790_000_000, (1_790_000_000 - seconds) * NANOS_PER_SECOND), wanted);
        }
    }

    #[test]
    fn a_name_that_nobody_has_is_told_with_those_that_there_are() {
        assert_eq!(misspelled("cart", &[]), None);
        assert_eq!(misspelled("cart", &["cart", "shop"]), None);
        let said = misspelled("card", &["cart", "shop"]).unwrap();
        assert!(said.contains("\"card\"") && said.ends_with("There are cart, shop"), "{said}");
        assert!(misspelled("card", &["a"; 11]).unwrap().ends_with(", a, ..."));
    }

    #[test]
    fn a_name_in_a_sentence_shows_where_it_ends() {
        for plain in ["checkout", "shop/cart-2.v1_b", "k\u{e4}se"] {
            assert_eq!(named(plain), plain);
        }
        for (name, wanted) in [("", "\"\""), ("a b", "\"a b\""), ("****", "\"****\""), ("a\u{202e}b", "\"a\\u{202e}b\"")] {
            assert_eq!(named(name), wanted);
        }
    }

    #[test]
    fn where_every_trace_is_kept_already_nothing_else_is_said() {
        let place = Place::Folder("/nowhere/at/all".into());
        let rules = crate::up::compile("processors: {}").unwrap();
        let said = explain(&place, "checkout", 0, Some(&rules));
        assert!(said.contains("every trace is kept already") && said.lines().count() == 1, "{said}");
    }

    #[test]
    fn a_name_goes_into_a_shell_as_it_is() {
        assert_eq!(quoted("checkout"), "checkout");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
    }
}
