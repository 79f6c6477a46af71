"""A real `spanlake up` under test, and hand-made OTLP for it: what kills.py and hostile.py share. Standard library only."""

import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time

START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30
READY = b"Spanlake takes OTLP/HTTP at "
ITEMS = {"traces": "spans", "logs": "log records", "metrics": "data points"}
KEEP_EVERYTHING = """receivers: {otlp: {protocols: {http: {}}}}
processors:
  tail_sampling:
    decision_wait: 1s
    policies:
      - {name: everything, type: always_sample}
exporters: {debug: {}}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [tail_sampling], exporters: [debug]}
    metrics: {receivers: [otlp], exporters: [debug]}
    logs: {receivers: [otlp], exporters: [debug]}
spanlake:
  window: 1s
"""


class Failure(Exception):
    """Something could not be run; the text says what."""


# --- OTLP as protobuf, byte by byte --------------------------------------------------------------------------------------

def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A field with a length (bytes, text) or a number as a varint."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def attribute(key, value):
    return field(1, key) + field(2, field(1, value))


def span(trace_id, span_id, name, start=1_000_000, end=2_000_000, more=b""):
    return field(1, trace_id) + field(2, span_id) + field(5, name) + field(6, 2) + fixed64(7, start) + fixed64(8, end) + more


def log_record(body, more=b""):
    return fixed64(1, 1_000_000) + field(2, 9) + field(5, field(1, body)) + more


def data_point(key, value):
    return fixed64(3, 1_000_000) + fixed64(6, 1) + field(7, attribute(key, value))


def counter(name, points):
    return field(1, name) + field(7, b"".join(field(1, point) for point in points) + field(2, 2) + field(3, 1))


def request(items, service="shop", scope=b""):
    """An export request of any signal: spans, log records or metrics of one service."""
    scope = field(1, scope) + b"".join(field(2, item) for item in items)
    return field(1, field(1, field(1, attribute("service.name", service))) + field(2, scope))


def fields_of(data):
    """A message's fields as (number, value), for answers."""
    place, found = 0, []
    while place < len(data):
        key, place = varint_at(data, place)
        if key & 7 == 0:
            value, place = varint_at(data, place)
        elif key & 7 == 2:
            length, place = varint_at(data, place)
            value, place = data[place:place + length], place + length
        else:
            raise ValueError(f"wire type {key & 7}")
        found.append((key >> 3, value))
    return found


def varint_at(data, place):
    value, shift = 0, 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


# --- the process ---------------------------------------------------------------------------------------------------------

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Spanlake:
    """One data folder and the process on it, which may be started and killed many times."""

    def __init__(self, binary, folder, flags=(), user=None):
        self.binary, self.folder, self.data, self.flags, self.user = binary, folder, folder / "data", list(flags), user
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "everything.yaml"
        self.config.write_text(KEEP_EVERYTHING)
        self.port = free_port()
        self.process = None
        self.log_path, self.log_begin = folder / "spanlake.log", 0

    def spawn(self, preexec=None):
        self.log_begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        command = [self.binary, "up", "--listen", f"127.0.0.1:{self.port}", "--data", self.data, "--config", self.config]
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([str(part) for part in command + self.flags], stdout=log, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, preexec_fn=preexec, **self.identity())

    def identity(self):
        return {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}

    def start(self, preexec=None):
        self.spawn(preexec)
        self.wait_until_ready()

    def wait_until_ready(self):
        """Until it has said where it listens: it does so when every role runs."""
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until:
            if READY in self.log_path.read_bytes()[self.log_begin:]:
                return
            if self.process.poll() is not None:
                raise Failure(f"spanlake ended with {self.process.returncode}:\n{self.told()}")
            time.sleep(0.01)
        raise Failure(f"spanlake is not ready after {START_SECONDS_MAX} s:\n{self.told()}")

    def told(self, last=3000):
        return self.log_path.read_text(encoding="utf-8", errors="replace")[-last:]

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"spanlake did not stop within {STOP_SECONDS_MAX} s of SIGTERM") from None
        if code != 0:
            raise Failure(f"spanlake ended with {code} after SIGTERM:\n{self.told()}")

    def call(self, *arguments):
        command = [str(self.binary), *map(str, arguments), "--data", str(self.data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, **self.identity())
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        if "only the first" in done.stderr:
            raise Failure(f"cut: {done.stderr.strip()}")
        return done.stdout

    def sql(self, statement):
        return [json.loads(line) for line in self.call("sql", statement, "--format", "json").split("\n") if line.strip()]

    def status(self):
        return Status(self.call("status"))

    # --- what the system says of the process ---

    def peak_bytes(self):
        """Without the pages of the program's own file, which the system takes back when it likes."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii", errors="replace")
        peak, of_files = (int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) << 10 for name in ("VmHWM", "RssFile"))
        return peak - of_files

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def cpu_seconds(self):
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii", errors="replace")
        user, system = stat.rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Status:
    """`spanlake status`, read back."""

    COLUMNS = ("committed", "kept", "sampled out", "dropped", "pending", "duplicates")

    def __init__(self, text):
        self.text = text
        self.ledger = {signal: self.account(words) for signal, words in ITEMS.items()}
        self.staged = sum(map(int, re.findall(r"(\d+) batches staged", text)))
        self.sealed = sum(map(int, re.findall(r"(\d+) outputs sealed and not archived", text)))
        found = re.search(r"records in quarantine: (\d+)", text)
        self.quarantined = int(found.group(1)) if found else 0
        self.plans_undone = int(re.search(r"(\d+) not carried out", text).group(1))

    def account(self, words):
        line = re.search(rf"^  {words} +((?:\d+ *)+)$", self.text, re.MULTILINE)
        if not line:
            raise Failure(f"no ledger of {words} in:\n{self.text}")
        return dict(zip(self.COLUMNS, map(int, line.group(1).split())))

    def is_settled(self):
        """Whether everything that was read from the stream is in the lake."""
        pending = sum(account["pending"] for account in self.ledger.values())
        return pending == self.staged == self.sealed == self.plans_undone == 0

    def faults(self):
        """Accounts that do not add up."""
        return [f"the ledger of {signal} does not add up: {account}" for signal, account in self.ledger.items()
                if account["committed"] != sum(account[name] for name in self.COLUMNS[1:5])]


def settle(spanlake, seconds_max=120):
    """Waits until the lake has all that was on the stream: three equal answers in a row."""
    until, equal, last = time.monotonic() + seconds_max, 0, None
    while equal < 3:
        if time.monotonic() > until:
            raise Failure(f"not settled after {seconds_max} s:\n{last.text if last else ''}\n{spanlake.told()}")
        time.sleep(0.7)
        now = spanlake.status()
        equal = equal + 1 if now.is_settled() and last is not None and now.ledger == last.ledger else 0
        last = now
    return last
