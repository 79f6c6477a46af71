// Sends known telemetry with the published Node exporters and prints what was sent.
// Usage: node send.js URL http|proto   ("http" is the JSON exporter, "proto" the protobuf one)
'use strict';

const api = require('@opentelemetry/api');
const { SeverityNumber } = require('@opentelemetry/api-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-logs');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { TracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace');

const url = process.argv[2].replace(/\/$/, '');
const flavour = process.argv[3];
const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${flavour}`);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${flavour}`);
const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${flavour}`);

const SERVICE = `exporter-node-${flavour}`;
const SCOPE = 'shop.node';
const resource = resourceFromAttributes({
  'service.name': SERVICE, 'service.version': '1.2.3', 'deployment.environment.name': 'test',
});
const sent = { service: SERVICE, spans: [], logs: [], metrics: [] };
const options = (signal) => ({ url: `${url}/v1/${signal}`, compression: process.env.COMPRESSION ?? 'gzip' });
// Nanoseconds are beyond what a number of JavaScript holds exactly, so times are kept in two parts.
const seconds = Math.floor(Date.now() / 1000);
const at = (nanos) => [seconds, nanos];
const text = ([s, nanos]) => `${s}${String(nanos).padStart(9, '0')}`;

function note(span, parent, name, kind, status, message, start, end, columns, attributes, event, links) {
  const { traceId, spanId } = span.spanContext();
  sent.spans.push({
    trace_id: traceId, span_id: spanId, parent_span_id: parent ? parent.spanContext().spanId : '', name, kind,
    status_code: status, status_message: message, start_unix_nano: text(start), duration_nano: String(end[1] - start[1]),
    scope_name: SCOPE, scope_version: '0.1', columns, attributes, event, links,
  });
}

async function traces() {
  const provider = new TracerProvider({
    resource, spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(options('traces')) })],
  });
  const tracer = provider.getTracer(SCOPE, '0.1');
  const begin = at(0);
  const root = tracer.startSpan('GET /items/{id}', {
    kind: api.SpanKind.SERVER, startTime: begin, attributes: {
      'http.request.method': 'GET', 'http.route': '/items/{id}', 'http.response.status_code': 200,
      'app.text': 'gr\u00fc\u00dfe \u2713', 'app.flag': true, 'app.count': 9007199254740991, 'app.ratio': 0.125,
      'app.tags': ['a', 'b'],
    },
  }, api.ROOT_CONTEXT);
  const below = api.trace.setSpan(api.ROOT_CONTEXT, root);
  const query = tracer.startSpan('SELECT items', {
    kind: api.SpanKind.CLIENT, startTime: at(1000003), links: [{ context: root.spanContext(), attributes: { 'app.why': 'test' } }],
    attributes: { 'db.system.name': 'postgresql', 'db.query.text': 'SELECT 1' },
  }, below);
  query.addEvent('cache.miss', { 'cache.key': 'item:7' }, at(2000000));
  query.end(at(50000007));
  const broken = tracer.startSpan('work', { startTime: at(60000000) }, below);
  broken.setStatus({ code: api.SpanStatusCode.ERROR, message: 'it broke' });
  broken.addEvent('exception', { 'exception.type': 'Broken', 'exception.message': 'it broke' }, at(61000000));
  broken.end(at(70000000));
  root.end(at(123456789));
  note(root, null, 'GET /items/{id}', 'SERVER', 'UNSET', '', begin, at(123456789),
    { http_request_method: 'GET', http_route: '/items/{id}', http_response_status_code: '200' },
    { 'app.text': 'gr\u00fc\u00dfe \u2713', 'app.flag': 'true', 'app.count': '9007199254740991', 'app.ratio': '0.125',
      'app.tags': '["a","b"]' }, null, 0);
  note(query, root, 'SELECT items', 'CLIENT', 'UNSET', '', at(1000003), at(50000007),
    { db_system: 'postgresql', db_query_text: 'SELECT 1' }, {},
    { name: 'cache.miss', time_unix_nano: text(at(2000000)), attributes: { 'cache.key': 'item:7' } }, 1);
  note(broken, root, 'work', 'INTERNAL', 'ERROR', 'it broke', at(60000000), at(70000000),
    { exception_type: 'Broken', exception_message: 'it broke' }, {},
    { name: 'exception', time_unix_nano: text(at(61000000)), attributes: {} }, 0);
  await provider.shutdown();
  return root;
}

async function logs(root) {
  const provider = new LoggerProvider({
    resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(options('logs')) })],
  });
  const logger = provider.getLogger(SCOPE, '0.1');
  const { traceId, spanId } = root.spanContext();
  const records = [
    ['item 7 was sold', SeverityNumber.INFO, 'INFO', api.trace.setSpan(api.ROOT_CONTEXT, root), traceId, spanId],
    ['the shelf is empty', SeverityNumber.WARN, 'WARN', api.ROOT_CONTEXT, '', ''],
  ];
  for (const [body, severityNumber, severityText, context, trace_id, span_id] of records) {
    logger.emit({
      body, severityNumber, severityText, context, timestamp: at(1000003), observedTimestamp: at(1000003),
      attributes: { 'app.shelf': 7 },
    });
    sent.logs.push({
      body, severity_number: String(severityNumber), severity_text: severityText, time_unix_nano: text(at(1000003)), trace_id,
      span_id, attributes: { 'app.shelf': '7' },
    });
  }
  await provider.shutdown();
}

async function metrics() {
  const exporter = new OTLPMetricExporter(options('metrics'));
  const provider = new MeterProvider({
    resource, readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3600000 })],
  });
  const meter = provider.getMeter(SCOPE, '0.1');
  const attributes = { 'app.shelf': 'a' };
  meter.createCounter('app.sold', { unit: '{item}', valueType: api.ValueType.INT }).add(7, attributes);
  meter.createGauge('app.load', { unit: '1' }).record(2.5, attributes);
  const latency = meter.createHistogram('app.latency', { unit: 'ms' });
  [1, 5, 20].forEach((value) => latency.record(value, attributes));
  sent.metrics.push(
    { table: 'metrics_number', name: 'app.sold', unit: '{item}', attributes, columns: { int_value: '7', is_monotonic: 'true' } },
    { table: 'metrics_number', name: 'app.load', unit: '1', attributes, columns: { double_value: '2.5' } },
    { table: 'metrics_histogram', name: 'app.latency', unit: 'ms', attributes,
      columns: { '"count"': '3', '"sum"': '26.0', '"min"': '1.0', '"max"': '20.0' } },
  );
  await provider.shutdown();
}

traces().then(logs).then(metrics).then(() => console.log(JSON.stringify(sent)));
