#!/usr/bin/env python3
"""Measures the whole process: spans per CPU-second, peak memory, bytes per kept span.

    tests/bench/process.py [--spans 1000000] [--sets lean,fat] [--rules seed,everything] [--binary FILE] [--json FILE]

Builds the release binary (unless --binary names one) and the load generator beside this file, then for each set of rules and
each kind of span: starts `spanlake up` on a temporary folder without the stream's shard limits, sends the spans over the
loopback, waits until the lake has them all and the process is idle, and reads its figures from /proc. CPU is user and system
time of the process from before the first request until it is idle again, so decisions and Parquet are in it. Linux only.
"""

import argparse
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# The file of each set of rules; the built-in ones need none.
RULES = {name: HERE / f"{name}.yaml" for name in ("seed", "everything", "unmasked")} | {"builtin": None}
SETS = {"lean": [], "fat": ["--fat"]}
START_SECONDS_MAX = 30
# Idle: less than 5 % of one core over this time. The decision's wait and the archive's interval are quiet as well, so the
# lake has to be complete too, or to stand still for longer than either.
IDLE_SECONDS = 6
IDLE_SHARE = 0.05
STILL_SECONDS = 60


class Failure(Exception):
    """Something could not be run; the text says what."""


def call(command, **rest):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **rest)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{(done.stderr or done.stdout)[-3000:]}")
    return done.stdout


def build(binary, *more):
    """The binary, unless one is given, and the load generator; cargo's arguments `more` build more in the same go."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    if not binary:
        call(["cargo", "build", "--release", "--locked", "-p", "spanlake", "--bin", "spanlake", *more], cwd=ROOT)
        binary = target / "release" / "spanlake"
    call(["cargo", "build", "--release", "--locked", "--manifest-path", HERE / "loadgen" / "Cargo.toml", "--target-dir", target / "bench"])
    return binary.resolve(), target / "bench" / "release" / "loadgen"


def cpu_seconds(pid):
    # The command's name may hold spaces, so fields are counted from behind its bracket: utime and stime are 14 and 15.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_max_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise Failure("the kernel tells no VmHWM")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def spanlake(binary, folder, rules):
    """A running process: its id and address."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [binary, "up", "--stream-limits", "off", "--listen", address, "--data", folder / "data"]
    command += ["--config", rules] if rules else []
    with open(folder / "spanlake.log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            wait_for_port(process, port, log)
            yield process.pid, address
            if process.poll() is not None:
                raise Failure(f"spanlake ended with {process.returncode} while it was measured:\n{told(log)}")
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_port(process, port, log):
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failure(f"spanlake ended with {process.returncode}:\n{told(log)}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise Failure(f"spanlake does not listen after {START_SECONDS_MAX} s:\n{told(log)}")


def told(log):
    log.flush()
    log.seek(0)
    return log.read()[-3000:]


def one_number(binary, folder, statement):
    lines = call([binary, "sql", statement, "--data", folder / "data", "--format", "json"]).splitlines()
    row = json.loads(next(line for line in lines if line.strip()))
    return int(next(iter(row.values())) or 0)


def settle(binary, folder, pid, acknowledged, seconds_max):
    """Waits until every acknowledged span is counted and decided and the process is idle: kept spans, and the CPU and wall time
    at the beginning of the idleness."""
    until = time.monotonic() + seconds_max
    last, since = None, None
    while time.monotonic() < until:
        cpu, at = cpu_seconds(pid), time.monotonic()
        time.sleep(IDLE_SECONDS)
        if cpu_seconds(pid) - cpu > IDLE_SHARE * IDLE_SECONDS:
            continue
        seen = [one_number(binary, folder, statement) for statement in (
            "SELECT count(*) FROM spans", "SELECT coalesce(sum(requests), 0) FROM red_1m",
            "SELECT coalesce(sum(span_count), 0) FROM decisions")]
        if seen != last:
            last, since = seen, (cpu, at)
            continue
        rows, counted, decided = seen
        # Spans that came after their trace's decision are in no decision; then only standing still tells that all is done.
        is_decided = decided == acknowledged or time.monotonic() - since[1] > STILL_SECONDS
        if counted == acknowledged and is_decided:
            return rows, *since
    raise Failure(f"after {seconds_max} s the process is not idle, or the lake is not complete: (kept, counted, decided) is "
                  f"{last}, acknowledged were {acknowledged}")


def files_of(folder, table):
    return [file for file in (folder / "data" / "lake" / "v1" / table).rglob("*.parquet")]


def measure(options, binary, loadgen, rules, kind):
    """One run: its figures by name."""
    with tempfile.TemporaryDirectory(prefix="spanlake-bench-") as made:
        folder = pathlib.Path(made)
        with spanlake(binary, folder, RULES[rules]) as (pid, address):
            before, begun = cpu_seconds(pid), time.monotonic()
            call([loadgen, "--spans", options.spans, "--seed", options.seed, "--connections", options.connections,
                  "--url", f"http://{address}/v1/traces", "--json", folder / "sent.json"] + SETS[kind])
            sent = json.loads((folder / "sent.json").read_text())["sent"]
            if sent["failures"] or sent["io_failures"] or sent["rejected_spans"]:
                raise Failure(f"not everything was acknowledged: {sent}")
            kept, cpu, at = settle(binary, folder, pid, sent["spans"], options.settle)
            span_files = files_of(folder, "spans")
            span_bytes = sum(file.stat().st_size for file in span_files)
            used = cpu - before
            return {
                "rules": rules, "set": kind, "spans": sent["spans"], "kept": kept, "cpu_s": round(used, 2),
                "spans_per_cpu_s": round(sent["spans"] / used), "memory_max_mib": round(memory_max_mib(pid)),
                "bytes_per_kept_span": round(span_bytes / max(kept, 1), 1), "span_files": len(span_files),
                "lake_bytes": sum(file.stat().st_size for file in files_of(folder, "")), "sent_s": sent["wall_s"],
                "settled_s": round(at - begun, 1), "ack_ms_p50": sent["ack_ms_p50"], "ack_ms_p99": sent["ack_ms_p99"],
                "retries": sent["retries"],
            }


COLUMNS = [("rules", "rules"), ("set", "spans"), ("kept", "kept"), ("spans_per_cpu_s", "spans/CPU-s"), ("cpu_s", "CPU s"),
           ("memory_max_mib", "peak MiB"), ("bytes_per_kept_span", "B/kept span"), ("span_files", "files"),
           ("sent_s", "sent in s"), ("settled_s", "idle after s"), ("ack_ms_p50", "ack p50 ms"), ("ack_ms_p99", "ack p99 ms")]


def show(results):
    rows = [[title for _, title in COLUMNS]] + [[str(result[key]) for key, _ in COLUMNS] for result in results]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1, help="of the load")
    parser.add_argument("--sets", default="lean,fat", help="lean: about 450 bytes a span; fat: about 1,600")
    parser.add_argument("--rules", default="seed,everything")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--settle", type=int, default=300, help="give up after so many seconds")
    parser.add_argument("--binary", type=pathlib.Path, help="measure this one instead of building")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here as well")
    options = parser.parse_args()
    chosen = [(rules, kind) for rules in options.rules.split(",") for kind in options.sets.split(",")]
    for rules, kind in chosen:
        if rules not in RULES or kind not in SETS:
            parser.error(f"there are rules {', '.join(RULES)} and sets {', '.join(SETS)}")
    try:
        binary, loadgen = build(options.binary)
        results = []
        for rules, kind in chosen:
            results.append(measure(options, binary, loadgen, rules, kind))
            print(f"{rules} {kind}: {results[-1]['spans_per_cpu_s']:,} spans per CPU-second", file=sys.stderr, flush=True)
    except Failure as failure:
        print(f"could not be measured: {failure}", file=sys.stderr)
        return 2
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
