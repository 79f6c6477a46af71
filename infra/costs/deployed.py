"""What the template deploys by default, as far as the bill needs it. tests/ci/bill.py holds each figure to the template."""

MEMORY_MB = {"ingest": 256, "grouper": 1769, "archiver": 1024}
CONCURRENCY = {"ingest": 20, "grouper": 4, "archiver": 2}
TIMEOUT_S = {"ingest": 15, "grouper": 300, "archiver": 900}
SHARDS = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128)
SHARDS_DEFAULT = 1
BATCHING_S = 5
ARCHIVE_MINUTES = 1
SWEEP_HOURS = 3
RETENTION_HOURS = 48
BACKSTOP_DAYS = 14
LOG_DAYS = 14
HOT_DAYS, KEPT_DAYS = 7, 30
COLD_BYTES_MIN = 4_194_304
# Without named services.
METRICS = 21
ALARM_METRICS = 25
DASHBOARDS = 1
SECRETS = 1
# Requests a second that a function's URL takes for each call at a time.
URL_RATE = 10
# A vCPU has this much memory.
VCPU_MB = 1769


def gb(function):
    return MEMORY_MB[function] / 1024


def vcpus(function):
    """Of one thread: never more than one."""
    return min(MEMORY_MB[function] / VCPU_MB, 1.0)
