"""The most that an hour can cost, whoever sends whatever: a formula over what the template deploys."""

from . import deployed
from .model import (
    BATCH_RAW_BYTES,
    EVENT_BYTES_MAX,
    FILE_RAW_BYTES,
    RAW_BYTES,
    SEAL_RAW_BYTES,
    SHARD_BYTES,
    SHARD_RECORDS,
    UNIT_BYTES,
)
from .prices import WAITS_MS, price

HOUR = 3600
# Of shared/aws: an unknown token makes an environment read the secret again, at most once in so many seconds.
SECRET_S = 15
# A request that the stream does not take writes its counts, and why.
LOG_LINES = 2
TABLES = 9


def worst(measured, of=deployed):
    """Lines in USD for an hour, each with its formula; `of` says what is deployed."""
    shards, concurrency = of.SHARDS_DEFAULT, of.CONCURRENCY
    requests = concurrency["ingest"] * of.URL_RATE * HOUR
    line_bytes = max(found["line_bytes"] for found in measured["program"].values())
    group = min(found["group"] for found in measured["stages"].values()) / 1e9
    # A piece of so many raw bytes takes CPU, then a staged object and a swap, and for each sealed part three writes.
    writes = 2 + 3 * BATCH_RAW_BYTES / SEAL_RAW_BYTES
    piece_s = BATCH_RAW_BYTES / RAW_BYTES["lean"] * group + writes * WAITS_MS["s3_put"] / 1000
    pieces = shards * HOUR / piece_s
    batches = shards * HOUR * max(SHARD_BYTES * 4 / 3 / EVENT_BYTES_MAX, 1 / of.BATCHING_S)
    files = pieces * BATCH_RAW_BYTES / FILE_RAW_BYTES * TABLES
    stored_gb = shards * SHARD_BYTES * HOUR / 1e9
    calls = requests + batches + HOUR / 60

    def compute(function):
        usd = concurrency[function] * HOUR * of.MEMORY_MB[function] / 1024 * price("lambda_gb_s")
        return f"{concurrency[function]} calls x 3,600 s x {of.MEMORY_MB[function]} MB / 1,024 x {price('lambda_gb_s'):.10f}", usd

    return {
        "ingest: compute": compute("ingest"),
        "grouper: compute": compute("grouper"),
        "archiver: compute": compute("archiver"),
        "calls of functions": (
            f"({concurrency['ingest']} x {of.URL_RATE} requests a second x 3,600 + {batches:,.0f} batches + 60) "
            f"x {price('lambda_request'):.7f}",
            calls * price("lambda_request"),
        ),
        "stream: shards": (
            f"{shards} x ({price('shard_hour')} + {price('shard_retention_hour')})",
            shards * (price("shard_hour") + price("shard_retention_hour")),
        ),
        "stream: PUT units": (
            f"{shards} x ({SHARD_RECORDS:,} + {SHARD_BYTES:,.0f} / {UNIT_BYTES:,}) a second x 3,600 x {price('put_unit'):.9f}",
            shards * (SHARD_RECORDS + SHARD_BYTES / UNIT_BYTES) * HOUR * price("put_unit"),
        ),
        "state: objects and swaps": (
            f"{shards} x 3,600 / {piece_s:.2f} s a piece of 16 MiB x {writes:.0f} writes x {price('s3_put'):.6f}",
            pieces * writes * price("s3_put"),
        ),
        "lake: files": (
            f"a set of {TABLES} files for 64 MiB of the same pieces x {price('s3_put'):.6f}",
            files * price("s3_put"),
        ),
        "logs": (
            f"{concurrency['ingest']} x {of.URL_RATE} x 3,600 x {LOG_LINES} lines x {line_bytes} bytes "
            f"x {price('log_gb'):.2f} a GB",
            requests * LOG_LINES * line_bytes / 1e9 * price("log_gb"),
        ),
        "calls of Secrets Manager": (
            f"{concurrency['ingest']} x 3,600 / {SECRET_S} s x {price('secret_call'):.6f}",
            concurrency["ingest"] * HOUR / SECRET_S * price("secret_call"),
        ),
        "storage, over the next month": (
            f"{stored_gb:.1f} GB that nothing compresses: staged and sealed for {of.BACKSTOP_DAYS + 1.5} days, "
            f"in the lake for {of.KEPT_DAYS}, x {price('s3_month')} a month",
            stored_gb * price("s3_month") * (2 * (of.BACKSTOP_DAYS + 1.5) + of.KEPT_DAYS) / 30,
        ),
    }


def total(measured, of=deployed):
    """USD for an hour."""
    return sum(usd for _, usd in worst(measured, of).values())
