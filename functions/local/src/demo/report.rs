//! What the demo prints in the end: the ledger, each figure beside the truth, answers, one trace, what was masked.

use std::io::{self, Write};

use spanlake_model::{PerSignal, Signal};

use super::figures::{self, Figure, Kept, Query};
use super::sender::Sent;
use super::truth::Truth;

mod layout;

use layout::{Page, table};

/// Commands of the program, each giving the text that a user would see.
pub(crate) struct Lake<'a> {
    pub(crate) query: Query<'a>,
    /// A saved query by name.
    pub(crate) saved: &'a dyn Fn(&str) -> anyhow::Result<String>,
    /// `spanlake trace ID`.
    pub(crate) trace: &'a dyn Fn(&str) -> anyhow::Result<String>,
    /// `spanlake why ID`.
    pub(crate) why: &'a dyn Fn(&str) -> anyhow::Result<String>,
}

/// One signal's line of the ledger. `committed` is the sum of what stands up to `pending`.
#[derive(Clone, Debug, Default)]
pub(crate) struct LedgerLine {
    pub(crate) committed: u64,
    pub(crate) kept: u64,
    pub(crate) sampled_out: u64,
    /// By reason.
    pub(crate) dropped: Vec<(String, u64)>,
    pub(crate) pending: u64,
    /// Repeats of what was committed before; not part of `committed`.
    pub(crate) duplicates: u64,
    /// Refused by ingest; not part of `committed`.
    pub(crate) refused: u64,
}

/// What one table takes on disk.
#[derive(Clone, Debug)]
pub(crate) struct TableSize {
    pub(crate) table: String,
    pub(crate) files: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What the process knows beside the lake.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) ledger: PerSignal<LedgerLine>,
    pub(crate) tables: Vec<TableSize>,
    /// How many values each rule masked.
    pub(crate) masked: Vec<(String, u64)>,
    /// Names of the saved queries to show.
    pub(crate) saved_queries: Vec<String>,
    /// What to try next, a line each.
    pub(crate) next_steps: Vec<String>,
}

/// Prints the report and returns whether every figure agrees with what was sent.
///
/// # Errors
/// Only when `out` cannot be written; a query that fails is a figure that does not agree.
pub(crate) fn print(
    out: &mut dyn Write,
    colours: bool,
    truth: &Truth,
    sent: &Sent,
    lake: &Lake,
    state: &State,
) -> io::Result<bool> {
    let mut page = Page::new(out, colours);
    let kept = Kept::all(lake.query);
    let mut figures = ledger_figures(sent, truth, state);
    figures.extend(figures::counted(truth, lake.query));
    figures.extend(figures::before_sampling(truth, lake.query));
    match &kept {
        Ok(kept) => {
            figures.push(Figure::new("spans kept, by the ledger | rows", &state.ledger[Signal::Traces].kept, &kept.len()));
            figures.push(figures::summed(kept, lake.query));
            figures.extend(figures::whole(truth, kept));
            figures.push(figures::estimated(truth, kept));
        }
        Err(failure) => figures.push(Figure::new("kept spans", &"readable", &format!("failed: {failure:#}"))),
    }
    figures.push(figures::leaked(lake.query));
    let served = served(truth, lake.query);
    let agree = figures.iter().chain(&served).all(|figure| figure.equal);

    ledger(&mut page, sent, state)?;
    compared(&mut page, "Every figure: sent, and as the lake answers it", "figure", &figures)?;
    compared(&mut page, "Requests served by each service / of them failed (before sampling)", "service", &served)?;
    estimates(&mut page, truth, kept.as_deref().unwrap_or_default())?;
    answers(&mut page, lake, state)?;
    one_trace(&mut page, truth, lake)?;
    masked(&mut page, truth, lake.query, &state.masked)?;
    size(&mut page, sent, state)?;
    verdict(&mut page, &figures, &served)?;
    page.heading("What next")?;
    for step in &state.next_steps {
        page.line(step)?;
    }
    Ok(agree)
}

fn ledger_figures(sent: &Sent, truth: &Truth, state: &State) -> Vec<Figure> {
    let mut made = Vec::new();
    for signal in Signal::ALL {
        let line = &state.ledger[signal];
        let items = signal.items();
        let accounted = line.kept + line.sampled_out + line.pending + line.dropped.iter().map(|(_, count)| count).sum::<u64>();
        made.push(Figure::new(&format!("{items} acknowledged and committed"), &truth.accepted()[signal], &line.committed));
        made.push(Figure::new(&format!("{items} accounted for in the ledger"), &sent.accepted[signal], &accounted));
        made.push(Figure::new(&format!("{items} sent twice, stored once"), &sent.repeated[signal], &line.duplicates));
    }
    made.push(Figure::new("spans without a valid id, refused", &truth.refused_spans, &state.ledger[Signal::Traces].refused));
    made
}

/// Requests and errors of each service from `red_1m`, as `requests / errors`.
fn served(truth: &Truth, query: Query) -> Vec<Figure> {
    let sql = "SELECT service_name, sum(requests), sum(errors) FROM red_1m WHERE kind = 'SERVER' GROUP BY service_name";
    let rows = query(sql).unwrap_or_default();
    let figure = |(service, (requests, errors)): (&'static str, (u64, u64))| {
        let row = rows.iter().find(|row| row.first().is_some_and(|name| name == service));
        {
            let answered = row.map(|row| row.get(1..).unwrap_or_default().join(" / ")).unwrap_or_default();
            Figure::new(service, &format!("{requests} / {errors}"), &answered)
        }
    };
    truth.served().into_iter().map(figure).collect()
}

fn ledger(page: &mut Page, sent: &Sent, state: &State) -> io::Result<()> {
    page.heading("The ledger: where every item went")?;
    let head = ["", "committed", "= kept", "+ sampled out", "+ dropped", "+ pending", "repeats", "refused"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for signal in Signal::ALL {
        let line = &state.ledger[signal];
        let dropped: u64 = line.dropped.iter().map(|(_, count)| count).sum();
        let counts = [line.committed, line.kept, line.sampled_out, dropped, line.pending, line.duplicates, line.refused];
        rows.push(std::iter::once(signal.items().to_owned()).chain(counts.map(|count| count.to_string())).collect());
    }
    table(page, &rows)?;
    for (reason, count) in &state.ledger[Signal::Traces].dropped {
        page.line(&format!("dropped spans: {count} {reason}"))?;
    }
    let (requests, put_off) = (sent.requests, sent.put_off);
    page.line(&format!("{requests} requests were acknowledged; {put_off} answers asked to come again later"))
}

fn compared(page: &mut Page, heading: &str, first: &str, figures: &[Figure]) -> io::Result<()> {
    page.heading(heading)?;
    let mut rows = vec![[first, "sent", "in the lake", "equal"].map(str::to_owned).to_vec()];
    for figure in figures {
        let equal = if figure.equal { "yes" } else { "NO" };
        rows.push(vec![figure.name.clone(), figure.sent.clone(), figure.lake.clone(), equal.to_owned()]);
    }
    table(page, &rows)
}

fn estimates(page: &mut Page, truth: &Truth, kept: &[Kept]) -> io::Result<()> {
    page.heading("What the sample tells of the busiest endpoints (estimates by weight)")?;
    let head = ["endpoint", "requests sent", "estimated", "p95 sent", "estimated", "from spans"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(figures::endpoints(truth, kept));
    table(page, &rows)
}

fn answers(page: &mut Page, lake: &Lake, state: &State) -> io::Result<()> {
    for name in &state.saved_queries {
        page.heading(&format!("spanlake sql --saved {name}"))?;
        page.text(&(lake.saved)(name).unwrap_or_else(|failure| format!("failed: {failure:#}")))?;
    }
    Ok(())
}

fn one_trace(page: &mut Page, truth: &Truth, lake: &Lake) -> io::Result<()> {
    let told = |text: anyhow::Result<String>| text.unwrap_or_else(|failure| format!("failed: {failure:#}"));
    if let Some(id) = truth.shown.map(|id| id.to_string()) {
        page.heading(&format!("A payment that failed: spanlake trace {id}"))?;
        page.text(&told((lake.trace)(&id)))?;
        page.heading(&format!("Why it was kept: spanlake why {id}"))?;
        page.text(&told((lake.why)(&id)))?;
    }
    let sampled_out = "SELECT trace_id FROM decisions WHERE verdict = 'sampled_out' ORDER BY trace_id LIMIT 1";
    let rows = (lake.query)(sampled_out).unwrap_or_default();
    if let Some(id) = rows.into_iter().flatten().next() {
        page.heading(&format!("Why another one was not: spanlake why {id}"))?;
        page.text(&told((lake.why)(&id)))?;
    }
    Ok(())
}

fn masked(page: &mut Page, truth: &Truth, query: Query, rules: &[(String, u64)]) -> io::Result<()> {
    page.heading("Masked before anything reached the lake")?;
    let mut rows = vec![["planted", "in", "secrets"].map(str::to_owned).to_vec()];
    for ((kind, place), count) in &truth.planter.planted {
        rows.push(vec![kind.label().to_owned(), (*place).to_owned(), count.to_string()]);
    }
    table(page, &rows)?;
    for (rule, values) in rules {
        page.line(&format!("masked by the rule {rule}: {values} values"))?;
    }
    let mut shown = std::collections::BTreeSet::new();
    for example in &truth.planter.examples {
        let stored = query(&example.lookup).unwrap_or_default().into_iter().flatten().next();
        if let Some(stored) = stored.filter(|_| shown.insert(example.kind)) {
            page.line("")?;
            page.line(&format!("sent    {}: {}", example.place, example.sent))?;
            page.line(&format!("stored  {}: {stored}", example.place))?;
        }
    }
    Ok(())
}

fn size(page: &mut Page, sent: &Sent, state: &State) -> io::Result<()> {
    page.heading("Size")?;
    let mut rows = vec![["table", "rows", "bytes", "bytes per row", "files"].map(str::to_owned).to_vec()];
    for size in &state.tables {
        let per_row = size.bytes.checked_div(size.rows).unwrap_or(0);
        let counts = [size.rows, size.bytes, per_row, size.files].map(|count| count.to_string());
        rows.push(std::iter::once(size.table.clone()).chain(counts).collect());
    }
    table(page, &rows)?;
    let total: u64 = state.tables.iter().map(|size| size.bytes).sum();
    page.line(&format!("sent {} bytes of OTLP ({} on the wire), stored {total} bytes", sent.raw_bytes, sent.wire_bytes))?;
    page.line("a minute's files are small and cost more per row; a busy hour's cost a fraction")
}

fn verdict(page: &mut Page, figures: &[Figure], served: &[Figure]) -> io::Result<()> {
    let all = figures.len() + served.len();
    let differ: Vec<_> = figures.iter().chain(served).filter(|figure| !figure.equal).map(|figure| figure.name.as_str()).collect();
    page.heading("Verdict")?;
    if differ.is_empty() {
        return page.good(&format!("all {all} figures agree with what was sent"));
    }
    page.bad(&format!("{} of {all} figures do NOT agree with what was sent: {}", differ.len(), differ.join("; ")))
}

#[cfg(test)]
mod tests;
