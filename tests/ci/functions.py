#!/usr/bin/env python3
"""How quickly the functions start, and answer their first request, beside a Runtime API and AWS endpoints of its own.

    tests/ci/functions.py FOLDER [EMULATOR WORD...]

FOLDER has the programs ingest, grouper and archiver, as `infra/build` makes them. Each is started 15 times; from its start to its
first call for work counts. Exit code 1 if even the quickest start of a function takes longer than allowed: the machine may be
busy, so the median is only printed. Behind an emulator of another processor, such as `qemu-aarch64-static -L ROOT`, they only have
to answer.
"""

import base64
import http.server
import json
import os
import pathlib
import queue
import statistics
import subprocess
import sys
import threading
import time

STARTS = 15
START_MS_MAX = 25
FUNCTIONS = ["ingest", "grouper", "archiver"]
NEXT = "/2018-06-01/runtime/invocation/next"
TOKEN = "a-token-of-some-length"
SHARD = {"ShardId": "shardId-000000000000", "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(2**128 - 1)},
         "SequenceNumberRange": {"StartingSequenceNumber": "1"}}


class Aws:
    """The Runtime API, Secrets Manager and Kinesis behind one port, for one start of a program; notes when each was called."""

    def __init__(self, emulator):
        self.emulator, self.called, self.work = emulator, queue.Queue(), queue.Queue()
        aws = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                aws.called.put((time.monotonic(), self.path, b""))
                self.answer(json.dumps(aws.work.get()).encode())

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                target = self.headers.get("x-amz-target", "")
                if not target and self.headers.get("transfer-encoding") == "chunked":
                    body = b"".join(iter(self.chunk, b""))
                aws.called.put((time.monotonic(), target or self.path, body))
                self.answer(json.dumps(aws.says(target, body)).encode())

            def chunk(self):
                data = self.rfile.read(int(self.rfile.readline(), 16))
                self.rfile.readline()
                return data

            def answer(self, body):
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                for name, value in (("lambda-runtime-aws-request-id", "1"), ("lambda-runtime-deadline-ms", str(int(time.time() * 1e3) + 60_000)),
                                    ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:x")):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # A program that is killed leaves its connections.
        self.server.handle_error = lambda *_: None
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def says(target, body):
        if target.endswith("GetSecretValue"):
            return {"SecretString": json.dumps({"first": TOKEN})}
        if target.endswith("ListShards"):
            return {"Shards": [SHARD]}
        if target.endswith("PutRecords"):
            records = json.loads(body)["Records"]
            return {"FailedRecordCount": 0, "Records": [{"SequenceNumber": "1", "ShardId": SHARD["ShardId"]} for _ in records]}
        return {}

    def start(self, program):
        environment = {
            "AWS_LAMBDA_RUNTIME_API": self.address, "AWS_ENDPOINT_URL": f"http://{self.address}", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_LAMBDA_FUNCTION_NAME": "x",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_LOG_GROUP_NAME": "x",
            "AWS_LAMBDA_LOG_STREAM_NAME": "x", "SPANLAKE_STREAM": "spans", "SPANLAKE_TOKENS": "tokens", "SPANLAKE_DEPLOYMENT": "test",
            "SPANLAKE_STATE_BUCKET": "state", "SPANLAKE_LAKE_BUCKET": "lake", "SPANLAKE_RETENTION_HOURS": "48",
        }
        begun = time.monotonic()
        return begun, subprocess.Popen([*self.emulator, program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def wait_for(self, path, process):
        while True:
            try:
                at, called, body = self.called.get(timeout=20)
            except queue.Empty:
                process.kill()
                sys.exit(f"no call of {path} within 20 s:\n{process.stderr.read().decode()[-2000:]}")
            if called.endswith(path):
                return at, body

    def end(self, process):
        peak = next(line for line in (pathlib.Path("/proc") / str(process.pid) / "status").read_text().splitlines() if "VmHWM" in line)
        process.kill()
        process.wait()
        self.server.shutdown()
        self.server.server_close()
        return int(peak.split()[1]) / 1024


def url_event():
    """A request of a function URL: an empty export, which is one call to each of the services all the same."""
    span = b"\x0a\x10" + b"\x01" * 16 + b"\x12\x08" + b"\x01" * 8 + b"\x2a\x01x"
    body = b"\x12" + bytes([len(span)]) + span
    for number in (0x12, 0x0A):
        body = bytes([number, len(body)]) + body
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": "/v1/traces", "rawQueryString": "", "isBase64Encoded": True,
        "headers": {"content-type": "application/x-protobuf", "authorization": f"Bearer {TOKEN}"}, "body": base64.b64encode(body).decode(),
        "requestContext": {"accountId": "anonymous", "apiId": "x", "domainName": "x", "domainPrefix": "x", "requestId": "1", "stage": "$default",
                           "routeKey": "$default", "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 1767225600000,
                           "http": {"method": "POST", "path": "/v1/traces", "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4", "userAgent": "x"}},
    }


def starts(program, emulator):
    taken, peaks = [], []
    for _ in range(STARTS):
        # Its own each time: a call of a program that was killed may still wait there, and would take the next one's work.
        aws = Aws(emulator)
        begun, process = aws.start(program)
        at, _ = aws.wait_for(NEXT, process)
        taken.append((at - begun) * 1e3)
        peaks.append(aws.end(process))
    return taken, peaks


def first_request(program, emulator):
    """From the start to the answer of the first request: with the tokens' and the shards' fetch."""
    aws = Aws(emulator)
    begun, process = aws.start(program)
    aws.work.put(url_event())
    at, answer = aws.wait_for("/invocation/1/response", process)
    aws.end(process)
    status = json.loads(answer)["statusCode"]
    if status != 200:
        sys.exit(f"the first request is answered {status}: {answer!r}")
    return (at - begun) * 1e3


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder, emulator, slow = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:], []
    for name in FUNCTIONS:
        taken, peaks = starts(folder / name, emulator)
        limit = "emulated" if emulator else f"at most {START_MS_MAX}"
        print(f"{name}: from its start to its first call for work {min(taken):.1f} ms, median {statistics.median(taken):.1f} ms "
              f"({limit}); {max(peaks):.1f} MiB of memory")
        if min(taken) > START_MS_MAX and not emulator:
            slow.append(name)
    first = [first_request(folder / "ingest", emulator) for _ in range(5)]
    print(f"ingest: from its start to the answer of its first request, tokens and shards fetched: {min(first):.1f} ms, "
          f"median {statistics.median(first):.1f} ms")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
