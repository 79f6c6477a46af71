#!/usr/bin/env python3
"""Everything hostile that we can think of, against a real `spanlake up`: one by one, all at once, and ten times too much.

    tests/ci/hostile.py PATH-OF-SPANLAKE [--only bodies,connections,together,overload] [--seconds 35] [--seed 1]

    bodies       each body of bodies.py gets its defined answer with its reason, within 50 ms of CPU per MB inflated
    connections  each attack of attacks.py for a while; connections end as they must
    together     all of it at once
    overload     ten times what the stream takes: 429 or 503 with Retry-After, and it recovers

In all of them peak memory stays within 64 MiB + 4 x the budget of requests in flight over the idle process, and well-behaved
clients go on: what they were answered 200 for is in the lake once, with the values they sent, and the ledger adds up.

Exit code 0: as promised. 1: not, each fault is named. 2: something could not be run.
"""

import argparse
import http.client
import itertools
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter

from attacks import ATTACKS, UNWANTED
from bodies import all_cases, shown
from clients import Load, compare, doubled
from served import Failure, Spanlake, field, request, settle, span

MIB = 1 << 20
# `ServerLimits::in_flight_bytes_max` is 32 MiB.
PEAK_MAX = 64 * MIB + 4 * 32 * MIB
CPU_SECONDS_PER_MB_MAX = 0.05
# The least of several tries: other roles work meanwhile.
TRIES = 3
# One shard.
TAKES_BYTES_PER_SECOND = MIB
OVERLOAD = 10
OVERLOAD_SECONDS = 15
RECOVERED_SECONDS_MAX = 10


def post(port, path, headers, body, seconds_max=60):
    """Status, text, items refused, Retry-After."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds_max)
    try:
        connection.putrequest("POST", path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        told = answer.read()
    except (OSError, http.client.HTTPException):
        return "closed", "", None, None
    finally:
        connection.close()
    text, rejected = shown(answer.headers.get("content-type", ""), told)
    return answer.status, text, rejected, answer.headers.get("retry-after")


class Watch:
    """Peak memory over the idle process."""

    def __init__(self, spanlake):
        time.sleep(2)
        self.spanlake, self.idle, self.faults = spanlake, spanlake.peak_bytes(), []

    def over_idle(self, name):
        peak = self.spanlake.peak_bytes() - self.idle
        if peak > PEAK_MAX:
            self.faults.append(f"{name}: {peak / MIB:.0f} MiB over the idle process, {PEAK_MAX // MIB} are allowed")
        return peak / MIB


# --- bodies --------------------------------------------------------------------------------------------------------------

def bodies(spanlake, watch, options):
    faults, worst = [], (0, "")
    cases = list(all_cases())
    print(f"    {'body':47} {'sent':>10} {'inflated':>10}  answer                     CPU ms/MB  peak MiB")
    for case in cases:
        spanlake.forget_peak()
        costs = []
        for _ in range(TRIES):
            before = spanlake.cpu_seconds()
            status, text, rejected, _ = post(spanlake.port, case.path, case.headers, case.body)
            costs.append(spanlake.cpu_seconds() - before)
        if status not in case.statuses or case.says not in text or rejected != case.rejected:
            faults.append(f"{case.name}: answered {status} {text!r}, {rejected} refused; expected {case.statuses} with "
                          f"{case.says!r}, {case.rejected} refused")
        # What costs less than a tick of the clock is not charged to a few bytes.
        cost = min(costs) / max(1, case.inflated / 1e6)
        worst = max(worst, (cost, case.name))
        if cost > CPU_SECONDS_PER_MB_MAX:
            faults.append(f"{case.name}: {cost * 1000:.0f} ms of CPU per MB")
        answer = f"{status}" + (f", {rejected} refused" if rejected else "")
        print(f"    {case.name[:47]:47} {len(case.body):10} {case.inflated:10}  {answer:26} {cost * 1000:9.0f} "
              f"{watch.over_idle(case.name):9.0f}", flush=True)
    faults += in_the_lake(spanlake)
    print(f"bodies: {len(cases)} bodies, {len(faults)} with another answer or too dear; dearest {worst[1]!r} with "
          f"{worst[0] * 1000:.0f} ms of CPU per MB", flush=True)
    return faults


def in_the_lake(spanlake):
    """Large requests are there whole; times that no clock shows neither make partitions, nor negative durations."""
    settle(spanlake)
    faults = []
    for what, table, where, rows in [("65,000 spans of 28 bytes", "spans", "name IS NULL OR name = ''", 65_000),
                                     ("one trace of 60,000 errors", "spans", "name = 'e'", 60_000),
                                     ("empty log records", "logs", "body IS NULL OR body = ''", 125_000)]:
        found = int(spanlake.sql(f"SELECT count(*) AS rows FROM {table} WHERE {where}")[0]["rows"])
        if found != rows:
            faults.append(f"{what}: {found} rows in the lake, {rows} were taken")
    rows = spanlake.sql("SELECT count(*) AS rows, min(duration_nano) AS least, count(DISTINCT dt) AS days FROM spans "
                        "WHERE name = 'time'")[0]
    if int(rows["rows"]) != 6 or int(rows["least"]) < 0 or int(rows["days"]) > 2:
        faults.append(f"times at the ends of their range: {rows}")
    return faults


# --- connections ---------------------------------------------------------------------------------------------------------

def connections(spanlake, watch, options):
    faults = []
    for name, attack in ATTACKS.items():
        spanlake.forget_peak()
        before = spanlake.cpu_seconds()
        with Load(spanlake.port, random.Random(options.seed), connections=4, pause=0.5, fresh=2) as load:
            tally = attack(spanlake.port, options.seconds)
        faults += [f"{name}: {fault}" for fault in load.faults]
        ended = ", ".join(f"{count} {how}" for how, count in sorted(tally.items()))
        print(f"    {name:45} {ended}; {spanlake.cpu_seconds() - before:.1f} s of CPU, {watch.over_idle(name):.0f} MiB; "
              f"good clients: {load.requests} requests, the slowest {load.wait_max:.1f} s", flush=True)
        if unwanted := set(tally) & UNWANTED.get(name, set()):
            faults.append(f"{name}: {ended}; there should be none {' or '.join(sorted(unwanted))}")
        if not load.requests:
            faults.append(f"{name}: no good client was answered")
    print(f"connections: {len(ATTACKS)} attacks for {options.seconds} s each, {len(faults)} faults", flush=True)
    return faults


# --- all at once ---------------------------------------------------------------------------------------------------------

def together(spanlake, watch, options):
    spanlake.forget_peak()
    answers, stopping = Counter(), threading.Event()
    cases = list(all_cases())

    def send(seed):
        rng = random.Random(seed)
        while not stopping.is_set():
            case = rng.choice(cases)
            status, text, rejected, retry_after = post(spanlake.port, case.path, case.headers, case.body)
            if status in case.statuses and case.says in text and rejected == case.rejected:
                answers["as alone"] += 1
            elif (status in (429, 503) and retry_after) or status == "closed":
                # Under load this is an answer to everything: come again.
                answers[str(status)] += 1
            else:
                answers[f"{case.name}: {status} {text}"] += 1

    senders = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    attackers = [threading.Thread(target=attack, args=(spanlake.port, options.seconds)) for attack in ATTACKS.values()]
    with Load(spanlake.port, random.Random(options.seed), connections=4, pause=0.5, fresh=2) as load:
        for thread in senders + attackers:
            thread.start()
        for thread in attackers:
            thread.join()
        stopping.set()
        for thread in senders:
            thread.join()
        # All of it is over: a good client is answered at once.
        load.next_answer(RECOVERED_SECONDS_MAX)
    allowed = ("as alone", "429", "503", "closed")
    faults = load.faults + [f"{kind} ({count} times)" for kind, count in answers.items() if kind not in allowed]
    told = ", ".join(f"{answers[kind]} {kind}" for kind in allowed if answers[kind])
    verdict, found = judge("together", spanlake, load)
    print(f"together: {len(ATTACKS)} attacks and bodies for {options.seconds} s; bodies answered: {told}; "
          f"{watch.over_idle('together'):.0f} MiB over idle; {verdict}", flush=True)
    return faults + found


def judge(name, spanlake, load):
    """The good clients' data, and the ledger."""
    status = settle(spanlake, 240)
    compared = compare(spanlake, load)
    faults = compared.faults + status.faults() + doubled(spanlake)
    if not load.requests:
        faults.append("no good client was answered")
    return (f"good clients: {load.requests} requests with {compared.acknowledged} items, {compared.lost} lost, "
            f"{compared.twice} twice, the slowest {load.wait_max:.1f} s"), faults


# --- overload ------------------------------------------------------------------------------------------------------------

def overload(spanlake, watch, options):
    """Spans with values that do not compress, as fast as they can be sent."""
    spanlake.forget_peak()
    taken, refused, faults, lock = [], Counter(), [], threading.Lock()
    size, per_request = 2_000, 100
    noise = [field(9, field(1, "noise") + field(2, field(7, os.urandom(size)))) for _ in range(per_request)]
    begun, numbers = time.monotonic(), itertools.count(1)

    def send():
        connection = http.client.HTTPConnection("127.0.0.1", spanlake.port, timeout=60)
        while time.monotonic() < begun + OVERLOAD_SECONDS:
            with lock:
                number = next(numbers)
            items = [span(os.urandom(16), number.to_bytes(4, "big") + at.to_bytes(4, "big"), "much", more=more)
                     for at, more in enumerate(noise)]
            connection.request("POST", "/v1/traces", request(items, "flood"), {"content-type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            with lock:
                if answer.status == 200:
                    taken.append(number)
                else:
                    refused[answer.status] += 1
                    if answer.status not in (429, 503) or not answer.headers.get("retry-after", "").isdigit():
                        faults.append(f"answered {answer.status} with retry-after {answer.headers.get('retry-after')}")
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(16)]
    with Load(spanlake.port, random.Random(options.seed), connections=2, pause=0.5) as load:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
        load.next_answer(RECOVERED_SECONDS_MAX)
    verdict, found = judge("overload", spanlake, load)
    rows = spanlake.sql("SELECT substr(span_id, 1, 8) AS number, count(*) AS rows, count(DISTINCT span_id) AS spans FROM spans "
                        "WHERE service_name = 'flood' GROUP BY 1")
    there = {int(row["number"], 16): (int(row["rows"]), int(row["spans"])) for row in rows}
    short = [number for number in taken if there.get(number) != (per_request, per_request)]
    if short:
        found.append(f"{len(short)} of {len(taken)} requests answered 200 are not whole in the lake, or doubled")
    if any(rows != spans for rows, spans in there.values()):
        found.append("spans of refused requests are there twice")
    rate = (len(taken) + sum(refused.values())) * size * per_request / seconds / TAKES_BYTES_PER_SECOND
    if not refused or rate < OVERLOAD:
        found.append(f"{rate:.1f} times what the stream takes: this was no overload")
    files = len(list(spanlake.data.glob("lake/v1/spans/**/*.parquet")))
    if files * 5 > len(taken) + load.requests:
        found.append(f"{files} files of spans for {len(taken) + load.requests} requests")
    print(f"overload: {rate:.1f} times what the stream takes for {seconds:.0f} s; {len(taken)} requests taken, "
          f"all whole: {not short}; refused {dict(refused)}; {files} files of spans; "
          f"{watch.over_idle('overload'):.0f} MiB over idle; {verdict}", flush=True)
    return faults[:3] + found


PARTS = {"bodies": bodies, "connections": connections, "together": together, "overload": overload}


def run(name, options, folder):
    spanlake = Spanlake(options.spanlake.resolve(), folder / name, ["--shards", "1"] if name == "overload" else [])
    try:
        spanlake.start()
        watch = Watch(spanlake)
        faults = PARTS[name](spanlake, watch, options) + watch.faults
        spanlake.stop()
        if "panic" in spanlake.told(1 << 24):
            faults.append("a panic in the log")
        return [f"{name}: {fault}" for fault in faults]
    finally:
        if spanlake.is_up():
            spanlake.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spanlake", type=pathlib.Path, help="the binary")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--seconds", type=float, default=35, help="of each attack; bodies are given up after 30")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="spanlake-hostile-") as made:
        try:
            faults = [fault for part in parts for fault in run(part, options, pathlib.Path(made))]
        except (Failure, OSError, subprocess.SubprocessError) as failure:
            print(f"could not be run: {failure}", file=sys.stderr)
            return 2
    for fault in faults:
        print(f"    {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
