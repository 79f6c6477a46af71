"""What the alarms and the dashboard of the template must be: an alarm for everything that was promised, over metrics that
exist. Checks as in `invariants`, in the same list."""

import json
import re
from collections import Counter

from cfn import Resolved
from invariants import GUIDES, RETENTION_HOURS, check, equal, functions, holds

DESCRIPTION_MAX = 1_024

# What the functions write, in the namespaces `Spanlake` and `Spanlake/Services`.
DEPLOYMENT_METRICS = {
    "Requests",
    "Refused4xx",
    "Throttled",
    "Unavailable",
    "Items",
    "RejectedItems",
    "Records",
    "QuarantinedRecords",
    "CloseFailures",
    "ClockAheadSeconds",
    "DuplicateItems",
    "Committed",
    "Kept",
    "SampledOut",
    "DroppedItems",
    "PendingItems",
    "ArchiveLagSeconds",
    "FilesWritten",
    "BytesWritten",
    "MissingObjects",
    "RulesRefused",
}
SERVICE_METRICS = {"Requests", "Errors", "ErrorPercent", "P50Ms", "P95Ms", "P99Ms"}


def alarms(template, **given):
    made = Resolved(template, **given).resources()
    return {name: resource["Properties"] for name, resource in made.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}


@check
def every_alarm_goes_to_the_topic_and_says_what_to_do(template):
    every = alarms(template, Services="a,b,c,d,e")
    names = Counter(alarm["AlarmName"] for alarm in every.values())
    equal([name for name, times in names.items() if times > 1], [], "alarms of one name")
    for name, alarm in every.items():
        equal(alarm["AlarmActions"], ["<AlarmTopic>"], f"where {name} goes")
        sentences = re.findall(r"[A-Z`].+?[.:](?=\s|$)", alarm["AlarmDescription"])
        holds(len(sentences) >= 2 and len(alarm["AlarmDescription"]) <= DESCRIPTION_MAX, f"{name} does not say what to do")
        holds(
            alarm["TreatMissingData"] == ("breaching" if name == "ArchiverStoppedAlarm" else "notBreaching"),
            f"{name} without data",
        )
        holds(alarm["DatapointsToAlarm"] <= alarm["EvaluationPeriods"], f"{name} can never alarm")
    topic = Resolved(template, AlarmEmail="me@example.com").resources()
    equal(
        topic["AlarmMail"]["Properties"], {"TopicArn": "<AlarmTopic>", "Protocol": "email", "Endpoint": "me@example.com"}, "mail"
    )
    holds("AlarmMail" not in Resolved(template).resources(), "mail without an address")


@check
def every_alarm_has_a_section_of_the_runbook(template):
    headings = re.findall(r"^### `([\w-]+)`$", (GUIDES / "aws-alarms.md").read_text(), re.M)
    equal([name for name, times in Counter(headings).items() if times > 1], [], "alarms with two sections")
    # Of a named service, the service is part of the name.
    ends = {re.sub(r"^<AWS::StackName>-(a-)?", "", alarm["AlarmName"]) for alarm in alarms(template, Services="a,a,a,a,a").values()}
    equal(sorted(headings), sorted(ends), "sections of docs/guides/aws-alarms.md")


@check
def the_alarms_are_at_the_marks_that_were_promised(template):
    every = alarms(template)
    age = lambda part: ("IteratorAge", RETENTION_HOURS * 3_600_000 // part)  # noqa: E731
    expected = {
        "IteratorAgeQuarterAlarm": age(4),
        "IteratorAgeHalfAlarm": age(2),
        "Ingest5xxAlarm": ("Url5xxCount", 0),
        "IngestThrottlesAlarm": ("Throttles", 0),
        "StreamThrottlesAlarm": ("Throttled", 0),
        "QuarantineAlarm": ("QuarantinedRecords", 0),
        "DroppedItemsAlarm": ("DroppedItems", 0),
        "ArchiveLagAlarm": ("ArchiveLagSeconds", 900),
        "ArchiveLagBackstopAlarm": ("ArchiveLagSeconds", 14 * 86_400 // 4),
        "MissingObjectsAlarm": ("MissingObjects", 0),
        "SpendAlarm": ("Invocations", "0.25"),
        "FunctionErrorsAlarm": ("Errors", 0),
        "GrouperThrottlesAlarm": ("Throttles", 0),
        "CloseFailuresAlarm": ("CloseFailures", 0),
        "ArchiverStoppedAlarm": ("Invocations", 1),
        "ClockAheadAlarm": ("ClockAheadSeconds", 300),
        "RulesRefusedAlarm": ("RulesRefused", 0),
    }
    got = {name: (sources(alarm)[0]["MetricName"], alarm["Threshold"]) for name, alarm in every.items()}
    equal(got, expected, "alarms")
    fresh = next(metric for metric in every["DroppedItemsAlarm"]["Metrics"] if metric.get("ReturnData", True))
    equal(fresh["Expression"], "DIFF(dropped)", "the figure of dropped items, which only grows")


def sources(alarm):
    """The metrics that an alarm reads."""
    if "Metrics" not in alarm:
        return [alarm]
    return [metric["MetricStat"]["Metric"] for metric in alarm["Metrics"] if "MetricStat" in metric]


@check
def named_services_have_five_alarms_each(template):
    holds(not any(name.startswith("Service") for name in alarms(template)), "alarms for services that nobody named")
    every = {name: alarm for name, alarm in alarms(template, Services="shop,cart").items() if name.startswith("Service")}
    expected = {"ErrorsHigh": "5", "ErrorsLow": "1", "P95": "1000", "P99": "2000", "Drop": "50"}
    for slot, service in ((1, "shop"), (2, "cart")):
        got = {name: every.pop(f"Service{slot}{name}Alarm") for name in expected}
        equal({name: alarm["Threshold"] for name, alarm in got.items()}, expected, f"alarms of service {slot}")
        for alarm in got.values():
            dimensions = [{"Name": "Deployment", "Value": "<AWS::StackName>"}, {"Name": "Service", "Value": service}]
            equal([source["Dimensions"] for source in sources(alarm)], [dimensions] * len(sources(alarm)), "dimensions")
    equal(sorted(every), [], "alarms for services that nobody named")
    for count in range(7):
        named = [name for name in alarms(template, Services=",".join("abcdef"[:count])) if name.startswith("Service")]
        slots = sorted({int(name[len("Service")]) for name in named})
        equal((len(named), slots), (5 * min(count, 5), list(range(1, min(count, 5) + 1))), f"alarms with {count} services")


@check
def alarms_and_dashboard_read_metrics_that_exist(template):
    named = [source for alarm in alarms(template, Services="a,b,c,d,e").values() for source in sources(alarm)]
    for source in named:
        known = {"Spanlake": DEPLOYMENT_METRICS, "Spanlake/Services": SERVICE_METRICS}.get(source["Namespace"])
        holds(known is None or source["MetricName"] in known, f"nobody writes {source['Namespace']} {source['MetricName']}")
        dimensions = {
            "Spanlake": ["Deployment"],
            "Spanlake/Services": ["Deployment", "Service"],
            "AWS/Lambda": ["FunctionName"],
            "AWS/Kinesis": ["StreamName"],
        }[source["Namespace"]]
        equal([dimension["Name"] for dimension in source["Dimensions"]], dimensions, f"dimensions of {source['MetricName']}")
    board = json.loads(Resolved(template).resources()["Dashboard"]["Properties"]["DashboardBody"])
    text = json.dumps(board)
    own = set(re.findall(r'\["Spanlake", "(\w+)"', text))
    services = set(re.findall(r'Spanlake/Services,[^\']*MetricName=\\"(\w+)\\"', text))
    holds(own <= DEPLOYMENT_METRICS and services <= SERVICE_METRICS, f"the dashboard reads what nobody writes: {own | services}")
    shown = {"Requests", "ErrorPercent", "P50Ms", "P95Ms", "P99Ms"}
    equal(services & shown, shown, "figures by service")
    needed = {
        "Committed",
        "Kept",
        "SampledOut",
        "DroppedItems",
        "PendingItems",
        "ArchiveLagSeconds",
        "FilesWritten",
        "BytesWritten",
    }
    holds(needed <= own and "IteratorAge" in text and "usd" in text, "the dashboard lacks ledger, lag or cost")
    ids = [
        metric[-1]["id"]
        for widget in board["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if isinstance(metric[-1], dict) and "id" in metric[-1]
    ]
    holds(all(re.fullmatch(r"[a-z]\w*", name) for name in ids), "an id of the dashboard is none")


@check
def the_spend_is_counted_at_the_price_of_the_processor(template):
    for architecture, price in (("arm64", "0.0000133334"), ("x86_64", "0.0000166667")):
        metrics = alarms(template, Architecture=architecture, Shards="4")["SpendAlarm"]["Metrics"]
        expression = metrics[0]["Expression"]
        holds(price in expression and "+ 4 * 0.035" in expression, f"prices for {architecture}")
        ids = {metric["Id"] for metric in metrics[1:]}
        equal(ids, set(re.findall(r"FILL\((\w+), 0\)", expression)), "figures of the spend")
        # More than ten cannot be in one alarm.
        holds(len(metrics) <= 10, "too many metrics in one alarm")
        sizes = [function["MemorySize"] for function in functions(template).values()]
        shares = re.findall(r"FILL\(\w+Ms, 0\)(?: \* ([\d.]+))?", expression)
        equal([round(1024 * float(share or 1)) for share in shares], sizes, "memory in the price")
    # The dashboard shows the same figure.
    board = Resolved(template).resources()["Dashboard"]["Properties"]["DashboardBody"]
    shown = re.search(r'"expression": "(\(FILL[^"]+)"', json.dumps(json.loads(board)))[1]
    equal(shown, " ".join(alarms(template)["SpendAlarm"]["Metrics"][0]["Expression"].split()), "the dashboard's cost")


@check
def a_budget_is_only_made_when_it_is_asked_for(template):
    asked = {"AlarmEmail": "me@example.com", "MonthlyBudget": 100}
    for given in ({}, {"AlarmEmail": "me@example.com"}, {"MonthlyBudget": 100}):
        holds("Budget" not in Resolved(template, **given).resources(), f"a budget with {given}")
    budget = Resolved(template, **asked).resources()["Budget"]["Properties"]
    equal(budget["Budget"]["BudgetLimit"], {"Amount": "100", "Unit": "USD"}, "budget")
