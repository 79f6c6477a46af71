#!/usr/bin/env python3
"""CPU time of the ingest function's real program for a request, beside what the pipeline takes: event, runtime and SDK are in it.

    tests/bench/invoke.py PROGRAM FOLDER [--shards 32] [--repeat 3]

PROGRAM is the ingest function, built by `cargo build --profile lambda -p spanlake-ingest`; FOLDER holds requests as
`loadgen --out` writes them. This process plays Lambda's runtime interface, Secrets Manager and Kinesis on the loopback interface,
without TLS. The first 20 requests are not counted. Prints JSON: microseconds of user and system time for a request, and for one
with a wrong token.
"""

import argparse
import base64
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

TOKEN = "0123456789abcdef0123456789abcdef"
WARM = 20
LAST = 2**128


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing."""

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # noqa: N802
        event = self.server.plan.next_event()
        if event is None:
            time.sleep(600)
        number, text = event
        self.answer(
            200,
            text,
            [
                ("lambda-runtime-aws-request-id", str(number)),
                ("content-type", "application/json"),
                ("lambda-runtime-deadline-ms", str(int(time.time() * 1000) + 15_000)),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:ingest"),
            ],
        )

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        target = self.headers.get("x-amz-target", "")
        if not target:
            self.server.plan.answered(self.path, body)
            return self.answer(202, b"{}")
        made = getattr(self.server.plan, target.rpartition(".")[2])(json.loads(body))
        self.answer(200, json.dumps(made).encode(), [("content-type", "application/x-amz-json-1.1")])


class Plan:
    """What is sent, and what the services answer."""

    def __init__(self, bodies, shards, repeat, token):
        self.bodies, self.shards, self.token = bodies, shards, token
        self.total = WARM + len(bodies) * repeat
        self.sent, self.statuses, self.process = 0, {}, None
        self.begun = self.done = None
        self.end = threading.Event()

    def next_event(self):
        if self.sent == WARM:
            self.begun = cpu(self.process)
        if self.sent == self.total:
            self.done = cpu(self.process)
            self.end.set()
            return None
        body = self.bodies[self.sent % len(self.bodies)]
        self.sent += 1
        headers = {
            "authorization": f"Bearer {self.token}",
            "content-type": "application/x-protobuf",
            "content-encoding": "gzip",
            "host": "a.lambda-url.us-east-1.on.aws",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-proto": "https",
        }
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/v1/traces",
            "rawQueryString": "",
            "headers": headers,
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "a",
                "domainName": headers["host"],
                "domainPrefix": "a",
                "http": {
                    "method": "POST",
                    "path": "/v1/traces",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": "OTel",
                },
                "requestId": "r",
                "routeKey": "$default",
                "stage": "$default",
                "time": "22/Nov/2026:06:00:00 +0000",
                "timeEpoch": 1795327200000,
            },
            "body": body,
            "isBase64Encoded": True,
        }
        return self.sent, json.dumps(event).encode()

    def answered(self, path, body):
        status = json.loads(body).get("statusCode", path)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def GetSecretValue(self, _):  # noqa: N802
        return {"Name": "tokens", "SecretString": json.dumps({"first": TOKEN})}

    def ListShards(self, _):  # noqa: N802
        ends = [LAST * number // self.shards for number in range(self.shards + 1)]
        return {
            "Shards": [
                {
                    "ShardId": f"shardId-{number:012}",
                    "SequenceNumberRange": {"StartingSequenceNumber": "1"},
                    "HashKeyRange": {"StartingHashKey": str(ends[number]), "EndingHashKey": str(ends[number + 1] - 1)},
                }
                for number in range(self.shards)
            ]
        }

    def PutRecords(self, asked):  # noqa: N802
        shard = lambda record: f"shardId-{int(record['ExplicitHashKey']) * self.shards // LAST:012}"  # noqa: E731
        return {
            "FailedRecordCount": 0,
            "Records": [{"ShardId": shard(record), "SequenceNumber": str(at)} for at, record in enumerate(asked["Records"], 2)],
        }


def cpu(process):
    """User and system time, seconds: the scheduler's own count, in nanoseconds, of all threads."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def measured(program, bodies, shards, repeat, token):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.daemon_threads = True
    server.plan = plan = Plan(bodies, shards, repeat, token)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"127.0.0.1:{server.server_address[1]}"
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "AWS_LAMBDA_RUNTIME_API": place,
        "AWS_ENDPOINT_URL": f"http://{place}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_LAMBDA_FUNCTION_NAME": "ingest",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_GROUP_NAME": "g",
        "AWS_LAMBDA_LOG_STREAM_NAME": "s",
        "SPANLAKE_STREAM": "spans",
        "SPANLAKE_TOKENS": "tokens",
        "SPANLAKE_DEPLOYMENT": "spanlake",
    }

    plan.process = subprocess.Popen([str(program)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    threading.Thread(target=lambda: lines.extend(plan.process.stdout), daemon=True).start()
    try:
        if not plan.end.wait(300):
            raise SystemExit(f"not done: {plan.statuses}, {lines[-3:]}")
    finally:
        plan.process.kill()
        server.shutdown()
    requests = plan.total - WARM
    return {
        "cpu_us": round((plan.done - plan.begun) * 1e6 / requests),
        "answers": plan.statuses,
        "log": [len(lines), sum(map(len, lines))],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--shards", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    bodies = [base64.b64encode(path.read_bytes()).decode() for path in sorted(options.folder.iterdir())]
    told = {
        "requests": len(bodies),
        "shards": options.shards,
        "accepted": measured(options.program, bodies, options.shards, options.repeat, TOKEN),
        "refused": measured(options.program, bodies, options.shards, options.repeat, "wrong"),
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
