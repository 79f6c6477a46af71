"""Prices in USD, us-east-1, arm64, without free tiers, each with where it was read; and waits, which nobody has measured."""

READ = "2026-11-22"

# Secondary: not read on AWS's own price page. Check before you quote a figure.
SECONDARY = "secondary"
PRICES = {
    # name: (USD, unit, source)
    "lambda_request": (0.20e-6, "request", f"{SECONDARY}: several guides to Lambda's prices"),
    "lambda_gb_s": (0.0000133334, "GB-second, arm64", f"{SECONDARY}: several guides to Lambda's prices; 1,024 MB are a GB"),
    "shard_hour": (0.015, "shard-hour, provisioned", f"{SECONDARY}: api-evangelist/kinesis plans of May 2026, a trek10 blog"),
    "shard_retention_hour": (
        0.020,
        "shard-hour, records kept for more than a day",
        f"{SECONDARY}: api-evangelist/kinesis plans of May 2026",
    ),
    "put_unit": (0.014e-6, "25 KB of a record", f"{SECONDARY}: api-evangelist/kinesis plans of May 2026, a trek10 blog"),
    "s3_put": (5e-6, "PUT or LIST, swaps and refused ones too", f"{SECONDARY}: several guides to S3's prices"),
    "s3_get": (0.4e-6, "GET", f"{SECONDARY}: several guides to S3's prices"),
    "s3_month": (0.023, "GB-month, Standard", f"{SECONDARY}: several guides to S3's prices"),
    "s3_cold_month": (0.004, "GB-month, GLACIER_IR, 90 days at least", f"{SECONDARY}: several guides to S3's prices"),
    "s3_to_cold": (20e-6, "object moved to GLACIER_IR", f"{SECONDARY}: several guides to S3's prices"),
    "log_gb": (0.50, "GB of log lines taken in", f"{SECONDARY}: several guides to CloudWatch's prices"),
    "log_month": (0.03, "GB-month of log lines kept", f"{SECONDARY}: several guides to CloudWatch's prices"),
    "metric": (0.30, "metric-month", f"{SECONDARY}: several guides to CloudWatch's prices"),
    "alarm": (0.10, "metric of an alarm, a month", f"{SECONDARY}: several guides to CloudWatch's prices"),
    "dashboard": (3.00, "dashboard-month", f"{SECONDARY}: several guides to CloudWatch's prices"),
    "secret": (0.40, "secret-month", f"{SECONDARY}: hivebook.wiki on Secrets Manager"),
    "secret_call": (5e-6, "call of Secrets Manager", f"{SECONDARY}: hivebook.wiki on Secrets Manager"),
    "schedule": (1e-6, "call by a schedule", f"{SECONDARY}: cloudburn.io on EventBridge, March 2026"),
}
# Above so many GB-seconds a month, arm64, so much of the price is asked. Source: AWS's Compute Blog on tiered pricing.
TIERS = ((7.5e9, 1.0), (11.25e9, 0.9), (float("inf"), 0.8))

# Milliseconds a call, assumed. What twice as much comes to is on the page.
WAITS_MS = {"put_records": 20, "s3_get": 20, "s3_put": 40, "s3_list": 100, "s3_delete": 1_000}

HOURS = 730
SECONDS = HOURS * 3600


def price(name):
    return PRICES[name][0]


def gb_seconds(amount):
    """USD of a month's compute."""
    usd = 0.0
    for width, share in TIERS:
        usd += min(amount, width) * share * price("lambda_gb_s")
        amount = max(amount - width, 0.0)
    return usd
