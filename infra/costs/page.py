"""The page: tables of the bill, what changes it, and the worst hour."""

import textwrap

from . import attack
from .model import Bill, Load
from .prices import PRICES, READ, SECONDARY, WAITS_MS

BEGIN, END = "<!-- figures: written by infra/cost --page -->", "<!-- end of figures -->"
TARGET, TARGET_RATE = 0.0040, 100_000
RATES = (1_000, 100_000, 1_000_000)
COLLECTOR = {"collector": True, "spans_per_request": 8_192}
# Levers, one after the other: what each takes, and what it costs beside money.
LEVERS = (
    ("the stream keeps records for 24 hours, not 48", {"retention_hours": 24}),
    ("a batching window of 15 s, or a full event", {"window_s": 15}),
    ("Collectors in front, 8,192 spans a request", COLLECTOR),
)
CHANGES = (
    ("as in the table", {}),
    ("each shard's batches come to one environment", {"grouper": "own"}),
    ("each batch comes to a new one", {"grouper": "new"}),
    ("CPU x 2", {"cpu": 2.0}),
    ("waits x 2", {"waits": 2.0}),
    ("fat spans, 1,591 bytes", {"set": "fat"}),
    ("everything kept", {"kept": 1.0}),
    ("11 spans of a trace in a request, not 2", {"spans_per_trace": 11.0}),
    ("Collectors in front, 8,192 spans a request", COLLECTOR),
    ("batching window of 15 s", {"window_s": 15}),
    ("records kept for 24 hours", {"retention_hours": 24}),
)


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in lines) + "\n"


def usd(amount):
    return f"{amount:,.2f}" if amount < 100 else f"{amount:,.0f}"


def prose(text):
    """A paragraph, in lines of the page's width."""
    return textwrap.fill(" ".join(text.split()), 126, break_long_words=False, break_on_hyphens=False) + "\n"


def merged(name):
    """Lines that are told as one."""
    return "stream: shards, 48 hours" if name in ("stream: shards", "stream: records kept for 48 hours") else name


def lines_of(bill):
    found = {}
    for name, amount in bill.lines.items():
        found[merged(name)] = found.get(merged(name), 0.0) + amount
    return found


def the_bill(measured):
    columns = [(f"{rate:,}", Bill(Load(rate=rate), measured)) for rate in RATES]
    columns += [(f"{rate:,}, Collectors", Bill(Load(rate=rate, **COLLECTOR), measured)) for rate in RATES[1:]]
    bills = [bill for _, bill in columns]
    of_all = [lines_of(bill) for bill in bills]
    rows = [[name, *(usd(lines[name]) for lines in of_all)] for name in of_all[0]]
    rows.append(["**USD a month**", *(f"**{usd(bill.total)}**" for bill in bills)])
    rows.append(["**USD per million spans**", *(f"**{bill.per_million:.4f}**" for bill in bills)])
    facts = [
        ("shards", lambda bill: f"{bill.shards:,}"),
        ("requests a second", lambda bill: f"{bill.requests:,.0f}"),
        ("spans of a trace in a request", lambda bill: f"{bill.facts['spans_per_trace']:.1f}"),
        ("records a request", lambda bill: f"{bill.records:,.1f}"),
        ("bytes a record", lambda bill: f"{bill.facts['record_bytes']:,.0f}"),
        ("bytes a span, on the stream", lambda bill: f"{bill.facts['bytes_per_span']:,.0f}"),
        ("ingest, ms a call", lambda bill: f"{bill.facts['ingest_ms']:,.0f}"),
        ("groupers at work, on average", lambda bill: f"{bill.facts['grouper_busy']:,.1f}"),
        (
            "their batches go to",
            lambda bill: {"one": "one", "new": "a new one"}.get(bill.facts["grouper_play"], bill.facts["grouper_play"]),
        ),
        (
            "puts and swaps of a shard, a minute",
            lambda bill: f"{bill.facts['grouper_puts_minute'] + bill.facts['grouper_swaps_minute']:,.0f}",
        ),
        ("gets of a shard, a minute", lambda bill: f"{bill.facts['grouper_gets_minute']:,.0f}"),
        ("archiver, s a minute", lambda bill: f"{bill.facts['archiver_s']:,.0f}"),
        ("files of the lake a minute", lambda bill: f"{bill.facts['files_minute']:,.0f}"),
        ("MB of a file of spans", lambda bill: f"{bill.facts['spans_file_mb']:,.1f}"),
        ("bytes a kept span, all tables", lambda bill: f"{bill.facts['lake_bytes_per_kept']:,.1f}"),
        ("lake, GB a day", lambda bill: f"{bill.facts['lake_gb_day']:,.1f}"),
        ("state, days until it is deleted", lambda bill: f"{bill.facts['state_days']:,.1f}"),
    ]
    told = [[name, *(show(bill) for bill in bills)] for name, show in facts]
    head = ["spans a second", *(name for name, _ in columns)]
    return (
        "## The bill\n\nLean spans (453 bytes of OTLP), a fifth kept, requests of 512 spans as SDKs send them, or of 8,192 as "
        "Collectors do.\n\n" + table(["USD a month", *head[1:]], rows) + "\nWhat it comes from:\n\n" + table(head, told)
    )


def the_target(measured):
    bill = Bill(Load(rate=TARGET_RATE), measured)
    lines = lines_of(bill)
    largest = max(lines, key=lines.get)
    is_met = bill.per_million <= TARGET
    said = (
        "is met"
        if is_met
        else f"is **missed by USD {bill.per_million - TARGET:.4f}**, {bill.per_million / TARGET:.1f} times what it asks for"
    )
    rows, given = [["as in the table", "", f"{bill.per_million:.4f}", usd(bill.total)]], {}
    for name, change in LEVERS:
        alone = Bill(Load(rate=TARGET_RATE, **change), measured)
        given.update(change)
        together = Bill(Load(rate=TARGET_RATE, **given), measured)
        rows.append([name, f"{alone.per_million:.4f}", f"{together.per_million:.4f}", usd(together.total)])
    told = f"""At most USD {TARGET:.4f} per million spans at {TARGET_RATE:,} spans a second, with requests of 512 spans
    and a fifth
    kept. It comes to USD {bill.per_million:.4f}: the target {said}. The largest line is "{largest}" with USD
    {usd(lines[largest])} of
    {usd(bill.total)}; the lines of the grouper come to
    {usd(sum(line for name, line in lines.items() if name.startswith("grouper")))}.
    What lowers it, each alone, and each with all rows above it:"""
    return "## The target\n\n" + prose(told) + "\n" + table(["", "alone, USD per million", "together", "USD a month"], rows)


def the_changes(measured):
    rows = []
    for name, change in CHANGES:
        bills = [Bill(Load(rate=rate, **change), measured) for rate in RATES]
        rows.append([name, *(f"{usd(bill.total)} ({bill.per_million:.4f}; {bill.shards:,})" for bill in bills)])
    return "## What changes it\n\nUSD a month (per million spans; shards).\n\n" + table(
        ["", *(f"{rate:,}" for rate in RATES)], rows
    )


def the_worst_hour(measured):
    rows = [[name, formula, f"{amount:.3f}"] for name, (formula, amount) in attack.worst(measured).items()]
    told = f"""With the template's defaults, whoever sends whatever, with or without a token: at most
    **USD {attack.total(measured):.2f} an hour**. Shards beyond the default add their own lines. Answers that leave AWS
    are not in it,
    nor what somebody with access to the account may start."""
    return "## The worst hour\n\n" + prose(told) + "\n" + table(["", "formula", "USD"], rows)


def the_measurements(measured):
    kinds = list(measured["records"])
    by = {kind: {row["shards"]: row for row in measured["records"][kind]["rows"]} for kind in kinds}
    spans = {kind: measured["records"][kind]["spans"] for kind in kinds}
    requests = {kind: measured["records"][kind]["requests"] for kind in kinds}
    rows = [
        [
            shards,
            *(
                f"{by[kind][shards]['records'] / requests[kind]:,.1f}; {by[kind][shards]['bytes'] / spans[kind]:,.0f}"
                for kind in kinds
            ),
        ]
        for shards in by[kinds[0]]
    ]
    sizes = ", ".join(f"{spans[kind] / requests[kind]:,.0f} ({kind})" for kind in kinds)
    text = "## What was measured\n\n" + prose(
        f"""On {measured["date"]}, at commit {measured["commit"]}, on {measured["machine"]}. Time of this processor is
        counted as time of
        an arm64 one. Records that a request is cut into (compressed) and bytes a span in them, by `calls FOLDER --records`; a
        request has on average {sizes} spans:"""
    )
    text += "\n" + table(["shards", *kinds], rows)
    rows = [
        [name, *(f"{found[stage]:,}" for stage in ("ingest", "group", "archive"))] for name, found in measured["stages"].items()
    ]
    text += (
        "\nCPU for a span, nanoseconds (`stages FOLDER --config RULES --steady`); a fifth of the spans kept, and everything:\n\n"
    )
    text += table(["spans and rules", "ingest", "group", "archive, for each span that came"], rows)
    rows = [[name, f"{found['accepted_us']:,}", f"{found['refused_us']:,}"] for name, found in measured["program"].items()]
    text += "\nCPU for a request of the ingest program, microseconds (`tests/bench/invoke.py`): "
    text += "Lambda's event, its runtime and the SDK are in it.\n\n"
    text += table(["spans and shards", "accepted", "wrong token"], rows)
    rows = [[name, *calls_of(play)] for name, play in measured["plays"].items()]
    text += "\nCalls to S3 for a shard and minute (`calls FOLDER OUT ...`, see `infra/costs/measure.py` for each):\n\n"
    return text + table(
        ["play", "batches", "staged", "sealed, decisions, seen", "swaps", "refused", "gets", "archiver: writes", "gets", "lists"],
        rows,
    )


def calls_of(play):
    def count(who, what, *prefixes):
        found = [
            row["calls"]
            for row in play["calls"]
            if row["who"] == who and row["what"] in what and (not prefixes or row["prefix"] in prefixes)
        ]
        return f"{sum(found) / play['minutes'] / play['shards']:.2f}"

    get, write = ("get", "get, not there"), ("put", "put, refused", "swap", "swap, refused")
    return [
        f"{play['batches'] / play['minutes'] / play['shards']:.2f}",
        count("grouper", ("put",), "staged"),
        count("grouper", ("put",), "sealed", "decisions", "seen"),
        count("grouper", ("swap",)),
        count("grouper", ("swap, refused",)),
        count("grouper", get),
        count("archiver", write),
        count("archiver", get),
        count("archiver", ("list",)),
    ]


def the_prices():
    secondary = sum(source.startswith(SECONDARY) for _, _, source in PRICES.values())
    rows = [
        [f"`{name}`", f"{amount:.10f}".rstrip("0").rstrip("."), unit, source] for name, (amount, unit, source) in PRICES.items()
    ]
    waits = ", ".join(f"`{name}` {ms} ms" for name, ms in WAITS_MS.items())
    told = f"""Read on {READ}: us-east-1, arm64, a month of 730 hours. {secondary} of {len(PRICES)} are from secondary
    sources, not read on
    AWS's own pages: check them before you quote a figure. Above 7.5 and 18.75 billion GB-seconds a month compute is 10 and 20 %
    cheaper (AWS's Compute Blog)."""
    assumed = f"Waits for an answer are assumed, not measured: {waits}."
    return "## Prices\n\n" + prose(told) + "\n" + table(["", "USD", "for", "source"], rows) + "\n" + prose(assumed)


def figures(measured):
    return "\n".join(
        [
            the_bill(measured),
            the_target(measured),
            the_changes(measured),
            the_worst_hour(measured),
            the_measurements(measured),
            the_prices(),
        ]
    )


def written(text, measured):
    """The page with these figures in it."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{figures(measured)}\n{END}{after}"
