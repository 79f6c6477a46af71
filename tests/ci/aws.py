#!/usr/bin/env python3
"""The template and the real functions, end to end, on a stand-in for AWS.

    tests/ci/aws.py PATH-OF-SPANLAKE FOLDER-OF-ZIPS --loadgen PATH --tools FOLDER [--only NAME,NAME]
        [--load-spans N [--load-rate N]]

The stack is deployed from infra/template.yaml with the zips that would be deployed on AWS (for this machine's processor), and
asked as AWS is asked: requests through the function URL, rules by `spanlake rules`, answers by Athena's API. Needs the packages
of requirements-aws.txt; the program must be built with `--features aws`. Exit code 1: something is not as promised.
"""

import argparse
import base64
import collections
import gzip
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import cfn
import deployed
import served
from faulty import FaultyStream

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = ["python", "node-http", "node-proto", "rust", "go"]
# Between two calls of the archiver: its schedule's minute would make everything wait.
ARCHIVE_SECONDS = 2
SETTLED_SECONDS_MAX = 150
# A shard takes some 10,000 a second; the stand-in fewer.
LOAD_SECONDS_MAX = 1_200
SIGNALS = ["traces", "logs", "metrics"]
KEEP = """processors:
  tail_sampling:
    decision_wait: 2s
    policies:
      - {name: everything, type: always_sample}
service: {pipelines: {traces: {processors: [tail_sampling]}, logs: {}, metrics: {}}}
"""
KEEP_CHECKOUTS = """processors:
  tail_sampling:
    decision_wait: 2s
    policies:
      - {name: checkouts, type: string_attribute, string_attribute: {key: app.kind, values: [checkout]}}
service: {pipelines: {traces: {processors: [tail_sampling]}, logs: {}, metrics: {}}}
"""


class Wrong(Exception):
    """Something is not as promised; the text says what."""


def expect(found, wanted, what):
    if found != wanted:
        raise Wrong(f"{what}: {found!r}, not {wanted!r}")


def loaded(path):
    loader = importlib.machinery.SourceFileLoader(path.name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(path.name, loader))
    loader.exec_module(module)
    return module


class Archiver(threading.Thread):
    """The schedule, faster: calls the archiver until it is stopped, and keeps what went wrong."""

    def __init__(self, cloud):
        super().__init__(daemon=True)
        self.cloud, self.ended, self.errors = cloud, threading.Event(), []

    def run(self):
        while not self.ended.wait(ARCHIVE_SECONDS):
            try:
                self.cloud.invoke(self.cloud.outputs["ArchiverFunctionName"], {"task": "archive"})
            except Exception as error:  # noqa: BLE001: whatever it is, the checks show it
                self.errors.append(repr(error))

    def stop(self):
        self.ended.set()
        self.join()


class Checks:
    def __init__(self, cloud, options):
        self.cloud, self.spanlake = cloud, options.spanlake.resolve()
        self.loadgen, self.tools = options.loadgen.resolve(), options.tools.resolve()
        self.load = ["--spans", options.load_spans, *(["--rate", options.load_rate] if options.load_rate else [])]
        self.s3 = cloud.client("s3")
        self.random = random.Random(1)
        self.sent = collections.Counter()

    # --- what is sent, and what became of it --------------------------------------------------------------------------------

    def trace(self, kind, spans=3):
        """A trace of some spans, as a request; its id in hex."""
        identity = self.random.randbytes(16)
        now = time.time_ns()
        more = served.field(9, served.attribute("app.kind", kind))
        spans = [served.span(identity, self.random.randbytes(8), f"{kind} {place}", now, now + 5_000_000, more)
                 for place in range(spans)]
        return served.request(spans), identity.hex()

    def post(self, body, signal_name="traces", items=3, headers=None):
        """Sends as an exporter does: again, as long as it is told to. Only what is answered 200 counts."""
        for _ in range(100):
            status, _, answer = self.cloud.post(f"/v1/{signal_name}", body, headers)
            if status == 200:
                self.sent[signal_name] += items
                return
            if status not in (429, 502, 503, 504):
                raise Wrong(f"{signal_name} is answered {status}: {answer[:300]!r}")
            time.sleep(0.1)
        raise Wrong(f"{signal_name} is never taken: {status}")

    def ledger(self):
        """The sum of all shards' accounts, by signal."""
        total = {name: collections.Counter() for name in SIGNALS}
        listed = self.s3.list_objects_v2(Bucket=self.cloud.outputs["StateBucketName"], Prefix="manifest/").get("Contents", [])
        for entry in listed:
            manifest = json.loads(self.s3.get_object(Bucket=self.cloud.outputs["StateBucketName"], Key=entry["Key"])["Body"].read())
            for name in SIGNALS:
                account = manifest["ledger"][name]
                dropped = sum(account.pop("dropped", {}).values())
                total[name].update(account | {"dropped": dropped, "waiting": 0})
            total["traces"]["waiting"] += len(manifest["sealed"])
        return total

    def settled(self):
        """Waits until everything sent is decided and in the lake; gives the ledger."""
        until = time.monotonic() + SETTLED_SECONDS_MAX
        while time.monotonic() < until:
            ledger = self.ledger()
            is_taken = all(ledger[name]["committed"] >= self.sent[name] for name in SIGNALS)
            if is_taken and not any(ledger[name]["pending"] for name in SIGNALS) and not ledger["traces"]["waiting"]:
                return ledger
            time.sleep(1)
        raise Wrong(f"not settled after {SETTLED_SECONDS_MAX} s: sent {dict(self.sent)}, {self.ledger()}")

    def exact(self, what):
        """Every item that was answered 200 is counted once, and has ended once."""
        ledger = self.settled()
        for name in SIGNALS:
            account = ledger[name]
            expect(account["committed"], self.sent[name], f"{what}: committed {name}")
            expect(account["kept"] + account["sampled_out"] + account["dropped"], self.sent[name], f"{what}: ended {name}")
        return ledger

    def count(self, condition="true", table="spans"):
        return int(self.cloud.sql(f"SELECT count(*) AS n FROM {table} WHERE dt >= '2000-01-01' AND {condition}")[0]["n"])

    def rules(self, *words):
        env = os.environ | deployed.CREDENTIALS | {"AWS_ENDPOINT_URL": self.cloud.endpoint, "AWS_REGION": "us-east-1"}
        command = [self.spanlake, "rules", *words, "--bucket", self.cloud.outputs["StateBucketName"]]
        done = subprocess.run([str(word) for word in command], env=env, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def push(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            return self.rules("push", file.name)

    def hold(self, text):
        """Pushes rules, and waits until every shard has them."""
        status, said, told = self.push(text)
        expect(status, 0, f"pushing rules: {told}")
        version = said.split()[1]
        until = time.monotonic() + SETTLED_SECONDS_MAX
        while time.monotonic() < until:
            bucket = self.cloud.outputs["StateBucketName"]
            keys = [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket, Prefix="manifest/").get("Contents", [])]
            manifests = [json.loads(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]
            if len(manifests) == 2 and all(manifest["rules"]["current"] == version for manifest in manifests):
                return version
            time.sleep(1)
        raise Wrong(f"rules {version} hold on no shard after {SETTLED_SECONDS_MAX} s")

    # --- the checks -----------------------------------------------------------------------------------------------------------

    def every_request_gets_the_answer_it_should(self):
        body, _ = self.trace("answers")
        bomb = gzip.compress(bytes(40 << 20))
        cases = [
            ("a wrong token", 401, {}, "/v1/traces", body, "wrong-token-of-some-length"),
            ("no such path", 404, {}, "/v1/nothing", body, None),
            ("another content type", 415, {"content-type": "text/plain"}, "/v1/traces", body, None),
            ("another encoding", 415, {"content-encoding": "br"}, "/v1/traces", body, None),
            ("a broken body", 400, {}, "/v1/traces", b"\xff\xff\xff", None),
            ("a body that is no gzip", 400, {"content-encoding": "gzip"}, "/v1/traces", body, None),
            ("a bomb", 413, {"content-encoding": "gzip"}, "/v1/traces", bomb, None),
            ("broken JSON", 400, {"content-type": "application/json"}, "/v1/traces", b"{", None),
        ]
        for what, wanted, headers, path, sent, token in cases:
            status, _, answer = self.cloud.post(path, sent, headers, token)
            expect(status, wanted, f"{what}: {answer[:200]!r}")
        self.post(gzip.compress(body), headers={"content-encoding": "gzip"})
        said = self.cloud.post("/v1/traces", b"{}", {"content-type": "application/json"})
        expect((said[0], said[2].strip()), (200, b"{}"), "an empty JSON request")

    def the_published_exporters_reach_the_lake_value_by_value(self):
        exporters = loaded(HERE.parent / "exporters" / "run")
        os.environ["OTEL_EXPORTER_OTLP_HEADERS"] = "authorization=" + urllib.parse.quote(f"Bearer {self.cloud.token}")
        exporters.VISIBLE_SECONDS_MAX = SETTLED_SECONDS_MAX
        # Of the Node exporters. The stand-in takes a body of JSON for text, also when it is compressed, and spoils it.
        os.environ["COMPRESSION"] = "none"
        before = self.settled()
        agree = [exporters.check(client, self.cloud, self.tools) for client in CLIENTS]
        if not all(agree):
            raise Wrong("values in the lake are not what was sent: see above")
        # What an SDK sends on its own, such as a second flush of metrics, is not known here: the ledger tells.
        after = self.settled_at_rest()
        for name in SIGNALS:
            self.sent[name] += after[name]["committed"] - before[name]["committed"]
        self.exact("exporters")

    def settled_at_rest(self):
        """The ledger once it no longer changes."""
        last = self.settled()
        while True:
            time.sleep(5)
            now = self.settled()
            if now == last:
                return now
            last = now

    def repeated_requests_change_nothing(self):
        body, identity = self.trace("repeats")
        self.post(body)
        before = self.exact("repeats")["traces"]["duplicates"]
        for _ in range(3):
            expect(self.cloud.post("/v1/traces", body)[0], 200, "a repeat")
        until = time.monotonic() + SETTLED_SECONDS_MAX
        while self.ledger()["traces"]["duplicates"] < before + 9 and time.monotonic() < until:
            time.sleep(1)
        expect(self.exact("repeats")["traces"]["duplicates"], before + 9, "spans that were recognised")
        expect(self.count(f"trace_id = '{identity}'"), 3, "rows of a request that was sent four times")

    def redelivered_batches_change_nothing(self):
        for _ in range(4):
            self.post(self.trace("redelivered")[0])
        before, rows = self.exact("redelivery"), self.count()
        for shard, records in self.stream().items():
            for cut in (records, records[: len(records) // 2], records[len(records) // 2:]):
                answer = self.cloud.invoke(self.cloud.outputs["GrouperFunctionName"], self.event(shard, cut))
                expect(answer, {"batchItemFailures": []}, "a batch that was taken before")
        expect(self.exact("redelivery"), before, "the ledger")
        expect(self.count(), rows, "rows")

    def stream(self):
        """Everything that is on the stream, by shard."""
        kinesis, name = self.cloud.client("kinesis"), self.cloud.outputs["StreamName"]
        found = {}
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            place = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
            found[shard["ShardId"]] = kinesis.get_records(ShardIterator=place["ShardIterator"])["Records"]
        return found

    @staticmethod
    def event(shard, records):
        """What Lambda's event source gives of these records."""
        return {"Records": [{
            "eventID": f"{shard}:{record['SequenceNumber']}", "eventSource": "aws:kinesis",
            "kinesis": {"sequenceNumber": record["SequenceNumber"], "data": base64.b64encode(record["Data"]).decode(),
                        "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
                        "partitionKey": record["PartitionKey"], "kinesisSchemaVersion": "1.0"},
        } for record in records]}

    def a_record_that_is_none_stops_nobody(self):
        kinesis = self.cloud.client("kinesis")
        kinesis.put_record(StreamName=self.cloud.outputs["StreamName"], Data=b"no envelope", PartitionKey="x", ExplicitHashKey="1")
        self.post(self.trace("after poison")[0])
        self.exact("poison")
        listed = self.s3.list_objects_v2(Bucket=self.cloud.outputs["StateBucketName"], Prefix="quarantine/")
        expect(len(listed.get("Contents", [])), 1, "notes in quarantine")

    def a_grouper_that_is_killed_in_a_batch_loses_nothing(self):
        kills = 0
        for _ in range(12):
            bodies = [self.trace("killed")[0] for _ in range(4)]
            for body in bodies:
                self.post(body)
            time.sleep(self.random.uniform(0, 0.4))
            kills += self.kill(self.cloud.outputs["GrouperFunctionName"])
        self.exact("kills")
        expect(kills > 3, True, f"groupers were killed: {kills}")
        print(f"    {kills} groupers killed")

    def kill(self, function):
        """Kills every process of a function; gives how many there were."""
        killed = 0
        for process in self.processes(function):
            try:
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                continue
        return killed

    @staticmethod
    def processes(function):
        """The folders in /proc of a function's processes."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                environment = dict(part.split("=", 1) for part in (process / "environ").read_text().split("\0") if "=" in part)
                if environment.get("AWS_LAMBDA_FUNCTION_NAME") == function and (process / "exe").resolve().name == "bootstrap":
                    yield process
            except (OSError, UnicodeDecodeError):
                continue

    def a_stream_that_throttles_and_loses_answers_loses_nothing(self):
        faulty = FaultyStream(self.cloud.endpoint, seed=3)
        try:
            self.change(self.cloud.outputs["IngestFunctionName"], {"AWS_ENDPOINT_URL_KINESIS": faulty.url})
            bodies = [self.trace("faulty")[0] for _ in range(40)]
            for body in bodies:
                self.post(body)
            self.exact("a faulty stream")
            counts = faulty.counts
            print(f"    {dict(counts)}")
            expect(min(counts["entries failed"], counts["answers lost"], counts["calls throttled"]) > 0, True, f"faults happened: {counts}")
        finally:
            self.change(self.cloud.outputs["IngestFunctionName"], {"AWS_ENDPOINT_URL_KINESIS": ""})
            faulty.stop()

    def change(self, function, variables):
        client = self.cloud.client("lambda")
        now = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        kept = {name: value for name, value in (now | variables).items() if value}
        client.update_function_configuration(FunctionName=function, Environment={"Variables": kept})
        # An environment that is running keeps what it was started with.
        self.kill(function)

    def a_second_token_is_taken_without_a_deployment(self):
        secrets, second = self.cloud.client("secretsmanager"), "second-" + self.random.randbytes(16).hex()
        tokens = {"first": self.cloud.token, "second": second}
        secrets.put_secret_value(SecretId=self.cloud.outputs["Tokens"], SecretString=json.dumps(tokens))
        body, _ = self.trace("tokens")
        until = time.monotonic() + 60
        while (status := self.cloud.post("/v1/traces", body, token=second)[0]) == 401 and time.monotonic() < until:
            time.sleep(1)
        expect(status, 200, "the second token")
        self.sent["traces"] += 3
        expect(self.cloud.post("/v1/traces", body)[0], 200, "the first one, still")
        self.exact("tokens")

    def pushed_rules_change_decisions_and_broken_ones_change_nothing(self):
        version = self.hold(KEEP_CHECKOUTS)
        ids = {}
        for kind in ("checkout", "browse"):
            body, ids[kind] = self.trace(kind)
            self.post(body)
        self.exact("rules")
        expect(self.count(f"trace_id = '{ids['checkout']}'"), 3, "spans of the trace that the rules keep")
        expect(self.count(f"trace_id = '{ids['browse']}'"), 0, "spans of the trace that they do not")
        decided = self.cloud.sql(f"SELECT verdict, rules_version FROM decisions WHERE dt >= '2000-01-01' AND trace_id = '{ids['browse']}'")
        expect([tuple(row.values()) for row in decided], [("sampled_out", version)], "the decision")
        status, _, told = self.push("processors:\n  surprise: {}\nservice: {pipelines: {traces: {processors: [surprise]}}}\n")
        expect((status, "cannot be used" in told), (1, True), f"a broken push: {told}")
        # Past the check, by hand.
        self.s3.put_object(Bucket=self.cloud.outputs["StateBucketName"], Key="rules/current.yaml", Body=b"processors: [")
        body, identity = self.trace("browse")
        self.post(body)
        self.exact("broken rules")
        expect(self.count(f"trace_id = '{identity}'"), 0, "spans under the rules that still hold")
        status, _, told = self.rules("show")
        expect((status, "NOT IN FORCE" in told), (0, True), f"what is shown of broken rules: {told}")
        self.s3.put_object(Bucket=self.cloud.outputs["StateBucketName"], Key="rules/current.yaml", Body=KEEP_CHECKOUTS.encode())
        self.hold(KEEP)

    def the_functions_stay_within_their_memory_under_load(self):
        limits = {name: cfn.raw()["Resources"][f"{name}Function"]["Properties"]["MemorySize"] for name in ("Ingest", "Grouper", "Archiver")}
        peaks = collections.Counter()
        watching = threading.Event()

        def watch():
            while not watching.wait(0.2):
                for name in limits:
                    for process in self.processes(self.cloud.outputs[f"{name}FunctionName"]):
                        peaks[name] = max(peaks[name], peak_mib(process))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        command = [self.loadgen, "--fat", *self.load, "--start", "now", "--url", self.cloud.url + "/v1/traces",
                   "--header", f"authorization=Bearer {self.cloud.token}", "--json", "-", "--max-seconds", LOAD_SECONDS_MAX]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=LOAD_SECONDS_MAX + 60)
        if done.returncode != 0:
            raise Wrong(f"loadgen ended with {done.returncode}: {done.stderr[-1000:]}")
        sent = json.loads(done.stdout.splitlines()[-1])["sent"]
        self.sent["traces"] += sent["spans"]
        self.exact("load")
        watching.set()
        watcher.join()
        for name, limit in limits.items():
            print(f"    {name.lower()}: at most {peaks[name]:.0f} MiB of {limit} at {sent['spans_per_s']:.0f} spans/s")
            expect(0 < peaks[name] < limit, True, f"memory of {name.lower()}")

    def nothing_waits_and_nothing_was_dropped(self):
        ledger = self.exact("the end")
        for name in SIGNALS:
            expect(ledger[name]["dropped"], 0, f"dropped {name}")
        self.cloud.invoke(self.cloud.outputs["ArchiverFunctionName"], {"task": "sweep"})
        expect(self.count("true"), ledger["traces"]["kept"], "rows of spans")
        expect(self.count("true", "logs"), ledger["logs"]["kept"], "rows of logs")
        print("    " + ", ".join(f"{name}: {ledger[name]['committed']} committed, {ledger[name]['kept']} kept" for name in SIGNALS))


def peak_mib(process):
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0)


ORDER = [
    Checks.every_request_gets_the_answer_it_should,
    Checks.the_published_exporters_reach_the_lake_value_by_value,
    Checks.repeated_requests_change_nothing,
    Checks.redelivered_batches_change_nothing,
    Checks.a_record_that_is_none_stops_nobody,
    Checks.a_grouper_that_is_killed_in_a_batch_loses_nothing,
    Checks.a_stream_that_throttles_and_loses_answers_loses_nothing,
    Checks.a_second_token_is_taken_without_a_deployment,
    Checks.pushed_rules_change_decisions_and_broken_ones_change_nothing,
    Checks.the_functions_stay_within_their_memory_under_load,
    Checks.nothing_waits_and_nothing_was_dropped,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spanlake", type=pathlib.Path, help="the program, built with --features aws")
    parser.add_argument("zips", type=pathlib.Path, help="the folder with ingest.zip, grouper.zip and archiver.zip")
    parser.add_argument("--loadgen", type=pathlib.Path, required=True, help="the load generator, tests/bench/loadgen")
    parser.add_argument("--tools", type=pathlib.Path, required=True, help="where the exporters' packages are kept")
    parser.add_argument("--load-spans", type=int, default=200_000, help="spans of the run that memory is looked at in")
    parser.add_argument("--load-rate", type=int, default=0, help="at most so many of them a second; two shards take some 7,500")
    parser.add_argument("--only", default="", help="checks, by parts of their names, separated by commas")
    options = parser.parse_args()
    only = [part for part in options.only.split(",") if part]
    options.tools.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="spanlake-aws-") as made:
        begun = time.monotonic()
        architecture = "x86_64" if platform.machine() in ("x86_64", "amd64") else "arm64"
        cloud = deployed.Cloud(pathlib.Path(made), options.zips.resolve(), {"Architecture": architecture, "Shards": "2"})
        archiver = Archiver(cloud)
        try:
            print(f"deployed after {time.monotonic() - begun:.1f} s", flush=True)
            archiver.start()
            checks = Checks(cloud, options)
            checks.hold(KEEP)
            for check in ORDER:
                if only and not any(part in check.__name__ for part in only):
                    continue
                begun = time.monotonic()
                try:
                    check(checks)
                    said = "ok"
                except Exception as wrong:  # noqa: BLE001: one that cannot be run does not hide the next
                    failed += 1
                    said = f"WRONG: {type(wrong).__name__} {wrong}"
                print(f"{check.__name__}: {said}, {time.monotonic() - begun:.1f} s", flush=True)
            archiver.stop()
            for error in archiver.errors:
                failed += 1
                print(f"the archiver failed: {error}")
            if failed:
                print(f"the stand-in's last words:\n{cloud.log.read_text(errors='replace')[-6000:]}")
        finally:
            cloud.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
