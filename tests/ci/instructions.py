#!/usr/bin/env python3
"""Holds the hot paths to the instructions that they are known to take for a span, within 5 %.

    tests/ci/instructions.py STAGES LOADGEN           compares with tests/bench/instructions.json
    tests/ci/instructions.py STAGES LOADGEN --write   takes what is counted as what is known

STAGES is the example `stages` of spanlake-tests, built with the profile `sim`; LOADGEN the load generator in tests/bench.
Needs valgrind. Counts do not depend on how busy a machine is. They do depend on the compiler, and on the processor, by which
libraries choose their loops: both are named in the file, and where they differ nothing can be compared. Write the file anew then,
from the commit before the change.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KNOWN = ROOT / "tests" / "bench" / "instructions.json"
SPANS = 20_000
# Of the same source, built at another place: 2 %, by what the compiler inlines where.
TOLERANCE = 0.05
# What is kept most is written most: every path runs for every span.
RULES = ROOT / "tests" / "bench" / "everything.yaml"
# Functions by what they do; everything that they call is in.
PATHS = {
    "walker: check every field": "spanlake_otlp::cut::scan::scan",
    "split: a request into records": "spanlake_otlp::cut::cut",
    "redaction and facts": "<impl spanlake_policy::rules::Rules>::changed_item",
    "grouping: a batch into a staged object": "spanlake_pipeline::stage::plan_batch",
    # The close itself is inlined into its caller: these are its parts.
    "closing a window: deciding and sealing": [
        "spanlake_pipeline::close::Closer<S>::open::{{closure}}",
        "spanlake_pipeline::close::Closer<S>::gather::{{closure}}",
        "spanlake_pipeline::close::trace::<impl spanlake_pipeline::close::Closer<S>>::recorded::{{closure}}",
        "spanlake_pipeline::close::trace::<impl spanlake_pipeline::close::Closer<S>>::trace",
        "spanlake_pipeline::close::Closer<S>::finish_whole",
    ],
    "Arrow: building rows": "spanlake_table::spans::Scratch::write",
    "Parquet: encoding batches": "spanlake_table::file::FileWriter::flush_batch",
    "archive: a file of spans": "spanlake_table::spans::write",
}


class Failure(Exception):
    """Something could not be run; the text says what."""


def call(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def counted(stages, loadgen):
    """Instructions for a span, by path."""
    with tempfile.TemporaryDirectory(prefix="spanlake-instructions-") as made:
        folder = pathlib.Path(made)
        bodies, profile = folder / "bodies", folder / "profile"
        bodies.mkdir()
        call(loadgen, "--spans", SPANS, "--seed", 1, "--out", bodies)
        call("valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", stages, bodies, "--config", RULES, "--steady")
        told = call("callgrind_annotate", "--inclusive=yes", "--threshold=100", profile)
    counts = {}
    for path, functions in PATHS.items():
        parts = [functions] if isinstance(functions, str) else functions
        counts[path] = round(sum(instructions(told, function) for function in parts) / SPANS)
    return counts


def instructions(told, function):
    """Of a function and what it calls."""
    lines = [line for line in told.splitlines() if re.search(rf":{re.escape(function)}( \[|$)", line) or f"::{function} [" in line]
    if not lines:
        raise Failure(f"no function is named {function} any more: name in PATHS what does its work now")
    return max(int(line.split("(")[0].replace(",", "")) for line in lines)


def machine():
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {"rustc": call("rustc", "--version").strip(), "processor": model[1] if model else "unknown"}


def show(counts, known):
    failed = []
    for path, count in counts.items():
        before = known.get(path)
        change = "new" if before is None else f"{100 * (count / before - 1):+.1f} %"
        print(f"{count:8,} instructions a span  {change:>8}  {path}")
        if before is None or abs(count / before - 1) > TOLERANCE:
            failed.append(path)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", type=pathlib.Path)
    parser.add_argument("loadgen", type=pathlib.Path)
    parser.add_argument("--write", action="store_true", help="what is counted becomes what is known")
    options = parser.parse_args()
    try:
        counts, here = counted(options.stages, options.loadgen), machine()
    except (Failure, OSError) as failure:
        print(f"could not be counted: {failure}", file=sys.stderr)
        return 2
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {"machine": here, "instructions": {}}
    if options.write:
        show(counts, known["instructions"])
        KNOWN.write_text(json.dumps({"machine": here, "instructions": counts}, indent=1) + "\n")
        return 0
    if known["machine"] != here:
        print(f"counted on another machine: {known['machine']} there, {here} here. Nothing is compared.")
        show(counts, counts)
        return 0
    failed = show(counts, known["instructions"])
    if failed:
        print(f"beyond {TOLERANCE:.0%}: {'; '.join(failed)}. If that is meant, write it down: tests/ci/instructions.py ... --write")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
