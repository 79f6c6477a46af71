"""Well-behaved clients of a real `spanlake up`, which remember what was answered, and the comparison with the lake.

Each item has a number of its own: a span's id, a log's body and an attribute of a data point are that number as 16 digits.
"""

import gzip
import http.client
import json
import random
import threading
import time
from collections import Counter

from served import counter, data_point, field, log_record, request, span

CONNECTIONS = 4
ITEMS_MAX = 24
PAUSE_SECONDS_MAX = 0.06
GIVE_UP_PERCENT = 10
# Rows of one look at a table, well under what `spanlake sql` shows.
SLICE = 50_000
NUMBER = {"traces": "span_id", "logs": "body", "metrics": "attributes['id']"}
TABLE = {"traces": "spans", "logs": "logs", "metrics": "metrics_number"}
OURS = "service_name = 'shop'"


def digits(number):
    return f"{number:016x}"


def trace_of(number):
    """Traces of about 64 items, spread over requests and connections."""
    return random.Random(number // 64).randbytes(16)


def protobuf(signal, numbers):
    if signal == "traces":
        return request([span(trace_of(each), bytes.fromhex(digits(each)), f"op {digits(each)}") for each in numbers])
    if signal == "logs":
        return request([log_record(digits(each), field(9, trace_of(each))) for each in numbers])
    return request([counter("orders", [data_point("id", digits(each)) for each in numbers])])


def as_json(signal, numbers):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    if signal == "traces":
        items = [{"traceId": trace_of(each).hex(), "spanId": digits(each), "name": f"op {digits(each)}", "kind": 2,
                  "startTimeUnixNano": "1000000", "endTimeUnixNano": "2000000"} for each in numbers]
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": items}]}]}
    elif signal == "logs":
        items = [{"timeUnixNano": "1", "body": {"stringValue": digits(each)}, "traceId": trace_of(each).hex()}
                 for each in numbers]
        body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": items}]}]}
    else:
        points = [{"timeUnixNano": "1", "asInt": "1", "attributes": [{"key": "id", "value": {"stringValue": digits(each)}}]}
                  for each in numbers]
        metric = {"name": "orders", "sum": {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": True}}
        body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}
    return json.dumps(body).encode()


class Load:
    """Clients on threads of their own; used as a context, which ends when every request has been answered or given up."""

    def __init__(self, port, rng, connections=CONNECTIONS, pause=PAUSE_SECONDS_MAX, fresh=0):
        """`fresh`: so many of the clients make a new connection for each request."""
        self.port, self.pause = port, pause
        self.lock = threading.Lock()
        self.answered = threading.Condition(self.lock)
        self.number = 0
        # (signal, first number, how many), for requests answered 200 and for those that were given up.
        self.taken, self.lost = [], []
        self.refusals, self.faults = Counter(), []
        self.wait_max = 0.0
        self.stopping, self.paused = threading.Event(), threading.Event()
        seeds = [rng.randrange(1 << 32) for _ in range(connections)]
        self.threads = [threading.Thread(target=self.client, args=(random.Random(seed), at < fresh), daemon=True)
                        for at, seed in enumerate(seeds)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.paused.clear()
        for thread in self.threads:
            thread.join(60)
        if any(thread.is_alive() for thread in self.threads):
            self.faults.append("a client got no answer within 60 s of the end")

    @property
    def requests(self):
        return len(self.taken)

    @property
    def given_up(self):
        return len(self.lost)

    def next_answer(self, seconds_max):
        with self.answered:
            now = len(self.taken)
            if not self.answered.wait_for(lambda: len(self.taken) > now, seconds_max):
                self.faults.append(f"no request was answered 200 for {seconds_max} s")

    def wait_for_refusals(self, count, seconds_max):
        """Until this many more requests were refused."""
        wanted = self.refusals.total() + count if hasattr(Counter, "total") else sum(self.refusals.values()) + count
        until = time.monotonic() + seconds_max
        while sum(self.refusals.values()) < wanted:
            if time.monotonic() > until:
                self.faults.append(f"not {count} requests were refused within {seconds_max} s: {dict(self.refusals)}")
                return
            time.sleep(0.02)

    def burst(self, count):
        """Lets every client but this one rest, and sends requests that are all answered."""
        self.paused.set()
        time.sleep(1.5)
        rng = random.Random(self.number)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for _ in range(count):
            self.send(connection, rng, may_give_up=False)
        connection.close()

    def client(self, rng, is_fresh):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.stopping.is_set():
            if self.paused.is_set():
                time.sleep(0.05)
                continue
            self.send(connection, rng, may_give_up=True)
            if is_fresh:
                connection.close()
            time.sleep(rng.uniform(0, self.pause))
        connection.close()

    def send(self, connection, rng, may_give_up):
        """One request, again and again until it is answered 200 or given up."""
        signal, count = rng.choice(["traces", "logs", "metrics"]), rng.randrange(1, ITEMS_MAX)
        with self.lock:
            first, self.number = self.number + 1, self.number + count
        numbers = range(first, first + count)
        kind, body = ("json", as_json(signal, numbers)) if rng.randrange(4) == 0 else ("x-protobuf", protobuf(signal, numbers))
        headers = {"content-type": f"application/{kind}"}
        if rng.randrange(2):
            headers["content-encoding"], body = "gzip", gzip.compress(body)
        begun = time.monotonic()
        while True:
            outcome = self.try_once(connection, f"/v1/{signal}", body, headers)
            if outcome == 200:
                with self.answered:
                    self.taken.append((signal, first, count))
                    self.wait_max = max(self.wait_max, time.monotonic() - begun)
                    self.answered.notify_all()
                return
            if may_give_up and (outcome == "unknown" and rng.randrange(100) < GIVE_UP_PERCENT or self.is_over(begun)):
                with self.lock:
                    self.lost.append((signal, first, count))
                return

    def is_over(self, begun):
        return self.stopping.is_set() and time.monotonic() - begun > 20

    def try_once(self, connection, path, body, headers):
        """The status; "refused" if the process was not there, "unknown" if the answer was lost."""
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            time.sleep(0.02)
            return "refused"
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return "unknown"
        if answer.status == 200:
            if told not in (b"", b"{}"):
                self.faults.append(f"items were refused: {told!r}")
            return 200
        with self.lock:
            self.refusals[answer.status] += 1
        if answer.status not in (429, 503) or not answer.headers.get("retry-after", "").isdigit():
            self.faults.append(f"answered {answer.status}, retry-after {answer.headers.get('retry-after')}: {told[:200]!r}")
        time.sleep(0.1)
        return answer.status


class Compared:
    """What was sent, against what the lake has."""

    def __init__(self):
        self.acknowledged = self.unanswered = self.lost = self.twice = self.taken = 0
        self.rows, self.faults = Counter(), []


def in_the_lake(spanlake, signal, numbers_end):
    """How often each number is in a table."""
    found = Counter()
    for first in range(0, numbers_end + 1, SLICE):
        column = NUMBER[signal]
        between = f"{column} >= '{digits(first)}' AND {column} < '{digits(first + SLICE)}'"
        where = f"{OURS} AND {between}"
        for row in spanlake.sql(f"SELECT {column} AS number, count(*) AS times FROM {TABLE[signal]} WHERE {where} GROUP BY 1"):
            found[int(row["number"], 16)] += int(row["times"])
    return found


def compare(spanlake, load, lost_max=0):
    """`lost_max`: that many records of the stream are known to be damaged, each of which holds items of one request."""
    result = Compared()
    for signal, table in TABLE.items():
        there = in_the_lake(spanlake, signal, load.number)
        result.rows[signal] = int(spanlake.sql(f"SELECT count(*) AS rows FROM {table} WHERE {OURS}")[0]["rows"])
        taken = [(first, count) for kind, first, count in load.taken if kind == signal]
        unknown = {each for kind, first, count in load.lost if kind == signal for each in range(first, first + count)}
        missing = [[each for each in range(first, first + count) if not there[each]] for first, count in taken]
        hurt = [numbers for numbers in missing if numbers]
        twice = [digits(each) for each, times in there.items() if times > 1]
        known = {each for first, count in taken for each in range(first, first + count)}
        strangers = [digits(each) for each in there if each not in known and each not in unknown]
        result.acknowledged += len(known)
        result.unanswered += len(unknown)
        result.taken += sum(1 for each in unknown if there[each])
        result.lost += sum(map(len, hurt))
        result.twice += len(twice)
        lost_max -= len(hurt)
        if lost_max < 0:
            result.faults.append(f"{table}: {sum(map(len, hurt))} acknowledged items are lost, such as {digits(hurt[0][0])}")
        if twice:
            result.faults.append(f"{table}: {len(twice)} items are there more than once, such as {twice[0]}")
        if strangers or result.rows[signal] != sum(there.values()):
            result.faults.append(f"{table}: {result.rows[signal]} rows, {sum(there.values())} of them known, {strangers[:3]}")
    wrong = spanlake.sql(f"SELECT count(*) AS wrong FROM spans WHERE {OURS} AND name <> 'op ' || span_id")
    if int(wrong[0]["wrong"]):
        result.faults.append(f"{wrong[0]['wrong']} spans have another name than was sent")
    return result


def doubled(spanlake):
    """What a reader would see twice right now."""
    faults = []
    for signal, table in TABLE.items():
        rows = spanlake.sql(f"SELECT count(*) AS rows, count(DISTINCT {NUMBER[signal]}) AS items FROM {table} WHERE {OURS}")[0]
        if rows["rows"] != rows["items"]:
            faults.append(f"{table}: a reader sees {rows['rows']} rows of {rows['items']} items")
    return faults
