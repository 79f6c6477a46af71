"""Sends known telemetry with the published Python exporters (OTLP/HTTP, protobuf, gzip) and prints what was sent."""

import json
import sys
import time

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context

SERVICE = "exporter-python"
url = sys.argv[1].rstrip("/")
resource = Resource.create({"service.name": SERVICE, "service.version": "1.2.3", "deployment.environment.name": "test"})
sent = {"service": SERVICE, "spans": [], "logs": [], "metrics": []}


def ids(span):
    context = span.get_span_context()
    return format(context.trace_id, "032x"), format(context.span_id, "016x")


def record(span, parent, name, kind, status, message, start, end, columns, attributes, event=None, links=0):
    trace_id, span_id = ids(span)
    sent["spans"].append({
        "trace_id": trace_id, "span_id": span_id, "parent_span_id": ids(parent)[1] if parent else "", "name": name,
        "kind": kind, "status_code": status, "status_message": message, "start_unix_nano": start,
        "duration_nano": end - start, "scope_name": "shop.python", "scope_version": "0.1", "columns": columns,
        "attributes": attributes, "event": event, "links": links,
    })


def traces():
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces", compression=Compression.Gzip)))
    tracer = provider.get_tracer("shop.python", "0.1")
    start = time.time_ns()
    root = tracer.start_span("GET /items/{id}", kind=SpanKind.SERVER, start_time=start, attributes={
        "http.request.method": "GET", "http.route": "/items/{id}", "http.response.status_code": 200,
        "app.text": "gr\u00fc\u00dfe \u2713", "app.flag": True, "app.count": 9007199254740993, "app.ratio": 0.125,
        "app.tags": ["a", "b"]})
    below = set_span_in_context(root)
    query = tracer.start_span("SELECT items", context=below, kind=SpanKind.CLIENT, start_time=start + 1_000_003,
                              links=[Link(root.get_span_context(), {"app.why": "test"})],
                              attributes={"db.system.name": "postgresql", "db.query.text": "SELECT 1"})
    query.add_event("cache.miss", {"cache.key": "item:7"}, timestamp=start + 2_000_000)
    query.end(start + 50_000_007)
    broken = tracer.start_span("work", context=below, start_time=start + 60_000_000)
    broken.set_status(Status(StatusCode.ERROR, "it broke"))
    broken.add_event("exception", {"exception.type": "Broken", "exception.message": "it broke"}, timestamp=start + 61_000_000)
    broken.end(start + 70_000_000)
    root.end(start + 123_456_789)
    record(root, None, "GET /items/{id}", "SERVER", "UNSET", "", start, start + 123_456_789,
           {"http_request_method": "GET", "http_route": "/items/{id}", "http_response_status_code": "200"},
           {"app.text": "gr\u00fc\u00dfe \u2713", "app.flag": "true", "app.count": "9007199254740993", "app.ratio": "0.125",
            "app.tags": '["a","b"]'})
    record(query, root, "SELECT items", "CLIENT", "UNSET", "", start + 1_000_003, start + 50_000_007,
           {"db_system": "postgresql", "db_query_text": "SELECT 1"}, {},
           {"name": "cache.miss", "time_unix_nano": start + 2_000_000, "attributes": {"cache.key": "item:7"}}, 1)
    record(broken, root, "work", "INTERNAL", "ERROR", "it broke", start + 60_000_000, start + 70_000_000,
           {"exception_type": "Broken", "exception_message": "it broke"}, {},
           {"name": "exception", "time_unix_nano": start + 61_000_000, "attributes": {}})
    provider.shutdown()
    return root


def logs(root):
    provider = LoggerProvider(resource=resource)
    exporter = OTLPLogExporter(f"{url}/v1/logs", compression=Compression.Gzip)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("shop.python", "0.1")
    now = time.time_ns()
    for body, number, text, context in [("item 7 was sold", SeverityNumber.INFO, "INFO", set_span_in_context(root)),
                                        ("the shelf is empty", SeverityNumber.WARN, "WARN", None)]:
        logger.emit(LogRecord(timestamp=now, observed_timestamp=now, severity_number=number, severity_text=text, body=body,
                              attributes={"app.shelf": 7}, context=context or trace.set_span_in_context(trace.INVALID_SPAN)))
        trace_id, span_id = ids(root) if context else ("", "")
        sent["logs"].append({"body": body, "severity_number": str(number.value), "severity_text": text, "time_unix_nano": now,
                             "trace_id": trace_id, "span_id": span_id, "attributes": {"app.shelf": "7"}})
    provider.shutdown()


def metrics():
    exporter = OTLPMetricExporter(f"{url}/v1/metrics", compression=Compression.Gzip)
    provider = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(exporter, 3_600_000)])
    meter = provider.get_meter("shop.python", "0.1")
    meter.create_counter("app.sold", unit="{item}").add(7, {"app.shelf": "a"})
    meter.create_gauge("app.load", unit="1").set(2.5, {"app.shelf": "a"})
    latency = meter.create_histogram("app.latency", unit="ms")
    for value in (1, 5, 20):
        latency.record(value, {"app.shelf": "a"})
    sent["metrics"] += [
        {"table": "metrics_number", "name": "app.sold", "unit": "{item}", "attributes": {"app.shelf": "a"},
         "columns": {"int_value": "7", "is_monotonic": "true"}},
        {"table": "metrics_number", "name": "app.load", "unit": "1", "attributes": {"app.shelf": "a"},
         "columns": {"double_value": "2.5"}},
        {"table": "metrics_histogram", "name": "app.latency", "unit": "ms", "attributes": {"app.shelf": "a"},
         "columns": {"\"count\"": "3", "\"sum\"": "26.0", "\"min\"": "1.0", "\"max\"": "20.0"}},
    ]
    provider.shutdown()


logs(traces())
metrics()
print(json.dumps(sent))
