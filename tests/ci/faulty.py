"""A stream that fails: in front of another endpoint of Kinesis it throttles, refuses entries and loses answers, by a seed."""

import collections
import http.server
import json
import random
import threading
import urllib.error
import urllib.request

TARGET = "Kinesis_20131202.PutRecords"


class FaultyStream:
    def __init__(self, endpoint, seed):
        self.endpoint, self.random, self.counts = endpoint, random.Random(seed), collections.Counter()
        stream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                stream.handle(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()

    def handle(self, handler, body):
        fault = self.random.choice(["none", "entries", "throttled", "lost"]) if handler.headers["x-amz-target"] == TARGET else "none"
        if fault == "throttled":
            self.counts["calls throttled"] += 1
            return self.answer(handler, 400, json.dumps({"__type": "ProvisionedThroughputExceededException"}).encode())
        refused = set()
        if fault == "entries":
            call = json.loads(body)
            refused = {place for place in range(len(call["Records"])) if self.random.random() < 0.5}
            self.counts["entries failed"] += len(refused)
            call["Records"] = [entry for place, entry in enumerate(call["Records"]) if place not in refused]
            body = json.dumps(call).encode()
            if not call["Records"]:
                failed = [{"ErrorCode": "InternalFailure", "ErrorMessage": "no"}] * len(refused)
                return self.answer(handler, 200, json.dumps({"FailedRecordCount": len(refused), "Records": failed}).encode())
        status, said = self.forward(handler, body)
        if fault == "lost":
            self.counts["answers lost"] += 1
            handler.close_connection = True
            return None
        if refused and status == 200:
            said = self.with_failures(said, refused)
        return self.answer(handler, status, said)

    def forward(self, handler, body):
        headers = {name: handler.headers[name] for name in ("x-amz-target", "content-type", "authorization") if handler.headers[name]}
        request = urllib.request.Request(self.endpoint, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    @staticmethod
    def with_failures(said, refused):
        """The answer for all entries: those that were not passed on have failed."""
        taken, answer = iter(json.loads(said)["Records"]), []
        for place in range(len(json.loads(said)["Records"]) + len(refused)):
            failure = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
            answer.append(failure if place in refused else next(taken))
        return json.dumps({"FailedRecordCount": len(refused), "Records": answer}).encode()

    @staticmethod
    def answer(handler, status, body):
        handler.send_response(status)
        handler.send_header("content-type", "application/x-amz-json-1.1")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
