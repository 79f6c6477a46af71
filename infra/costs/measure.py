"""Measures what the bill is made of, by running this code: what `infra/cost --measure` does."""

import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / "tests" / "bench"
RULES = {"fifth": BENCH / "fifth.yaml", "everything": BENCH / "everything.yaml"}
TOOLS = ("calls", "stages", "loadgen", "ingest")
SETS = {"lean": [], "fat": ["--fat"]}
# Requests of an SDK: spans of one process. Of a Collector: whole traces of all services, about 8,192 spans.
SHAPES = {"sdk": [], "collector": ["--traces-per-request", "724"]}
# Spans, rules, spans a second, minutes, minutes that are not counted, the rest. After 15 minutes lists of what was seen and
# decided are as long as they get.
PLAYS = {
    "one": ("lean", "fifth", 1_000, 20, 16, ["--shards", 1]),
    "own": ("lean", "fifth", 1_000, 20, 16, ["--shards", 16]),
    # Any of eight environments takes a batch. At 100 times this rate, what a shard has staged, seen and decided is about 60 times
    # larger: so much less memory is given.
    "any of 8": ("lean", "fifth", 1_000, 20, 16, ["--shards", 32, "--environments", 8, "--held-part", 60]),
    "new": ("lean", "fifth", 1_000, 20, 16, ["--shards", 16, "--environments", 400]),
    "wait 15": ("lean", "fifth", 1_000, 12, 4, ["--shards", 1, "--window", 15]),
    "wait 30": ("lean", "fifth", 1_000, 12, 4, ["--shards", 1, "--window", 30]),
    "busy": ("lean", "fifth", 3_125, 7, 4, ["--shards", 1]),
    "everything": ("lean", "everything", 3_125, 7, 4, ["--shards", 1]),
    "fat": ("fat", "fifth", 1_000, 5, 3, ["--shards", 1]),
}
SPANS_RECORDS = 100_000
RUNS = 3


class Failure(Exception):
    """Something could not be run; the text says what."""


def call(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def bodies(loadgen, folder, spans, *more):
    folder.mkdir(parents=True)
    call(loadgen, "--spans", spans, "--seed", 1, "--out", folder, *more)
    return folder


def records(tools, work):
    """What requests are cut into, by number of shards."""
    found = {}
    for kind, more in SETS.items():
        for shape, asked in SHAPES.items():
            folder = bodies(tools["loadgen"], work / f"{shape}-{kind}", SPANS_RECORDS, *more, *asked)
            found[f"{shape} {kind}"] = json.loads(call(tools["calls"], folder, "--records"))
    return found


def stages(tools, work):
    """CPU for a span, nanoseconds, by kind of spans and rules."""
    found = {}
    for kind in SETS:
        for name, rules in RULES.items():
            runs = [call(tools["stages"], work / f"sdk-{kind}", "--config", rules, "--steady") for _ in range(RUNS)]
            told = [dict(re.findall(r"^(ingest|group|archive).*?: \d+ spans, (\d+) ns/span", run, re.M)) for run in runs]
            found[f"{kind} {name}"] = {
                stage: statistics.median(int(run[stage]) for run in told) for stage in ("ingest", "group", "archive")
            }
    return found


def program(tools, work):
    """CPU for a request of the real ingest program, microseconds."""
    found = {}
    for kind in SETS:
        for shards in (1, 32, 128):
            runs = [
                json.loads(call(BENCH / "invoke.py", tools["ingest"], work / f"sdk-{kind}", "--shards", shards, "--repeat", 2))
                for _ in range(RUNS)
            ]
            middle = lambda what: statistics.median(run[what]["cpu_us"] for run in runs)  # noqa: E731, B023
            lines, size = runs[0]["accepted"]["log"]
            found[f"{kind} {shards}"] = {
                "accepted_us": middle("accepted"),
                "refused_us": middle("refused"),
                "line_bytes": round(size / max(lines, 1)),
            }
    return found


def played(tools, work, name):
    """What was called in the minutes of a play, and its log lines."""
    kind, rules, rate, minutes, warm, more = PLAYS[name]
    spans = rate * 60 * minutes
    folder = work / f"whole-{kind}-{spans}"
    if not folder.exists():
        bodies(tools["loadgen"], folder, spans * 21 // 20, "--traces-per-request", 45, *SETS[kind])
    out = work / "told.json"
    log = call(tools["calls"], folder, out, "--config", RULES[rules], "--rate", rate, "--minutes", minutes, "--warm", warm, *more)
    told = json.loads(out.read_text())
    lines = log.partition("counted from here on\n")[2].partition("counted up to here\n")[0].splitlines()
    of_batches = [line for line in lines if '"Records"' in line]
    others = [line for line in lines if '"Records"' not in line]
    told["log_lines"] = {
        "grouper": [len(of_batches), sum(map(len, of_batches))],
        "archiver": [len(others), sum(map(len, others))],
    }
    told["rate"] = rate
    return told


def machine():
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return f"{model[1] if model else 'unknown processor'}, {os.cpu_count()} cores, {platform.machine()}"


def measure(folder):
    """Everything, with the programs in a folder. Some 20 minutes on a machine that has nothing else to do."""
    tools = {name: (pathlib.Path(folder) / name).resolve() for name in TOOLS}
    missing = [name for name, path in tools.items() if not path.exists()]
    if missing:
        raise Failure(f"{folder} has no {', '.join(missing)}: infra/cost --help says how they are built")
    with tempfile.TemporaryDirectory(prefix="spanlake-cost-") as made:
        work = pathlib.Path(made)
        commit = call("git", "-C", ROOT, "rev-parse", "--short=12", "HEAD").strip()
        return {
            "date": time.strftime("%Y-%m-%d"),
            "commit": commit,
            "machine": machine(),
            "records": records(tools, work),
            "stages": stages(tools, work),
            "program": program(tools, work),
            "plays": {name: played(tools, work, name) for name in PLAYS},
        }
