"""What infra/costs says of the template is so, and its page tells the worst hour of this template. Checks join the invariants."""

import json
import re
from types import SimpleNamespace

from cfn import ROOT, Resolved, of_type
from costs import attack, deployed
from costs.prices import price
from invariants import check, equal, functions, holds
from invariants_alarms import DEPLOYMENT_METRICS

MEASURED = json.loads((ROOT / "infra" / "cost.json").read_text())
PAGE = ROOT / "infra" / "cost.md"
NAMES = {"ingest": "Ingest", "grouper": "Grouper", "archiver": "Archiver"}


def of_functions(template, key):
    made = functions(template)
    return {name: int(made[of][key]) for name, of in NAMES.items()}


def in_alarms(made):
    """Metrics that alarms look at: each is billed."""
    alarms = [resource["Properties"] for resource in made.values() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    return sum(sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1 for alarm in alarms)


def rules_of(made, bucket):
    rules = made[bucket]["Properties"]["LifecycleConfiguration"]["Rules"]
    return {rule["Id"]: rule for rule in rules}


@check
def the_bill_counts_what_is_deployed(template):
    made = Resolved(template).resources()
    for key, told in (
        ("MemorySize", deployed.MEMORY_MB),
        ("ReservedConcurrentExecutions", deployed.CONCURRENCY),
        ("Timeout", deployed.TIMEOUT_S),
    ):
        equal(told, of_functions(template, key), f"{key} in infra/costs/deployed.py")
    shards = template["Parameters"]["Shards"]
    equal(deployed.SHARDS, tuple(map(int, shards["AllowedValues"])), "numbers of shards")
    equal(str(deployed.SHARDS_DEFAULT), shards["Default"], "shards")
    stream = made["Stream"]["Properties"]
    equal(deployed.RETENTION_HOURS, stream["RetentionPeriodHours"], "retention of the stream")
    batching = made["GrouperFunction"]["Properties"]["Events"]["Records"]["Properties"]["MaximumBatchingWindowInSeconds"]
    equal(deployed.BATCHING_S, batching, "batching window")
    rates = [made[f"{name}Schedule"]["Properties"]["ScheduleExpression"] for name in ("Archive", "Sweep")]
    equal([f"rate({deployed.ARCHIVE_MINUTES} minute)", f"rate({deployed.SWEEP_HOURS} hours)"], rates, "schedules")
    state, lake = rules_of(made, "StateBucket"), rules_of(made, "LakeBucket")
    equal(deployed.BACKSTOP_DAYS, int(state["staged"]["ExpirationInDays"]), "days of the state")
    cold, days = lake["cold"], lake["delete"]["ExpirationInDays"]
    equal(
        (deployed.HOT_DAYS, deployed.KEPT_DAYS, deployed.COLD_BYTES_MIN),
        (int(cold["Transitions"][0]["TransitionInDays"]), int(days), int(cold["ObjectSizeGreaterThan"])),
        "days and sizes of the lake",
    )
    equal(deployed.LOG_DAYS, int(made["IngestLogs"]["Properties"]["RetentionInDays"]), "days of logs")
    equal(
        (deployed.DASHBOARDS, deployed.SECRETS),
        (len(of_type(template, "AWS::CloudWatch::Dashboard")), len(of_type(template, "AWS::SecretsManager::Secret"))),
        "dashboards and secrets",
    )
    equal(deployed.METRICS, len(DEPLOYMENT_METRICS), "metrics of the deployment")
    equal(deployed.ALARM_METRICS, in_alarms(made), "metrics of alarms")


@check
def the_worst_hour_of_the_page_is_the_templates(template):
    properties = {key: of_functions(template, key) for key in ("MemorySize", "ReservedConcurrentExecutions")}
    parameters = Resolved(template).parameters
    found = SimpleNamespace(**{name: value for name, value in vars(deployed).items() if name.isupper()})
    found.MEMORY_MB, found.CONCURRENCY = properties["MemorySize"], properties["ReservedConcurrentExecutions"]
    found.SHARDS_DEFAULT, found.KEPT_DAYS = int(parameters["Shards"]), int(parameters["KeptDays"])
    told = re.search(r"\*\*USD ([\d.]+) an hour\*\*", PAGE.read_text())
    holds(told, "the page does not tell the worst hour")
    equal(told[1], f"{attack.total(MEASURED, found):.2f}", "USD in the worst hour, as infra/cost.md tells it")


@check
def the_spend_alarm_asks_the_bills_prices(template):
    alarm = Resolved(template).resources()["SpendAlarm"]["Properties"]
    expression = next(metric["Expression"] for metric in alarm["Metrics"] if metric["Id"] == "usd")
    asked = {float(number) for number in re.findall(r"\* (0\.\d+)", expression)}
    prices = {price(name) for name in ("lambda_request", "lambda_gb_s", "put_unit", "s3_put")}
    shard = round(price("shard_hour") + price("shard_retention_hour"), 6)
    holds({*prices, shard} <= asked, f"the spend alarm multiplies by {sorted(asked)}, the bill by {sorted({*prices, shard})}")
