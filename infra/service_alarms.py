#!/usr/bin/env python3
"""Writes the alarms of named services into the template: the same five for each of the first five services.

    infra/service_alarms.py            exit code 1 if the template does not hold what this would write
    infra/service_alarms.py --write    writes it

CloudFormation has no loop without a transform of its own. The list is padded with commas, so that a service that is not named
is an empty text, and its alarms are not made.
"""

import pathlib
import re
import sys

TEMPLATE = pathlib.Path(__file__).resolve().parent / "template.yaml"
SLOTS = 5

SERVICE = "!Select [{index}, !Split [',', !Join [',', [!Ref Services, '', '', '', '', '']]]]"
# The Join around changes nothing. The local stand-in takes a Select in a condition only of a parameter that is a list; what it
# does not know it takes for true, and makes the alarms of services that nobody named.
CONDITION = """\
  HasService{slot}: !Not [!Equals [!Join ['', [{service}]], '']]
"""

HEAD = """\
  Service{slot}{name}Alarm:
    Type: AWS::CloudWatch::Alarm
    Condition: HasService{slot}
    Properties:
      AlarmName: !Sub
        - '${{AWS::StackName}}-${{Service}}-{kebab}'
        - {{Service: {service}}}
      AlarmDescription: >-
        {text}
"""
TAIL = """\
      EvaluationPeriods: {periods}
      DatapointsToAlarm: {points}
      ComparisonOperator: GreaterThanThreshold
      Threshold: !Ref {threshold}
      TreatMissingData: notBreaching
      AlarmActions: [!Ref AlarmTopic]
"""
DIMENSIONS = """\
{indent}Dimensions:
{indent}  - {{Name: Deployment, Value: !Ref AWS::StackName}}
{indent}  - {{Name: Service, Value: {service}}}
"""
SOURCE = """\
        - Id: {id}
          ReturnData: false
          MetricStat:
            Metric:
              Namespace: Spanlake/Services
              MetricName: {metric}
{dimensions}            Period: 300
            Stat: Sum
"""


def single(metric):
    def body(service):
        return (
            f"      Namespace: Spanlake/Services\n      MetricName: {metric}\n"
            + DIMENSIONS.format(indent=" " * 6, service=service)
            + "      Statistic: Maximum\n      Period: 60\n"
        )

    return body


def expressions(label, steps, sources):
    """A chain of expressions, of which the last is the figure, over sums of five minutes."""

    def body(service):
        dimensions = DIMENSIONS.format(indent=" " * 14, service=service)
        lines = ["      Metrics:\n"]
        for place, (name, expression) in enumerate(steps):
            is_last = place == len(steps) - 1
            shown = f"          Label: {label}\n" if is_last else "          ReturnData: false\n"
            lines.append(f"        - Id: {name}\n{shown}          Expression: {expression}\n")
        lines += [SOURCE.format(id=name, metric=metric, dimensions=dimensions) for name, metric in sources]
        return "".join(lines)

    return body


RATE = expressions(
    "percent of requests that failed",
    [("percent", "!Sub 'IF(requests >= ${ServiceRequestsMin}, 100 * errors / requests, 0)'")],
    [("requests", "Requests"), ("errors", "Errors")],
)
DROP = expressions(
    "percent fewer requests",
    [
        ("total", "FILL(requests, 0)"),
        ("before", "total - DIFF(total)"),
        ("fallen", "!Sub 'IF(before >= ${ServiceRequestsMin}, 100 * (before - total) / before, 0)'"),
    ],
    [("requests", "Requests")],
)
# Name, how the alarm's name ends, what to do, the figure, periods, how many of them, parameter.
ALARMS = [
    (
        "ErrorsHigh",
        "errors-high",
        "Many requests of this service fail, counted before sampling. The saved queries `errors` and"
        " `failing-dependency` say where; `slow-traces` and `trace` show one.",
        RATE,
        1,
        1,
        "ServiceErrorPercent",
    ),
    (
        "ErrorsLow",
        "errors-low",
        "Some requests of this service have failed for a quarter of an hour, counted before sampling. The"
        " saved query `errors` says which.",
        RATE,
        3,
        3,
        "ServiceErrorPercentLow",
    ),
    (
        "P95",
        "p95",
        "Requests of this service are slow, counted before sampling. The saved queries `latency` and `slow-endpoints`"
        " say which, `database-calls` what they wait for.",
        single("P95Ms"),
        5,
        3,
        "ServiceP95Ms",
    ),
    (
        "P99",
        "p99",
        "The slowest requests of this service are very slow, counted before sampling. The saved query `slow-traces`"
        " shows some.",
        single("P99Ms"),
        5,
        3,
        "ServiceP99Ms",
    ),
    (
        "Drop",
        "drop",
        "This service suddenly gets fewer requests than five minutes before. See whether its callers still call"
        " (`who-calls-whom`), and whether it still sends telemetry (`services`).",
        DROP,
        1,
        1,
        "ServiceDropPercent",
    ),
]


def conditions():
    return "".join(CONDITION.format(slot=slot, service=SERVICE.format(index=slot - 1)) for slot in range(1, SLOTS + 1))


def alarms():
    texts = []
    for slot in range(1, SLOTS + 1):
        service = SERVICE.format(index=slot - 1)
        for name, kebab, text, figure, periods, points, threshold in ALARMS:
            head = HEAD.format(slot=slot, name=name, kebab=kebab, service=service, text=text)
            texts.append(head + figure(service) + TAIL.format(periods=periods, points=points, threshold=threshold))
    return "\n".join(texts)


def with_section(template, name, text):
    """The template with this text between the markers of a section."""
    place = re.compile(rf"(?<=\n)( *# generated: {re.escape(name)}, .*\n)(?s:.*?)( *# end of generated: {re.escape(name)}\n)")
    written, count = place.subn(lambda found: found[1] + text + found[2], template)
    if count != 1:
        raise ValueError(f"the template has {count} sections `{name}`")
    return written


def written(template):
    return with_section(with_section(template, "service conditions", conditions()), "service alarms", alarms())


def main():
    template = TEMPLATE.read_text()
    if "--write" in sys.argv[1:]:
        TEMPLATE.write_text(written(template))
    elif written(template) != template:
        print("the alarms of named services are not what this writes; run it with --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
