"""The hostile bodies: each with the answer that it must get. Standard library only; zstd bombs are made by hand."""

import gzip
import json
import zlib
from dataclasses import dataclass, field as with_default

from served import attribute, counter, field, fields_of, fixed64, log_record, request, span

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
INFLATED_BYTES_MAX = 16 << 20
SERVICE = "hostile"
MIB = 1 << 20


@dataclass
class Case:
    """A request, and what must be answered."""
    name: str
    body: bytes
    status: int
    # In the answer's text; for a partial success its reason.
    says: str = ""
    # Items refused one by one; None if the answer is no partial success.
    rejected: object = None
    path: str = "/v1/traces"
    headers: dict = with_default(default_factory=lambda: dict(PROTOBUF))
    # Bytes that the server inflates or reads at most.
    inflated: int = 0

    # Answers that are as good as the status.
    or_else: tuple = ()

    @property
    def statuses(self):
        return (self.status, *self.or_else)

    def __post_init__(self):
        self.inflated = min(self.inflated or len(self.body), INFLATED_BYTES_MAX)


def packed(coding, kind=None):
    return {**(kind or PROTOBUF), "content-encoding": coding}


def gzip_zeros(mebibytes):
    """A member of 16 MiB of zeros, again and again: a body of many members is one body."""
    member = gzip.compress(bytes(16 * MIB), 9)
    return member * (mebibytes // 16)


def zstd_zeros(blocks):
    """A frame with a window of 8 MiB, and blocks of 128 KiB that are one byte each: 32,768 to 1."""
    block = lambda last: ((128 << 10) << 3 | 1 << 1 | last).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x68" + block(0) * (blocks - 1) + block(1)


def ids(number):
    return b"\x01" + number.to_bytes(15, "big"), number.to_bytes(8, "big")


def good(number, more=b"", name="fine"):
    return span(*ids(number), name, more=more)


def spans(*items):
    return request(items, SERVICE)


def nested(depth, closed=True):
    """A list in a list in a list..."""
    value = b""
    for _ in range(depth):
        value = field(5, field(1, value))
    return value


def json_span(attributes):
    return ('{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hostile"}}]},'
            '"scopeSpans":[{"spans":[{"traceId":"01020304050607080102030405060708","spanId":"0102030405060708","name":"j",'
            '"attributes":[' + attributes + "]}]}]}]}").encode()


def nested_json(depth, fill):
    value = '{"arrayValue":{"values":[' * depth + fill + "]}}" * depth
    return json_span('{"key":"a","value":' + value + "}")


def bombs():
    too_large = "16777216"
    yield Case("gzip, 1,000 to 1, 1 GiB", gzip_zeros(1024), 413, too_large, headers=packed("gzip"), inflated=1 << 30)
    yield Case("zstd, 32,768 to 1, 1 GiB", zstd_zeros(8192), 413, too_large, headers=packed("zstd"), inflated=1 << 30)
    yield Case("zstd, window of 128 MiB", b"\x28\xb5\x2f\xfd\x00\x88" + zstd_zeros(3)[6:], 400, "window", headers=packed("zstd"))
    yield Case("zstd, truncated", zstd_zeros(4)[:-2], 400, "truncated", headers=packed("zstd"), inflated=512 << 10)
    yield Case("gzip, truncated", gzip.compress(spans(good(1)))[:-9], 400, "gzip", headers=packed("gzip"))
    wrong = gzip.compress(spans(good(2)))
    yield Case("gzip, wrong length", wrong[:-4] + b"\1\2\3\4", 400, "gzip", headers=packed("gzip"))
    yield Case("gzip, trailing garbage", wrong + b"garbage", 400, "gzip", headers=packed("gzip"))
    yield Case("gzip in gzip", gzip.compress(wrong), 400, headers=packed("gzip"))
    yield Case("deflate without gzip", zlib.compress(spans(good(3))), 400, "gzip", headers=packed("gzip"))
    yield Case("16 MiB of zeros as JSON", gzip_zeros(16), 400, headers=packed("gzip", JSON), inflated=16 * MIB)
    blanks = gzip.compress(b'{"resourceSpans":[' + b" " * (15 * MIB) + b"]}")
    yield Case("15 MiB of blanks in JSON", blanks, 200, headers=packed("gzip", JSON), inflated=15 * MIB)
    yield Case("4 MiB and a byte", bytes(4 * MIB + 1), 413, "4194304")


def floods():
    empty = lambda number, count: field(number, b"") * count
    many = "in a request"
    yield Case("100,000 empty ResourceSpans", empty(1, 100_000), 413, many)
    yield Case("100,000 empty ScopeSpans", field(1, empty(2, 100_000)), 413, many)
    yield Case("100,000 empty spans", spans(*[b""] * 100_000), 413, many)
    yield Case("8,000,000 empty spans in 16 kB", gzip.compress(field(1, field(2, empty(2, 8_000_000)))), 413, many,
               headers=packed("gzip"), inflated=16_000_000)
    yield Case("65,000 empty spans", spans(*[b""] * 65_000), 200, "trace_id", rejected=65_000)
    yield Case("65,000 empty log records", request([b""] * 65_000, SERVICE), 200, path="/v1/logs")
    yield Case("65,000 empty metrics", request([b""] * 65_000, SERVICE), 200, path="/v1/metrics")
    yield Case("65,000 empty data points", request([counter("flood", [b""] * 65_000)], SERVICE), 200, path="/v1/metrics")
    yield Case("100,000 empty data points", request([counter("flood", [b""] * 100_000)], SERVICE), 200, "elements", 100_000,
               path="/v1/metrics")
    for what, number in [("attributes", 9), ("events", 11), ("links", 13)]:
        reason = "attributes" if number == 9 else "elements"
        yield Case(f"100,000 empty {what}", spans(good(100 + number, empty(number, 100_000)), good(99)), 200, reason, 1)
    tiny = [field(1, trace) + field(2, one) for trace, one in map(ids, range(1, 65_001))]
    yield Case("65,000 spans of 28 bytes", spans(*tiny), 200)
    yield Case("1,000,000 unknown fields", spans(good(98, field(500, b"") * 1_000_000)), 200, "bytes", 1)
    values_of = field(9, field(1, "a") + field(2, field(5, empty(1, 100_000))))
    yield Case("empty value lists", spans(good(97, values_of)), 200, "elements", 1)
    items = '{"resourceSpans":[{"scopeSpans":[{"spans":[' + ",".join(["{}"] * 100_000) + "]}]}]}"
    yield Case("100,000 empty spans as JSON", items.encode(), 413, many, headers=JSON)
    items = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + ",".join(["{}"] * 60_000) + "]}]}]}"
    yield Case("60,000 empty log records as JSON", items.encode(), 200, headers=JSON, path="/v1/logs")


def shapes():
    yield Case("nested 33 deep", spans(good(200, field(9, field(1, "a") + field(2, nested(40)))), good(201)), 200, "deep", 1)
    yield Case("nested 1,000 deep", spans(good(202, field(9, field(1, "a") + field(2, nested(1000)))), good(203)), 200, "deep", 1)
    yield Case("nested 1,000 deep as JSON", nested_json(1000, '{"intValue":1}'), 200, "deep", 1, headers=JSON)
    yield Case("200,000 brackets", b'{"resourceSpans":' + b"[" * 200_000, 400, headers=JSON)
    yield Case("200,000 brackets under an unknown key", b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}", 200, headers=JSON)
    yield Case("a name of 3 MiB", spans(good(204, name="n" * (3 * MIB)), good(205)), 200, "bytes", 1)
    yield Case("a value of 500 KiB", spans(good(206, field(9, attribute("a", "v" * (500 << 10))))), 200)
    keys = b"".join(field(1, attribute(str(each), "")) for each in range(1_000_000))
    million = gzip.compress(spans(good(209, field(9, field(1, "a") + field(2, field(6, keys)))), good(210)), 1)
    yield Case("a map of a million keys", million, 200, "bytes", 1, headers=packed("gzip"), inflated=len(keys))
    keys = ",".join('{"key":"%d","value":{}}' % each for each in range(500_000))
    million = json_span('{"key":"a","value":{"kvlistValue":{"values":[' + keys + "]}}}")
    yield Case("a map of 500,000 keys as JSON", gzip.compress(million, 1), 200, "attributes", 1, headers=packed("gzip", JSON),
               inflated=len(million))
    same = json_span(",".join(['{"key":"same","value":{"stringValue":"v"}}'] * 15_000))
    yield Case("15,000 times the same key", same, 200, headers=JSON)
    trace, _ = ids(300)
    errors = [span(trace, ids(each)[1], "e", more=field(15, field(3, 2))) for each in range(1, 60_001)]
    yield Case("one trace of 60,000 errors", gzip.compress(spans(*errors), 1), 200, headers=packed("gzip"), inflated=60_000 * 60)
    service = field(1, field(1, field(1, attribute("service.name", "s" * (300 << 10)))) + field(2, field(2, good(211))))
    yield Case("a resource of 300 KiB", service + spans(good(212)), 200, "resource", 1)
    yield Case("2,000 services", b"".join(request([good(1000 + each)], f"hostile {each}") for each in range(2000)), 200)


def values():
    top = (1 << 64) - 1
    times = [(0, 0), (top, top), (0, top), (top, 0), (1 << 63, (1 << 63) - 1), (5, 4)]
    timed = [span(*ids(400 + at), "time", *each) for at, each in enumerate(times)]
    yield Case("times at the ends of their range", spans(*timed), 200)
    lengths = [b"", b"\1", bytes(15), b"\1" * 15, b"\1" * 17, b"\1" * 32, b"\1" * 4096]
    traces, ones = [span(each, ids(1)[1], "id") for each in lengths], [span(ids(1)[0], each, "id") for each in lengths]
    yield Case("trace ids of wrong length", spans(good(410), *traces), 200, "trace_id", 7)
    yield Case("span ids of wrong length", spans(good(411), *ones), 200, "span_id", 7)
    zero = span(bytes(16), bytes(8), "zero")
    yield Case("ids of zeros", spans(good(412), zero), 200, "trace_id", 1)
    yield Case("text that is not UTF-8", spans(good(413), span(*ids(414), b"\xff\xfe")), 200, "UTF-8", 1)
    bad = log_record(b"\xc0\x80")
    yield Case("a log body that is not UTF-8", request([bad, log_record("fine")], SERVICE), 200, "UTF-8", 1, path="/v1/logs")
    point = fixed64(4, 0x7FF8000000000001) + fixed64(3, top)
    points = request([counter("nan", [point, fixed64(4, 0x7FF0000000000000)])], SERVICE)
    yield Case("NaN at the end of time", points, 200, path="/v1/metrics")
    yield Case("field 0", b"\x02\x00", 400, "byte")
    yield Case("a varint of 11 bytes", b"\x0a" + b"\xff" * 10 + b"\x01", 400, "byte")
    yield Case("a length beyond the body", b"\x0a\xff\xff\xff\xff\x0f", 400, "byte")
    yield Case("an end of a group without its begin", b"\x0c", 400, "byte")
    yield Case("10,000 groups", b"\x0b" * 10_000, 400)
    yield Case("noise", zlib.compress(bytes(range(256)) * 64), 400)
    yield Case("an empty body", b"", 200)
    yield Case("half a JSON", b'{"resourceSpans":[{"scopeSpans":', 400, "line", headers=JSON)
    yield Case("JSON as protobuf", b'{"resourceSpans":[]}', 400)
    yield Case("protobuf as JSON", spans(good(415)), 400, headers=JSON)
    misfits = {"numbers out of range": '{"intValue":"99999999999999999999"}', "a lone surrogate": '{"stringValue":"\\ud800"}'}
    for what, value in misfits.items():
        yield Case(what, json_span('{"key":"a","value":' + value + "}"), 200, "JSON", 1, headers=JSON)
    yield Case("a number of 1 MiB", b'{"resourceSpans":' + b"1" * MIB + b"}", 400, headers=JSON)


def headers():
    body = spans(good(500))
    for kind in [None, "", "text/plain", "application/octet-stream", "application/x-protobuf-x", "*/*"]:
        given = {} if kind is None else {"content-type": kind}
        yield Case(f"content type {kind!r}", body, 415, "content type", headers=given)
    for kind in ["Application/X-Protobuf", "application/x-protobuf; charset=utf-8", "application/protobuf ;q=1"]:
        yield Case(f"content type {kind!r}", body, 200, headers={"content-type": kind})
    for coding in ["br", "deflate", "gzip, zstd", "identity, gzip", "\xff"]:
        yield Case(f"encoding {coding!r}", body, 415, "encoding", headers=packed(coding))
    yield Case("unknown path", body, 404, "/v1/traces", path="/v1/" + "x" * 4000)
    yield Case("path with a query", body, 200, path="/v1/traces?" + "x" * 4000)
    yield Case("a header of 1 MiB", body, 431, headers={**PROTOBUF, "x": "y" * MIB}, or_else=("closed",))
    yield Case("500 headers", body, 431, headers={**PROTOBUF, **{f"x{each}": "y" for each in range(500)}})


def all_cases():
    yield from bombs()
    yield from floods()
    yield from shapes()
    yield from values()
    yield from headers()


def shown(answer_type, body):
    """The text of an answer, and the number of items refused by a partial success (None if it is none)."""
    if "json" in answer_type:
        answer = json.loads(body or b"{}")
        partial = answer.get("partialSuccess")
        if partial is None:
            return answer.get("message", ""), None
        counts = [int(value) for key, value in partial.items() if key.startswith("rejected")]
        return partial.get("errorMessage", ""), sum(counts)
    found = dict(fields_of(body))
    if isinstance(found.get(2), bytes):
        return found[2].decode("utf-8", "replace"), None
    if 1 in found and isinstance(found[1], bytes):
        partial = dict(fields_of(found[1]))
        return partial.get(2, b"").decode("utf-8", "replace"), partial.get(1, 0)
    return "", None
