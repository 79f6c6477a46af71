// Sends known telemetry with the published Go exporters (OTLP/HTTP, protobuf, gzip) and prints what was sent.
package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	service = "exporter-go"
	scope   = "shop.go"
)

type fields map[string]any

var (
	ctx    = context.Background()
	about  = resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.version", "1.2.3"), attribute.String("deployment.environment.name", "test"))
	spans  = []fields{}
	logs   = []fields{}
	points = []fields{}
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func note(span, parent trace.Span, name, kind, status, message string, start, end time.Time, columns, attributes fields, event any, links int) {
	below := ""
	if parent != nil {
		below = parent.SpanContext().SpanID().String()
	}
	spans = append(spans, fields{
		"trace_id": span.SpanContext().TraceID().String(), "span_id": span.SpanContext().SpanID().String(),
		"parent_span_id": below, "name": name, "kind": kind, "status_code": status, "status_message": message,
		"start_unix_nano": start.UnixNano(), "duration_nano": end.Sub(start).Nanoseconds(), "scope_name": scope,
		"scope_version": "0.1", "columns": columns, "attributes": attributes, "event": event, "links": links,
	})
}

func sendTraces(url string) trace.Span {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url+"/v1/traces"), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	check(err)
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithBatcher(exporter))
	tracer := provider.Tracer(scope, trace.WithInstrumentationVersion("0.1"))
	start := time.Now()
	at := func(nanos int64) time.Time { return start.Add(time.Duration(nanos)) }
	below, root := tracer.Start(ctx, "GET /items/{id}", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(start), trace.WithAttributes(
		attribute.String("http.request.method", "GET"), attribute.String("http.route", "/items/{id}"), attribute.Int("http.response.status_code", 200),
		attribute.String("app.text", "gr\u00fc\u00dfe \u2713"), attribute.Bool("app.flag", true), attribute.Int64("app.count", 9007199254740993),
		attribute.Float64("app.ratio", 0.125), attribute.StringSlice("app.tags", []string{"a", "b"})))
	_, query := tracer.Start(below, "SELECT items", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(at(1000003)),
		trace.WithLinks(trace.Link{SpanContext: root.SpanContext(), Attributes: []attribute.KeyValue{attribute.String("app.why", "test")}}),
		trace.WithAttributes(attribute.String("db.system.name", "postgresql"), attribute.String("db.query.text", "SELECT 1")))
	query.AddEvent("cache.miss", trace.WithTimestamp(at(2000000)), trace.WithAttributes(attribute.String("cache.key", "item:7")))
	query.End(trace.WithTimestamp(at(50000007)))
	_, broken := tracer.Start(below, "work", trace.WithTimestamp(at(60000000)))
	broken.SetStatus(codes.Error, "it broke")
	broken.AddEvent("exception", trace.WithTimestamp(at(61000000)), trace.WithAttributes(
		attribute.String("exception.type", "Broken"), attribute.String("exception.message", "it broke")))
	broken.End(trace.WithTimestamp(at(70000000)))
	root.End(trace.WithTimestamp(at(123456789)))
	note(root, nil, "GET /items/{id}", "SERVER", "UNSET", "", start, at(123456789),
		fields{"http_request_method": "GET", "http_route": "/items/{id}", "http_response_status_code": "200"},
		fields{"app.text": "gr\u00fc\u00dfe \u2713", "app.flag": "true", "app.count": "9007199254740993", "app.ratio": "0.125", "app.tags": `["a","b"]`}, nil, 0)
	note(query, root, "SELECT items", "CLIENT", "UNSET", "", at(1000003), at(50000007),
		fields{"db_system": "postgresql", "db_query_text": "SELECT 1"}, fields{},
		fields{"name": "cache.miss", "time_unix_nano": at(2000000).UnixNano(), "attributes": fields{"cache.key": "item:7"}}, 1)
	note(broken, root, "work", "INTERNAL", "ERROR", "it broke", at(60000000), at(70000000),
		fields{"exception_type": "Broken", "exception_message": "it broke"}, fields{},
		fields{"name": "exception", "time_unix_nano": at(61000000).UnixNano(), "attributes": fields{}}, 0)
	check(provider.Shutdown(ctx))
	return root
}

func sendLogs(url string, root trace.Span) {
	exporter, err := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(url+"/v1/logs"), otlploghttp.WithCompression(otlploghttp.GzipCompression))
	check(err)
	provider := sdklog.NewLoggerProvider(sdklog.WithResource(about), sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	logger := provider.Logger(scope, log.WithInstrumentationVersion("0.1"))
	now := time.Now()
	emit := func(in context.Context, body string, severity log.Severity, text, traceID, spanID string) {
		var record log.Record
		record.SetTimestamp(now)
		record.SetObservedTimestamp(now)
		record.SetBody(attribute.StringValue(body))
		record.SetSeverity(severity)
		record.SetSeverityText(text)
		record.AddAttributes(attribute.Int("app.shelf", 7))
		logger.Emit(in, record)
		logs = append(logs, fields{"body": body, "severity_number": strconv.Itoa(int(severity)), "severity_text": text,
			"time_unix_nano": now.UnixNano(), "trace_id": traceID, "span_id": spanID, "attributes": fields{"app.shelf": "7"}})
	}
	of := root.SpanContext()
	emit(trace.ContextWithSpanContext(ctx, of), "item 7 was sold", log.SeverityInfo, "INFO", of.TraceID().String(), of.SpanID().String())
	emit(ctx, "the shelf is empty", log.SeverityWarn, "WARN", "", "")
	check(provider.Shutdown(ctx))
}

func sendMetrics(url string) {
	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(url+"/v1/metrics"), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	check(err)
	// The Go SDK can also make exponential histograms, which the others are not asked for.
	view := sdkmetric.NewView(sdkmetric.Instrument{Name: "app.size"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}})
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithResource(about), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)), sdkmetric.WithView(view))
	meter := provider.Meter(scope, metric.WithInstrumentationVersion("0.1"))
	shelf := metric.WithAttributes(attribute.String("app.shelf", "a"))
	sold, err := meter.Int64Counter("app.sold", metric.WithUnit("{item}"))
	check(err)
	load, err := meter.Float64Gauge("app.load", metric.WithUnit("1"))
	check(err)
	latency, err := meter.Float64Histogram("app.latency", metric.WithUnit("ms"))
	check(err)
	size, err := meter.Float64Histogram("app.size", metric.WithUnit("By"))
	check(err)
	sold.Add(ctx, 7, shelf)
	load.Record(ctx, 2.5, shelf)
	for _, value := range []float64{1, 5, 20} {
		latency.Record(ctx, value, shelf)
		size.Record(ctx, value, shelf)
	}
	attributes := fields{"app.shelf": "a"}
	counted := fields{`"count"`: "3", `"sum"`: "26.0", `"min"`: "1.0", `"max"`: "20.0"}
	points = append(points,
		fields{"table": "metrics_number", "name": "app.sold", "unit": "{item}", "attributes": attributes, "columns": fields{"int_value": "7", "is_monotonic": "true"}},
		fields{"table": "metrics_number", "name": "app.load", "unit": "1", "attributes": attributes, "columns": fields{"double_value": "2.5"}},
		fields{"table": "metrics_histogram", "name": "app.latency", "unit": "ms", "attributes": attributes, "columns": counted},
		fields{"table": "metrics_exp_histogram", "name": "app.size", "unit": "By", "attributes": attributes, "columns": counted})
	check(provider.Shutdown(ctx))
}

func main() {
	url := strings.TrimRight(os.Args[1], "/")
	sendLogs(url, sendTraces(url))
	sendMetrics(url)
	check(json.NewEncoder(os.Stdout).Encode(fields{"service": service, "spans": spans, "logs": logs, "metrics": points}))
}
