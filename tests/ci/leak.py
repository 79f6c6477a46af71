#!/usr/bin/env python3
"""No secret at rest, with the real program: planted secrets are only in the stream's own folder, and only for a while.

    tests/ci/leak.py PATH-OF-SPANLAKE FOLDER

Starts `spanlake up` at its most talkative log level in FOLDER, which must not exist, sends planted OTLP/JSON and requests that
are refused, kills the program in between with SIGKILL, starts it again and lets it finish. All the while every file outside
`stream/` is looked at: raw, inflated, and Parquet by page and by value. So are all answers, all logs, and what `status` prints.
Exit code 0: nothing found. 1: a leak, or the stream's files are not its owner's alone, or stay. 2: it could not be run.
Needs the packages of requirements.txt.
"""

import base64
import http.client
import itertools
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.parse

import pyarrow.parquet
import zstandard

MARK = b"lk9zq"
CARD = "401288881"
# Of the base64 of a mark, what does not depend on the bytes around it, for each way that it may begin.
CORES = [base64.b64encode(b"?" * lead + b"Lk9Zq0")[begin:(lead + 6) * 8 // 6] for lead, begin in ((0, 0), (1, 2), (2, 3))]
# Seconds from the last answer to a kill: before a batch, within it, while a window closes, while files are written.
KILLS_S = (0.1, 0.55, 0.8, 11)
# What small payloads of the stream are compressed with.
DICTIONARY = zstandard.ZstdCompressionDict((pathlib.Path(__file__).resolve().parents[2] / "shared/pipeline/dictionary/1.zdict").read_bytes())
FRAME = b"\x28\xb5\x2f\xfd"
START_LIMIT_S, DRAIN_LIMIT_S, CONSUMED_LIMIT_S = 60, 90, 150
URL = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Failure(Exception):
    """It could not be run; the text says what."""


# --- what is planted -----------------------------------------------------------------------------------------------------

def card(serial):
    body = f"{CARD}{serial % 1_000_000:06}"
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(reversed(body)))
    digits = body + str(-total % 10)
    return " ".join(digits[at:at + 4] for at in range(0, 16, 4)) if serial % 2 else digits


def planted():
    """Texts with secrets, without an end; no two alike."""
    for serial in itertools.count(1):
        mark = f"Lk9Zq{serial:06}k7"
        encoded = urllib.parse.quote(f"/cb?token={mark}&x=1", safe="")
        yield [
            f"paid by {card(serial)} today",
            f"password={mark}",
            f"https://app:{mark}@db/shop?access_token={mark}&b=1",
            f"https://shop/in?next={encoded}",
            json.dumps({"user": "ann", "inner": json.dumps({"api_key": mark, "n": [1]})}),
            f"sent Bearer {mark}.t0 on",
            f"x eyJhbGciOiJIUzI1NiJ9.eyJ{mark}.{mark} x",
            f"mail {mark}@example.org",
            "use AKIA" + f"LK9ZQ{serial:011}",
        ]


def attributes(texts):
    listed = [{"key": f"note.{at}", "value": {"stringValue": text}} for at, text in enumerate(texts)]
    nested = {"kvlistValue": {"values": [{"key": texts[1], "value": {"arrayValue": {"values": [{"stringValue": texts[0]}]}}}]}}
    # Bytes that are no text, but for the secret in them.
    binary = base64.b64encode(b"\xff\xfe " + texts[1].encode() + b" \x80").decode()
    listed.append({"key": "note.bytes", "value": {"bytesValue": binary}})
    return [*listed, {"key": texts[1], "value": nested}, {"key": "db.password", "value": {"stringValue": texts[1][9:]}}]


def requests(texts, number):
    """A request of each signal; every text in them is planted."""
    a, trace, now = texts[number % len(texts)], f"{number + 1:032x}", str(time.time_ns())
    resource = {"attributes": [*attributes(texts), {"key": "service.name", "value": {"stringValue": a}}]}
    scope = {"name": a, "version": texts[1], "attributes": attributes(texts)}
    span = {"traceId": trace, "spanId": f"{number + 1:016x}", "name": a, "traceState": texts[1], "startTimeUnixNano": now,
            "endTimeUnixNano": now, "attributes": attributes(texts), "status": {"code": 2, "message": a},
            "events": [{"timeUnixNano": now, "name": a, "attributes": attributes(texts)}],
            "links": [{"traceId": trace, "spanId": "0000000000000001", "traceState": texts[1], "attributes": attributes(texts)}]}
    refused = {**span, "traceId": "00" * 16}
    exemplar = {"timeUnixNano": now, "asDouble": 1.5, "filteredAttributes": attributes(texts)}
    point = {"timeUnixNano": now, "asInt": "7", "attributes": attributes(texts), "exemplars": [exemplar]}
    metric = {"name": a, "description": texts[1], "unit": a, "gauge": {"dataPoints": [point]}}
    log = {"timeUnixNano": now, "body": {"stringValue": a}, "severityText": texts[1], "attributes": attributes(texts)}
    return [
        ("/v1/traces", {"resourceSpans": [{"resource": resource, "schemaUrl": a,
                                           "scopeSpans": [{"scope": scope, "schemaUrl": a, "spans": [span, refused]}]}]}),
        ("/v1/logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [log]}]}]}),
        ("/v1/metrics", {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": scope, "metrics": [metric]}]}]}),
    ]


# --- looking for it ------------------------------------------------------------------------------------------------------

def find(data):
    """What was planted, if it is in these bytes as they are."""
    at = max([data.lower().find(MARK), *(data.find(core) for core in CORES)])
    if at < 0:
        found = re.search(rb"[ -]?".join(re.escape(digit.encode()) for digit in CARD), data)
        at = found.start() if found else -1
    return None if at < 0 else data[max(at - 60, 0):at + 40]


def find_inflated(data, looked):
    """The same for everything in them that is compressed."""
    at = data.find(FRAME)
    while at >= 0:
        for dictionary in (None, DICTIONARY):
            try:
                inflated = zstandard.ZstdDecompressor(dict_data=dictionary).decompressobj().decompress(data[at:])
            except zstandard.ZstdError:
                inflated = b""
            looked["frames"] += bool(inflated)
            found = find(inflated) or find_inflated(inflated, looked)
            if found:
                return found
        at = data.find(FRAME, at + 1)
    return None


def find_rows(path, looked):
    rows = pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
    looked["rows"] += len(rows)
    return next(filter(None, (find(repr(row).encode()) for row in rows)), None)


class Scan:
    """Looks at every file of a folder, at new ones only."""

    def __init__(self, folder):
        self.folder, self.known = folder, {}
        self.looked = {"files": 0, "frames": 0, "rows": 0}
        self.leaks, self.raw = [], 0

    def run(self):
        for path in sorted(self.folder.rglob("*")):
            try:
                status = path.stat()
                if stat.S_ISDIR(status.st_mode) or self.known.get(path) == (status.st_mtime_ns, status.st_size):
                    continue
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            self.known[path] = (status.st_mtime_ns, status.st_size)
            name = path.relative_to(self.folder)
            if name.parts[0] == "stream":
                self.raw += bool(find(data) or find_inflated(data, {"frames": 0}))
                mode = stat.S_IMODE(status.st_mode)
                if mode != 0o600:
                    self.leaks.append(f"{name} has mode {mode:o}: others can read it")
                continue
            self.looked["files"] += 1
            is_table = path.suffix == ".parquet"
            found = find(str(name).encode()) or find(data) or find_inflated(data, self.looked)
            found = found or (is_table and find_rows(path, self.looked))
            if found:
                self.leaks.append(f"{name}: {found!r}")
        mode = stat.S_IMODE((self.folder / "stream").stat().st_mode)
        if mode != 0o700:
            self.leaks.append(f"the stream's folder has mode {mode:o}")

    def text(self, what, data):
        found = find(data)
        if found:
            self.leaks.append(f"{what}: {found!r}")


# --- the program ---------------------------------------------------------------------------------------------------------

class Program:
    def __init__(self, binary, data, log):
        self.log = log
        environment = {**os.environ, "SPANLAKE_LOG": "trace"}
        command = [binary, "up", "--listen", "127.0.0.1:0", "--data", str(data)]
        with log.open("ab") as output:
            begin = output.tell()
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
        until = time.monotonic() + START_LIMIT_S
        while True:
            found = URL.search(log.read_bytes()[begin:].decode(errors="replace"))
            if found:
                self.port = int(found[1])
                return
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                raise Failure(f"`{' '.join(command)}` did not start; see {log}")
            time.sleep(0.05)

    def send(self, path, body, headers=(), method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, {"content-type": "application/json", **dict(headers)})
        answer = connection.getresponse()
        shown = repr(answer.getheaders()).encode() + answer.read()
        connection.close()
        return answer.status, shown

    def stop(self, how):
        self.process.send_signal(how)
        return self.process.wait(timeout=60)


def send_some(program, scan, texts, first, count):
    for number in range(first, first + count):
        for path, body in requests(next(texts), number):
            status, shown = program.send(path, json.dumps(body))
            if status not in (200, 429):
                raise Failure(f"{path} was answered {status}: {shown!r}")
            scan.text(f"the answer of {path}", shown)


def send_bad(program, scan, texts):
    """Requests that are refused; what they hold must not be repeated anywhere."""
    for wanted, method, path, headers in [
        (404, "POST", "/{}", {}), (404, "POST", "/v1/traces/{}?{}", {}), (405, "LK9ZQ7", "/v1/traces", {}),
        (400, "POST", "/v1/traces?{}", {}), (400, "POST", "/v1/logs", {"content-encoding": "gzip"}),
        (400, "POST", "/v1/logs", {"content-type": "application/x-protobuf"}), (415, "POST", "/v1/logs", {"content-type": "{}"}),
        (415, "POST", "/v1/logs", {"content-encoding": "{}"}), (413, "POST", "/v1/logs", {"x-huge": "{}"}),
    ]:
        text = next(texts)[1]
        body = text.encode() * (400_000 if wanted == 413 else 1)
        headers = {name: value.replace("{}", text) for name, value in headers.items()}
        try:
            status, shown = program.send(path.replace("{}", text), body, headers, method)
        except (BrokenPipeError, ConnectionResetError):
            continue
        if status != wanted:
            raise Failure(f"{method} {path} was answered {status}, not {wanted}: {shown!r}")
        scan.text(f"the answer {status}", shown)


def wait(what, limit_s, is_done):
    until = time.monotonic() + limit_s
    while not is_done():
        if time.monotonic() > until:
            raise Failure(f"{what}: not within {limit_s} s")
        time.sleep(0.5)


def rows_in_the_lake(data):
    return sum(pyarrow.parquet.read_metadata(path).num_rows for path in (data / "lake/v1/spans").rglob("*.parquet"))


def streamed(data):
    """Whether a planted secret is still in the stream's folder."""
    scan = Scan(data)
    scan.run()
    return scan.raw > 0


def check(binary, folder):
    folder.mkdir(parents=True)
    data, log = folder / "data", folder / "up.log"
    texts, scan, sent = planted(), Scan(data), 0
    program = Program(binary, data, log)
    try:
        for seconds in KILLS_S:
            send_some(program, scan, texts, sent, 15)
            sent += 15
            send_bad(program, scan, texts)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                scan.run()
            program.stop(signal.SIGKILL)
            scan.run()
            program = Program(binary, data, log)
        send_some(program, scan, texts, sent, 15)
        sent += 15

        def drained():
            scan.run()
            return rows_in_the_lake(data) >= sent

        wait(f"{sent} spans in the lake", DRAIN_LIMIT_S, drained)
        shown = subprocess.run([binary, "status", "--data", str(data)], capture_output=True, timeout=60)
        scan.text("`spanlake status`", shown.stdout + shown.stderr)
        wait("consumed records removed from the stream's folder", CONSUMED_LIMIT_S, lambda: not streamed(data))
        program.stop(signal.SIGTERM)
    finally:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()
    scan.run()
    scan.text("the log", log.read_bytes())
    if scan.raw == 0 or 0 in scan.looked.values():
        raise Failure(f"nothing was searched: {scan.looked}, {scan.raw} files of the stream with secrets")
    print(f"{scan.looked['files']} files, {scan.looked['frames']} compressed blocks, {scan.looked['rows']} rows, "
          f"{log.stat().st_size} bytes of log; secrets were in {scan.raw} states of the stream's own files")
    return scan.leaks


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        leaks = check(str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]))
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        print(f"could not be run: {failure}", file=sys.stderr)
        return 2
    for leak in leaks[:20]:
        print(f"leak: {leak}")
    print(f"{len(leaks)} leaks" if leaks else "no secret outside the stream's own files, and none there in the end")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
