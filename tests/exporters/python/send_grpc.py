"""Points the published gRPC exporter at the OTLP/HTTP address, as a team does that forgets to change it, and prints the
answer that its log shows."""

import io
import json
import logging
import sys

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

shown = io.StringIO()
logging.basicConfig(stream=shown, level=logging.WARNING)
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(sys.argv[1], insecure=True, timeout=5)))
provider.get_tracer("shop.python").start_span("GET /").end()
provider.shutdown()
print(json.dumps({"shown": shown.getvalue()}))
