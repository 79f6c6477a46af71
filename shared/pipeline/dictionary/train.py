#!/usr/bin/env python3
"""Trains the dictionary that small payloads of the stream are compressed with.

    shared/pipeline/dictionary/train.py OUT

Needs `pip install zstandard opentelemetry-proto`. The samples are OTLP requests of one to forty items, as records of the stream
hold them: made up from the names of the semantic conventions, with values that services of any kind could have, and the bodies of
real SDKs in tests/data/captures. None is of a generator that anything is measured with. The same versions of the packages
write the same dictionary; a number in use is never trained again: a better dictionary gets the next number, and readers keep
the old one for longer than any stream keeps records.
"""

import gzip
import pathlib
import random
import sys

import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

CAPTURES = pathlib.Path(__file__).resolve().parents[3] / "tests" / "data" / "captures"
# Twice as large a dictionary saves half a percent more.
LEVEL = 3
DICTIONARY_BYTES, SAMPLES, SEED = 32 << 10, 6_000, 1

SERVICES = ["api-gateway", "auth", "billing", "catalog", "identity", "inventory", "ledger", "mailer", "notifications", "orders",
            "patients", "profile", "reports", "scheduler", "search", "sessions", "tickets", "uploads", "users", "webhooks"]
NAMESPACES = ["default", "backend", "core", "platform", "production", "staging"]
THINGS = ["account", "booking", "claim", "document", "invoice", "item", "message", "patient", "payment", "policy", "record",
          "report", "session", "shipment", "ticket", "user"]
VERBS = {"GET": 12, "POST": 6, "PUT": 2, "PATCH": 1, "DELETE": 1, "HEAD": 1, "OPTIONS": 1}
STATUS = {200: 20, 201: 4, 204: 3, 301: 1, 302: 1, 304: 2, 400: 2, 401: 1, 403: 1, 404: 3, 409: 1, 422: 1, 429: 1, 500: 2,
          502: 1, 503: 1, 504: 1}
AGENTS = ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
          "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5",
          "curl/8.5.0", "Go-http-client/2.0", "python-requests/2.32.3", "okhttp/4.12.0", "axios/1.7.2", "node-fetch",
          "ELB-HealthChecker/2.0", "kube-probe/1.30", "grpc-java-netty/1.64.0"]
# Language, runtime and its version, the SDK's version, and the scopes of its instrumentation.
LANGUAGES = [
    ("java", "OpenJDK Runtime Environment", "21.0.3+9", "1.40.0", "2.6.0-alpha",
     ["io.opentelemetry.tomcat-10.0", "io.opentelemetry.spring-webmvc-6.0", "io.opentelemetry.jdbc", "io.opentelemetry.netty-4.1",
      "io.opentelemetry.kafka-clients-0.11", "io.opentelemetry.grpc-1.6", "io.opentelemetry.apache-httpclient-5.0",
      "io.opentelemetry.hibernate-6.0", "io.opentelemetry.aws-sdk-2.2", "io.opentelemetry.lettuce-5.1"]),
    ("python", "cpython", "3.12.4", "1.25.0", "0.46b0",
     ["opentelemetry.instrumentation.flask", "opentelemetry.instrumentation.fastapi", "opentelemetry.instrumentation.requests",
      "opentelemetry.instrumentation.psycopg2", "opentelemetry.instrumentation.redis", "opentelemetry.instrumentation.celery",
      "opentelemetry.instrumentation.django", "opentelemetry.instrumentation.sqlalchemy", "opentelemetry.instrumentation.asgi"]),
    ("nodejs", "nodejs", "20.14.0", "1.25.1", "0.52.1",
     ["@opentelemetry/instrumentation-http", "@opentelemetry/instrumentation-express", "@opentelemetry/instrumentation-pg",
      "@opentelemetry/instrumentation-mongodb", "@opentelemetry/instrumentation-ioredis", "@opentelemetry/instrumentation-nestjs",
      "@opentelemetry/instrumentation-graphql", "@opentelemetry/instrumentation-undici", "@opentelemetry/instrumentation-net"]),
    ("go", "go", "go1.22.4", "1.28.0", "0.53.0",
     ["go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "go.opentelemetry.io/otel/sdk/tracer",
      "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
      "go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"]),
    ("dotnet", ".NET", "8.0.6", "1.9.0", "1.9.0",
     ["Microsoft.AspNetCore", "System.Net.Http", "OpenTelemetry.Instrumentation.SqlClient", "Npgsql",
      "OpenTelemetry.Instrumentation.EntityFrameworkCore"]),
    ("ruby", "ruby", "3.3.3", "1.4.1", "0.24.4",
     ["OpenTelemetry::Instrumentation::Rack", "OpenTelemetry::Instrumentation::ActiveRecord",
      "OpenTelemetry::Instrumentation::Net::HTTP", "OpenTelemetry::Instrumentation::Sidekiq"]),
    ("rust", "rustc", "1.79.0", "0.24.1", "0.24.0", ["opentelemetry-otlp", "tracing", "tower-http"]),
    ("php", "fpm-fcgi", "8.3.8", "1.0.8", "1.0.2", ["io.opentelemetry.contrib.php.laravel", "io.opentelemetry.contrib.php.pdo"]),
]
EXCEPTIONS = ["java.lang.NullPointerException", "java.lang.IllegalStateException", "java.net.SocketTimeoutException",
              "java.sql.SQLException", "TimeoutError", "ConnectionError", "ValueError", "KeyError", "TypeError", "Error",
              "System.InvalidOperationException", "System.Net.Http.HttpRequestException", "io.grpc.StatusRuntimeException"]
MESSAGES = ["connection refused", "context deadline exceeded", "read timed out", "Connection reset by peer", "not found",
            "permission denied", "request failed with status code 500", "too many connections", "UNAVAILABLE: io exception",
            "deadlock detected", "duplicate key value violates unique constraint"]
METRICS = [("http.server.request.duration", "s", "Duration of HTTP server requests."),
           ("http.client.request.duration", "s", "Duration of HTTP client requests."),
           ("http.server.active_requests", "{request}", "Number of active HTTP server requests."),
           ("http.server.request.body.size", "By", "Size of HTTP server request bodies."),
           ("db.client.operation.duration", "s", "Duration of database client operations."),
           ("db.client.connections.usage", "{connection}", "The number of connections that are currently in state."),
           ("jvm.memory.used", "By", "Measure of memory used."), ("jvm.gc.duration", "s", "Duration of JVM garbage collection actions."),
           ("jvm.thread.count", "{thread}", "Number of executing platform threads."),
           ("process.cpu.time", "s", "Total CPU seconds broken down by different states."),
           ("process.memory.usage", "By", "The amount of physical memory in use."),
           ("system.cpu.utilization", "1", ""), ("system.network.io", "By", ""), ("rpc.server.duration", "ms", ""),
           ("nodejs.eventloop.delay.p99", "s", "Event loop 99 percentile delay."),
           ("process.runtime.go.mem.heap_alloc", "By", "Bytes of allocated heap objects")]
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

draw = random.Random(SEED)


def weighed(table):
    return draw.choices(list(table), list(table.values()))[0]


def hexadecimal(digits):
    return f"{draw.getrandbits(4 * digits):0{digits}x}"


def put(attributes, pairs):
    for key, value in pairs.items():
        if value is None:
            continue
        attribute = attributes.add(key=key)
        kind = {bool: "bool_value", int: "int_value", float: "double_value"}.get(type(value), "string_value")
        if isinstance(value, list):
            for one in value:
                attribute.value.array_value.values.add(string_value=one)
        else:
            setattr(attribute.value, kind, value)


def resource():
    """A process's resource and its language."""
    language = draw.choice(LANGUAGES)
    name, runtime, version, sdk, _, _ = language
    service, namespace = draw.choice(SERVICES), draw.choice(NAMESPACES)
    suffix = f"{hexadecimal(9)}-{hexadecimal(5)}"
    zone = draw.choice(["us-east-1a", "us-west-2b", "eu-west-1c", "eu-central-1a", "ap-northeast-1a"])
    groups = [
        {"service.namespace": namespace, "service.version": f"{draw.randrange(9)}.{draw.randrange(30)}.{draw.randrange(9)}",
         "service.instance.id": f"{hexadecimal(8)}-{hexadecimal(4)}-4{hexadecimal(3)}-a{hexadecimal(3)}-{hexadecimal(12)}"},
        {"deployment.environment.name": draw.choice(["production", "staging", "development"])},
        {"deployment.environment": draw.choice(["prod", "production", "staging"])},
        {"k8s.namespace.name": namespace, "k8s.deployment.name": service, "k8s.pod.name": f"{service}-{suffix}",
         "k8s.node.name": f"ip-10-{draw.randrange(256)}-{draw.randrange(256)}-{draw.randrange(256)}.ec2.internal",
         "k8s.container.name": service, "k8s.pod.uid": hexadecimal(32), "k8s.cluster.name": "main"},
        {"host.name": f"{service}-{suffix}", "host.arch": draw.choice(["amd64", "arm64"]), "os.type": "linux",
         "os.description": "Linux 6.1.91-99.172.amzn2023.x86_64"},
        {"cloud.provider": "aws", "cloud.platform": draw.choice(["aws_eks", "aws_ecs", "aws_lambda", "aws_ec2"]),
         "cloud.region": zone[:-1], "cloud.availability_zone": zone, "cloud.account.id": f"{draw.randrange(10**12):012}"},
        {"container.id": hexadecimal(64)},
        {"process.pid": draw.randrange(1, 4_000), "process.runtime.name": runtime, "process.runtime.version": version,
         "process.executable.name": draw.choice(["java", "python", "node", "server", "main"]),
         "process.command_args": ["/usr/local/bin/node", "--require", "./instrumentation.js", "server.js"]},
        {"telemetry.distro.name": "opentelemetry-java-instrumentation", "telemetry.distro.version": "2.6.0"},
    ]
    found = {"service.name": service}
    for group in draw.sample(groups, draw.randrange(2, len(groups))):
        found |= group
    found |= {"telemetry.sdk.language": name, "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.version": sdk}
    return found, language


def server(thing):
    verb, status, route = weighed(VERBS), weighed(STATUS), f"/api/v{draw.randrange(1, 4)}/{thing}s/{{{thing}Id}}"
    new = {"http.request.method": verb, "http.route": route, "url.path": route.replace(f"{{{thing}Id}}", str(draw.randrange(10**6))),
           "url.scheme": draw.choice(["http", "https"]), "http.response.status_code": status, "server.address": f"{thing}s.internal",
           "server.port": draw.choice([80, 443, 8080, 3000]), "network.protocol.version": draw.choice(["1.1", "2"]),
           "user_agent.original": draw.choice(AGENTS), "client.address": f"10.0.{draw.randrange(256)}.{draw.randrange(256)}",
           "network.peer.address": f"10.0.{draw.randrange(256)}.{draw.randrange(256)}", "network.peer.port": draw.randrange(30_000, 61_000),
           "url.query": draw.choice([None, "page=1&limit=20"]), "error.type": str(status) if status >= 500 else None}
    old = {"http.method": verb, "http.route": route, "http.target": route, "http.scheme": "http", "http.status_code": status,
           "http.host": f"{thing}s:8080", "http.flavor": "1.1", "http.user_agent": draw.choice(AGENTS), "net.host.port": 8080,
           "net.peer.ip": "::ffff:127.0.0.1", "http.server_name": f"{thing}s", "http.client_ip": "127.0.0.1"}
    return f"{verb} {route}", 2, draw.choice([new, new, old]), status >= 500


def client(thing):
    verb, status, host = weighed(VERBS), weighed(STATUS), f"{draw.choice(SERVICES)}.{draw.choice(NAMESPACES)}.svc.cluster.local"
    url = f"http://{host}:8080/api/v1/{thing}s/{draw.randrange(10**6)}"
    new = {"http.request.method": verb, "url.full": url, "server.address": host, "server.port": 8080,
           "http.response.status_code": status, "network.protocol.version": "1.1", "http.request.resend_count": draw.choice([None, 1]),
           "error.type": str(status) if status >= 400 else None}
    old = {"http.method": verb, "http.url": url, "http.status_code": status, "net.peer.name": host, "net.peer.port": 8080}
    return verb, 3, draw.choice([new, new, old]), status >= 400


def database(thing):
    system, port = draw.choice([("postgresql", 5432), ("mysql", 3306), ("mariadb", 3306), ("mongodb", 27017), ("microsoft.sql_server", 1433)])
    verb = draw.choice(["SELECT", "INSERT", "UPDATE", "DELETE"])
    text = {"SELECT": f"SELECT id, name, status, created_at FROM {thing}s WHERE id = $1 LIMIT 1", "DELETE": f"DELETE FROM {thing}s WHERE id = ?",
            "INSERT": f"INSERT INTO {thing}s (id, name, created_at) VALUES ($1, $2, $3)",
            "UPDATE": f"UPDATE {thing}s SET status = $1, updated_at = now() WHERE id = $2"}[verb]
    new = {"db.system.name": system, "db.namespace": draw.choice(["app", "main", "public"]), "db.operation.name": verb,
           "db.collection.name": f"{thing}s", "db.query.text": text, "db.query.summary": f"{verb} {thing}s", "server.address": "db",
           "server.port": port, "db.response.returned_rows": draw.choice([None, 1, 20])}
    old = {"db.system": system, "db.name": "app", "db.operation": verb, "db.sql.table": f"{thing}s", "db.statement": text,
           "db.user": "app", "db.connection_string": f"{system}://db:{port}", "net.peer.name": "db", "net.peer.port": port}
    return f"{verb} {thing}s", 3, draw.choice([new, old]), draw.random() < 0.02


def cache(thing):
    verb = draw.choice(["GET", "SET", "HGETALL", "DEL", "EXPIRE", "MGET"])
    pairs = {"db.system": "redis", "db.statement": f"{verb} {thing}:?", "net.peer.name": "redis", "net.peer.port": 6379,
             "db.redis.database_index": 0, "db.operation.name": verb, "server.address": "redis", "server.port": 6379,
             "network.transport": "tcp", "network.type": "ipv4"}
    return verb, 3, pairs, False


def call(thing):
    service, method = f"{thing}.v1.{thing.title()}Service", draw.choice(["Get", "List", "Create", "Update"]) + thing.title()
    code = weighed({0: 20, 2: 1, 4: 1, 5: 1, 14: 1})
    pairs = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method, "rpc.grpc.status_code": code,
             "server.address": f"{thing}s", "server.port": 50051, "network.peer.address": "10.0.0.1", "net.sock.peer.addr": None}
    return f"{service}/{method}", draw.choice([2, 3]), pairs, code > 0


def message(thing):
    system = draw.choice(["kafka", "rabbitmq", "aws_sqs", "nats"])
    topic, deed = f"{thing}-events", draw.choice(["publish", "process", "send", "receive"])
    pairs = {"messaging.system": system, "messaging.destination.name": topic, "messaging.operation": deed,
             "messaging.operation.type": deed, "messaging.operation.name": deed, "messaging.client.id": f"{thing}-consumer-1",
             "messaging.message.id": hexadecimal(32), "messaging.kafka.message.offset": draw.randrange(10**7),
             "messaging.destination.partition.id": str(draw.randrange(12)), "messaging.consumer.group.name": f"{thing}-workers",
             "messaging.message.body.size": draw.randrange(90, 9_000), "messaging.batch.message_count": draw.choice([None, 1])}
    return f"{topic} {deed}", draw.choice([4, 5]), pairs, False


def inner(thing):
    pairs = {"code.namespace": f"com.example.{thing}.{thing.title()}Service", "code.function": f"find{thing.title()}",
             "code.function.name": f"handle_{thing}", "thread.id": draw.randrange(200), "thread.name": f"http-nio-8080-exec-{draw.randrange(20)}",
             "enduser.id": f"user-{draw.randrange(10**5)}", "session.id": hexadecimal(16), "app.tenant": draw.choice(["a", "b"])}
    kept = draw.sample(sorted(pairs), draw.randrange(0, 5))
    name = draw.choice([f"{thing.title()}Service.find", f"middleware - {thing}", f"validate {thing}", "render", "query"])
    return name, 1, {key: pairs[key] for key in kept}, draw.random() < 0.02


KINDS = (server, server, client, database, database, cache, call, message, inner, inner)


def traces(items):
    request, now = ExportTraceServiceRequest(), 1_700_000_000_000_000_000 + draw.randrange(10**17)
    pairs, language = resource()
    of_resource = request.resource_spans.add(schema_url=draw.choice(["", "https://opentelemetry.io/schemas/1.26.0"]))
    put(of_resource.resource.attributes, pairs)
    scopes = {}
    for _ in range(items):
        name, kind, attributes, is_error = draw.choice(KINDS)(draw.choice(THINGS))
        scope = draw.choice(language[5])
        if scope not in scopes:
            scopes[scope] = of_resource.scope_spans.add()
            scopes[scope].scope.name, scopes[scope].scope.version = scope, language[4]
        start = now + draw.randrange(10**9)
        span = scopes[scope].spans.add(trace_id=draw.randbytes(16), span_id=draw.randbytes(8), name=name, kind=kind,
                                       start_time_unix_nano=start, end_time_unix_nano=start + draw.randrange(10**8),
                                       flags=draw.choice([0, 0x101, 0x301]))
        if draw.random() < 0.85:
            span.parent_span_id = draw.randbytes(8)
        put(span.attributes, attributes)
        if is_error:
            span.status.code, span.status.message = 2, draw.choice(["", *MESSAGES])
            if draw.random() < 0.5:
                event = span.events.add(time_unix_nano=start + 1, name="exception")
                put(event.attributes, {"exception.type": draw.choice(EXCEPTIONS), "exception.message": draw.choice(MESSAGES),
                                       "exception.stacktrace": "Traceback (most recent call last):\n  File \"/app/main.py\", line 42, in handle\n",
                                       "exception.escaped": "False"})
    return request


def logs(items):
    request, now = ExportLogsServiceRequest(), 1_700_000_000_000_000_000 + draw.randrange(10**17)
    pairs, language = resource()
    of_resource = request.resource_logs.add()
    put(of_resource.resource.attributes, pairs)
    of_scope = of_resource.scope_logs.add()
    of_scope.scope.name = draw.choice(language[5])
    for _ in range(items):
        number, text = draw.choice([(9, "INFO"), (9, "INFO"), (13, "WARN"), (17, "ERROR"), (5, "DEBUG")])
        at, thing = now + draw.randrange(10**9), draw.choice(THINGS)
        record = of_scope.log_records.add(time_unix_nano=at, observed_time_unix_nano=at + 10**6, severity_number=number,
                                          severity_text=text, trace_id=draw.randbytes(16), span_id=draw.randbytes(8), flags=1)
        record.body.string_value = draw.choice([f"{thing} {draw.randrange(10**6)} created", f"request completed in {draw.randrange(900)} ms",
                                                f"failed to load {thing}: {draw.choice(MESSAGES)}", f"Started {thing} worker"])
        put(record.attributes, draw.choice([{}, {"code.file.path": "/app/main.py", "code.line.number": draw.randrange(900)},
                                            {"logger.name": f"app.{thing}"}, {"log.iostream": "stdout"}]))
    return request


def metrics(items):
    request, now = ExportMetricsServiceRequest(), 1_700_000_000_000_000_000 + draw.randrange(10**17)
    pairs, language = resource()
    of_resource = request.resource_metrics.add()
    put(of_resource.resource.attributes, pairs)
    of_scope = of_resource.scope_metrics.add()
    of_scope.scope.name, of_scope.scope.version = draw.choice(language[5]), language[4]
    for name, unit, description in draw.sample(METRICS, min(items, len(METRICS))):
        metric = of_scope.metrics.add(name=name, unit=unit, description=description)
        times = {"start_time_unix_nano": now, "time_unix_nano": now + 60 * 10**9}
        if "duration" in name:
            metric.histogram.aggregation_temporality = 2
            counts = [draw.randrange(90) for _ in range(len(BOUNDS) + 1)]
            point = metric.histogram.data_points.add(**times, count=sum(counts), sum=draw.random() * 90, explicit_bounds=BOUNDS,
                                                     bucket_counts=counts)
            _, _, attributes, _ = server(draw.choice(THINGS))
        else:
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, draw.random() < 0.5
            point = metric.sum.data_points.add(**times, as_int=draw.randrange(10**9))
            attributes = draw.choice([{"jvm.memory.type": "heap", "jvm.memory.pool.name": "G1 Eden Space"}, {"state": "idle"},
                                      {"cpu.mode": "user"}, {"network.interface.name": "eth0", "network.io.direction": "transmit"}])
        put(point.attributes, attributes)
    return request


def captures():
    for path in sorted(CAPTURES.glob("*.pb*")):
        body = path.read_bytes()
        yield gzip.decompress(body) if path.suffix == ".gz" else body


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    samples = [draw.choice((traces, traces, traces, traces, logs, metrics))(draw.choice((1, 2, 4, 8, 16, 40))).SerializeToString()
               for _ in range(SAMPLES)]
    trained = zstandard.train_dictionary(DICTIONARY_BYTES, samples + list(captures()) * 20, level=LEVEL, dict_id=1)
    pathlib.Path(sys.argv[1]).write_bytes(trained.as_bytes())
    plain, with_it = zstandard.ZstdCompressor(level=LEVEL), zstandard.ZstdCompressor(level=LEVEL, dict_data=trained)
    sizes = [sum(len(compressor.compress(sample)) for sample in samples[:1_000]) for compressor in (plain, with_it)]
    print(f"{len(trained.as_bytes()):,} bytes; a thousand of its own samples: {sizes[0]:,} without, {sizes[1]:,} with it")


if __name__ == "__main__":
    main()
