"""The bill of a month, from prices, measurements and what the template deploys."""

import dataclasses
import math

from . import deployed
from .prices import SECONDS, WAITS_MS, gb_seconds, price

# A shard takes so much; it is planned for half of it.
SHARD_BYTES, SHARD_RECORDS, SHARD_SHARE = 1e6, 1_000, 0.5
UNIT_BYTES = 25_600
EVENT_BYTES_MAX = 6e6
# Of shared/pipeline: raw bytes of a staged batch, of a sealed output, of a lake's file set; seconds of a window.
BATCH_RAW_BYTES, SEAL_RAW_BYTES, FILE_RAW_BYTES, WINDOW_S = 16 << 20, 8 << 20, 64 << 20, 10
RAW_BYTES = {"lean": 453, "fat": 1_591}
# Beside its data, a record of Lambda's event: names, numbers and dates.
EVENT_RECORD_BYTES = 560
# Objects that a call of S3 deletes.
DELETES_MAX = 1_000
DAY = 86_400
WRITES = ("put", "put, refused", "swap", "swap, refused")


@dataclasses.dataclass(frozen=True)
class Load:
    """What is sent, and what changes about the rest."""

    rate: float = 100_000
    spans_per_request: int = 512
    spans_per_trace: float = 0
    kept: float = 0.20
    set: str = "lean"
    collector: bool = False
    shards: int = 0
    window_s: int = deployed.BATCHING_S
    cpu: float = 1.0
    waits: float = 1.0
    grouper: str = ""
    retention_hours: int = deployed.RETENTION_HOURS


def line(points, at):
    """Between measured points by straight lines of the logarithms; beyond them, the nearest."""
    points = sorted(points)
    if at <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in zip(points, points[1:]):
        if at <= right:
            part = math.log(at / left) / math.log(right / left)
            return math.exp(math.log(low) + part * math.log(high / low))
    return points[-1][1]


class Records:
    """What a request is cut into, from what was measured of the same kind."""

    def __init__(self, load, measured):
        found = measured["records"][f"{'collector' if load.collector else 'sdk'} {load.set}"]
        spans, requests = found["spans"], found["requests"]
        self.curve = [(spans / row["records"], row["bytes"] / spans) for row in found["rows"]]
        most = found["rows"][-1]
        share = most["records"] / requests / most["shards"]
        groups = math.log(1 - share) / math.log(1 - 1 / most["shards"])
        self.spans_per_trace = load.spans_per_trace or spans / requests / groups
        self.traces = max(load.spans_per_request / self.spans_per_trace, 1.0)
        self.spans = load.spans_per_request
        # However few shards there are, a record holds so many spans at most.
        collector = measured["records"][f"collector {load.set}"]
        self.record_spans_max = collector["spans"] / collector["rows"][0]["records"]

    def of_request(self, shards):
        """Records, bytes and PUT units of a request."""
        records = shards * (1 - (1 - 1 / shards) ** self.traces)
        records = max(records, self.spans / self.record_spans_max)
        size = self.spans * line(self.curve, self.spans / records)
        each = size / records / UNIT_BYTES
        return records, size, records * (1 if each <= 0.9 else each + 0.5)


def shards_for(load, records):
    """The fewest shards that are half full: more of them make more and smaller records."""
    requests = load.rate / load.spans_per_request
    beyond = range(deployed.SHARDS[-1] + 32, 4_097, 32)
    for shards in (*deployed.SHARDS, *beyond):
        count, size, _ = records.of_request(shards)
        if max(requests * size / SHARD_BYTES, requests * count / SHARD_RECORDS) / shards <= SHARD_SHARE:
            return shards
    raise ValueError("no number of shards takes this: send larger requests")


def calls(play, who, what, prefix=None):
    """Calls for a shard and minute."""
    found = [
        row["calls"] for row in play["calls"] if row["who"] == who and row["what"] in what and prefix in (None, row["prefix"])
    ]
    return sum(found) / play["minutes"] / play["shards"]


def written(play, who, prefix):
    """Bytes written for a minute."""
    return (
        sum(row["bytes"] for row in play["calls"] if (row["who"], row["what"], row["prefix"]) == (who, "put", prefix))
        / play["minutes"]
    )


class Bill:
    """Lines in USD a month, and what they come from."""

    def __init__(self, load, measured):
        self.load, self.measured = load, measured
        self.lines, self.facts = {}, {}
        self.spans = load.rate * SECONDS
        self.requests = load.rate / load.spans_per_request
        records = Records(load, measured)
        self.shards = load.shards or shards_for(load, records)
        self.records, self.bytes, self.units = records.of_request(self.shards)
        self.facts.update(
            shards=self.shards,
            spans_per_trace=records.spans_per_trace,
            requests_s=self.requests,
            records_per_request=self.records,
            record_bytes=self.bytes / self.records,
            bytes_per_span=self.bytes / load.spans_per_request,
            shard_share=self.requests * self.bytes / SHARD_BYTES / self.shards,
        )
        self._ingest()
        self._stream()
        self._grouper()
        self._archiver()
        self._state()
        self._lake()
        self._watch()

    @property
    def total(self):
        return sum(self.lines.values())

    @property
    def per_million(self):
        return self.total / self.spans * 1e6

    def wait(self, name):
        return WAITS_MS[name] / 1000 * self.load.waits

    def stage(self, rules, name):
        return self.measured["stages"][f"{self.load.set} {rules}"][name] / 1e9 * self.load.cpu

    def between(self, name):
        """CPU of a span at this share of kept ones, from two sets of rules."""
        low, high = self.stage("fifth", name), self.stage("everything", name)
        return low + (high - low) * (self.load.kept - self.kept_of("fifth")) / (1 - self.kept_of("fifth"))

    def kept_of(self, rules):
        if rules == "everything":
            return 1.0
        play = self.measured["plays"]["one"]
        return play["kept"] / play["committed"]

    def compute(self, function, seconds_per_second):
        amount = seconds_per_second * SECONDS * deployed.gb(function)
        self.facts[f"{function}_busy"] = seconds_per_second
        self.gb_s = getattr(self, "gb_s", 0.0)
        self.lines[f"{function}: compute"] = gb_seconds(self.gb_s + amount) - gb_seconds(self.gb_s)
        self.gb_s += amount

    def _ingest(self):
        load, kind = self.load, self.load.set
        found = {shards: self.measured["program"][f"{kind} {shards}"] for shards in (1, 32, 128)}
        of_records = self.measured["records"][f"sdk {kind}"]
        spans = of_records["spans"] / of_records["requests"]
        rows = {row["shards"]: row["records"] / of_records["requests"] for row in of_records["rows"]}
        refused = found[1]["refused_us"]
        of_record = (found[128]["accepted_us"] - found[1]["accepted_us"]) / (rows[128] - rows[1])
        of_span = (found[1]["accepted_us"] - refused - of_record * rows[1]) / spans
        cpu = (refused + of_record * self.records + of_span * load.spans_per_request) / 1e6 * load.cpu
        duration = math.ceil(1000 * (cpu / deployed.vcpus("ingest") + self.wait("put_records"))) / 1000
        self.facts.update(ingest_cpu_ms=cpu * 1000, ingest_ms=duration * 1000)
        self.lines["ingest: requests"] = self.requests * SECONDS * price("lambda_request")
        self.compute("ingest", self.requests * duration)

    def _stream(self):
        self.lines["stream: shards"] = self.shards * SECONDS / 3600 * price("shard_hour")
        if self.load.retention_hours > 24:
            self.lines["stream: records kept for 48 hours"] = self.shards * SECONDS / 3600 * price("shard_retention_hour")
        heartbeats = self.shards / 60 / deployed.ARCHIVE_MINUTES
        self.lines["stream: PUT units"] = (self.requests * self.units + heartbeats) * SECONDS * price("put_unit")

    def play(self):
        """The play whose grouper asked for what this one asks for. More shards have more environments."""
        played = {1: "one", 64: "any of 8"}
        name = self.load.grouper or next((name for most, name in played.items() if self.shards <= most), "new")
        self.facts["grouper_play"] = name
        return self.measured["plays"][name]

    def _grouper(self):
        load, play = self.load, self.play()
        windows = 60 / WINDOW_S
        event_bytes = (self.requests * self.bytes * 4 / 3 + self.requests * self.records * EVENT_RECORD_BYTES) / self.shards
        period = min(load.window_s + 0.3, EVENT_BYTES_MAX / event_bytes)
        batches = 60 / period
        ratio = batches / (play["batches"] / play["minutes"] / play["shards"])
        raw = load.rate / self.shards * RAW_BYTES[load.set]
        # A batch whose raw bytes are too many is staged in pieces, and a window whose kept ones are, is closed in parts.
        pieces = max(math.ceil(raw * period / BATCH_RAW_BYTES) - 1, 0) * batches
        parts = max(math.ceil(raw * WINDOW_S * load.kept / SEAL_RAW_BYTES) - 1, 0) * windows
        staged = windows + (calls(play, "grouper", ("put",), "staged") - windows) * ratio + pieces
        closed = sum(calls(play, "grouper", ("put",), prefix) for prefix in ("sealed", "decisions", "seen")) + 2 * parts
        swaps = (
            2 * windows + (calls(play, "grouper", ("swap", "swap, refused"), "manifest") - 2 * windows) * ratio + pieces + parts
        )
        gets = calls(play, "grouper", ("get", "get, not there")) * ratio
        waits = (staged + closed + swaps) * self.wait("s3_put") + gets * self.wait("s3_get")
        self.facts.update(
            batches_minute=batches,
            grouper_puts_minute=staged + closed,
            grouper_swaps_minute=swaps,
            grouper_gets_minute=gets,
            objects_s=self.shards * (staged + closed) / 60,
            grouper_wait_s_minute=waits,
        )
        self.swaps_s = self.shards * swaps / 60
        self.lines["grouper: requests"] = self.shards * batches / 60 * SECONDS * price("lambda_request")
        self.compute("grouper", load.rate * self.between("group") + self.shards * waits / 60)
        self.lines["grouper: objects put"] = self.shards * (staged + closed) / 60 * SECONDS * price("s3_put")
        self.lines["grouper: manifests swapped"] = self.swaps_s * SECONDS * price("s3_put")
        self.lines["grouper: objects read"] = self.shards * gets / 60 * SECONDS * price("s3_get")

    def _archiver(self):
        load = self.load
        one, many = self.measured["plays"]["one"], self.measured["plays"]["own"]

        def per_run(what, prefix=None):
            first, more = (calls(play, "archiver", what, prefix) * play["shards"] for play in (one, many))
            of_shard = (more - first) / (many["shards"] - one["shards"])
            return first + of_shard * (self.shards - one["shards"])

        kept_raw = load.rate * 60 * load.kept * RAW_BYTES[load.set]
        self.file_sets = max(math.ceil(kept_raw / FILE_RAW_BYTES), 1)
        tables = sum(row["calls"] for row in one["calls"] if row["prefix"].startswith("lake/")) / one["minutes"]
        writes = per_run(WRITES) + tables * (self.file_sets - 1)
        gets, lists = per_run(("get", "get, not there")), per_run(("list",))
        waits = (
            writes * self.wait("s3_put")
            + gets * self.wait("s3_get")
            + lists * self.wait("s3_list")
            + self.shards * self.wait("put_records")
        )
        cpu = load.rate * 60 * self.between("archive") / deployed.vcpus("archiver")
        self.facts.update(
            archiver_s=cpu + waits, files_minute=tables * self.file_sets, archiver_gets=gets, archiver_writes=writes
        )
        self.lines["archiver: requests, schedule"] = SECONDS / 60 * (price("lambda_request") + price("schedule"))
        self.compute("archiver", (cpu + waits) / 60)
        self.lines["archiver: S3"] = SECONDS / 60 * ((writes + lists) * price("s3_put") + gets * price("s3_get"))

    def _state(self):
        """Objects on their way stay until they are swept; manifests keep their versions for a day or two."""
        load, play = self.load, self.measured["plays"]["fat" if self.load.set == "fat" else "busy"]
        rate = play["committed"] / play["minutes"]
        of_span = {prefix: written(play, "grouper", prefix) / rate for prefix in ("staged", "sealed", "decisions", "seen")}
        of_span["sealed"] *= load.kept / (play["kept"] / play["committed"])
        manifest = next(
            row["bytes"] / row["calls"]
            for row in self.measured["plays"]["one"]["calls"]
            if (row["who"], row["what"]) == ("grouper", "swap")
        )
        objects = self.facts["objects_s"]
        age_days = load.retention_hours / 24 + 1 + deployed.SWEEP_HOURS / 48
        deletes = objects * deployed.SWEEP_HOURS * 3600
        sweep_s = objects * DAY * age_days / 1000 * self.wait("s3_list") + deletes / DELETES_MAX * self.wait("s3_delete")
        is_kept_up = sweep_s <= deployed.TIMEOUT_S["archiver"]
        days = age_days if is_kept_up else deployed.BACKSTOP_DAYS + 1.5
        pages = objects * DAY * days / 1000
        sweeps = SECONDS / 3600 / deployed.SWEEP_HOURS
        sweep_s = min(sweep_s, deployed.TIMEOUT_S["archiver"])
        pages = min(pages, deployed.TIMEOUT_S["archiver"] / self.wait("s3_list"))
        gigabytes = (load.rate * DAY * days * sum(of_span.values()) + self.swaps_s * DAY * 2 * manifest) / 1e9
        self.facts.update(
            state_days=days, state_gb=gigabytes, state_bytes_per_span=sum(of_span.values()), sweep_is_kept_up=is_kept_up
        )
        self.lines["state: kept until swept"] = gigabytes * price("s3_month")
        self.lines["state: sweeps"] = sweeps * (
            pages * price("s3_put") + sweep_s * deployed.gb("archiver") * price("lambda_gb_s")
        )

    def _lake(self):
        load = self.load
        kept_of_file = load.rate * 60 * load.kept / self.file_sets
        points = {}
        for name in ("one", "busy", "everything"):
            play = self.measured["plays"][name]
            points[play["kept"] / play["minutes"]] = written(play, "archiver", "lake/v1/spans") / (play["kept"] / play["minutes"])
        spans = line(list(points.items()), kept_of_file)
        play = self.measured["plays"]["fat" if load.set == "fat" else "busy"]
        kept, seen = play["kept"] / play["minutes"], play["committed"] / play["minutes"]
        if load.set == "fat":
            spans = written(play, "archiver", "lake/v1/spans") / kept
        traces = written(play, "archiver", "lake/v1/traces") / kept
        decisions = written(play, "archiver", "lake/v1/decisions") / seen
        figures = sum(
            written(self.measured["plays"]["one"], "archiver", f"lake/v1/{table}") for table in ("red_1m", "service_edges_1m")
        )
        tables = {
            "spans": spans * kept_of_file,
            "traces": traces * kept_of_file,
            "decisions": decisions * load.rate * 60 / self.file_sets,
            "figures": figures,
        }
        minutes = DAY / 60 * self.file_sets
        day = sum(tables.values()) * minutes / 1e9
        cold = sum(size for size in tables.values() if size >= deployed.COLD_BYTES_MIN) * minutes / 1e9
        moved = sum(size >= deployed.COLD_BYTES_MIN for size in tables.values()) * minutes * SECONDS / DAY
        # A day is counted from midnight: 7 days are 7.5, on average. GLACIER_IR asks for 90 days, however soon a file is deleted.
        hot = (day - cold) * (deployed.KEPT_DAYS + 0.5) + cold * (deployed.HOT_DAYS + 0.5)
        usd = hot * price("s3_month") + cold * 90 * price("s3_cold_month") * (SECONDS / DAY / 30)
        self.facts.update(
            lake_bytes_per_kept=sum(tables.values()) / kept_of_file,
            lake_gb_day=day,
            cold_share=cold / day,
            spans_file_mb=tables["spans"] / 1e6,
        )
        self.lines["lake: 30 days"] = usd + moved * price("s3_to_cold")

    def _watch(self):
        busy = max(self.facts["ingest_busy"], 1.0)
        lines = max(self.requests / 100, min(self.requests, busy / 10))
        play = self.measured["plays"]["one"]
        (batches, batch_bytes), (runs, run_bytes) = play["log_lines"]["grouper"], play["log_lines"]["archiver"]
        of_batch, of_run = batch_bytes / batches, run_bytes / play["minutes"]
        ingest = self.measured["program"][f"{self.load.set} 32"]["line_bytes"] * lines
        gigabytes = (ingest + of_batch * self.shards * self.facts["batches_minute"] / 60 + of_run / 60) * SECONDS / 1e9
        self.facts["log_gb"] = gigabytes
        self.lines["logs"] = gigabytes * (price("log_gb") + price("log_month") * deployed.LOG_DAYS / 30)
        self.lines["metrics, alarms, dashboard, secret"] = (
            deployed.METRICS * price("metric")
            + deployed.ALARM_METRICS * price("alarm")
            + deployed.DASHBOARDS * price("dashboard")
            + deployed.SECRETS * price("secret")
            + busy * SECONDS / 300 * price("secret_call")
        )
