#!/usr/bin/env python3
"""Other engines read the lake as Spanlake does: DuckDB and pyarrow against `spanlake sql`, row by row and value by value.

    tests/ci/engines.py PATH-OF-SPANLAKE DATA-FOLDER

Exit code 0: every table has the same rows in all three. 1: some differ, each is named. 2: something could not be run.
Needs the packages of requirements.txt.
"""

import datetime
import json
import pathlib
import subprocess
import sys
from collections import Counter

import duckdb
import pyarrow
import pyarrow.dataset
import pyarrow.types as types

TABLES = ["spans", "traces", "logs", "metrics_number", "metrics_histogram", "metrics_exp_histogram", "metrics_summary", "red_1m",
          "service_edges_1m", "decisions"]
PARTITIONS = pyarrow.schema([("dt", pyarrow.string()), ("hour", pyarrow.string())])
SHOWN_DIFFERENCES = 3


class Failure(Exception):
    """Something could not be run; the text says what."""


# --- the three readers: a list of rows as dictionaries, and for Arrow the types of columns -------------------------------

def by_spanlake(binary, data, table):
    command = [str(binary), "sql", f"SELECT * FROM {table}", "--data", str(data), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    if "only the first" in done.stderr:
        raise Failure(f"{table} has more rows than `spanlake sql` shows: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.split("\n") if line.strip()]


def by_duckdb(files):
    query = f"SELECT * FROM read_parquet({files!r}, hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"
    read = duckdb.sql(query).arrow()
    return read.read_all() if hasattr(read, "read_all") else read


def by_pyarrow(folder):
    partitioning = pyarrow.dataset.partitioning(PARTITIONS, flavor="hive")
    return pyarrow.dataset.dataset(folder, format="parquet", partitioning=partitioning).to_table()


# --- one form for a value, whoever read it -------------------------------------------------------------------------------

def milliseconds(text):
    at = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return (at - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


def plain(value, kind):
    """A value as JSON can hold it without loss; doubles as their shortest text, times as milliseconds."""
    if value is None:
        return None
    if types.is_timestamp(kind):
        return milliseconds(value) if isinstance(value, str) else value // 1000
    if types.is_floating(kind):
        return repr(float(value))
    if types.is_list(kind) or types.is_large_list(kind):
        return [plain(element, kind.value_type) for element in value]
    if types.is_map(kind):
        pairs = value.items() if isinstance(value, dict) else value
        return {key: plain(element, kind.item_type) for key, element in pairs}
    if types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind}
    return value


def plain_row(row, kinds):
    if set(row) != set(kinds):
        raise Failure(f"columns differ: {sorted(set(row) ^ set(kinds))}")
    return json.dumps({name: plain(row[name], kind) for name, kind in kinds.items()}, sort_keys=True, ensure_ascii=False)


def arrow_rows(table):
    kinds = {field.name: field.type for field in table.schema}
    for place, field in enumerate(table.schema):
        if types.is_timestamp(field.type):
            micros = table.column(place).cast(pyarrow.timestamp("us", field.type.tz)).cast(pyarrow.int64())
            table = table.set_column(place, field.name, micros)
    return Counter(plain_row(row, kinds) for row in table.to_pylist()), kinds


# --- comparing -----------------------------------------------------------------------------------------------------------

def show_differences(name, ours, theirs):
    print(f"    {name}: {sum(theirs.values())} rows, Spanlake has {sum(ours.values())}")
    pairs = zip(sorted(ours - theirs), sorted(theirs - ours))
    for number, (one, other) in enumerate(pairs):
        if number == SHOWN_DIFFERENCES:
            break
        one, other = json.loads(one), json.loads(other)
        for column in one:
            if one[column] != other.get(column):
                print(f"        {column}: Spanlake {one[column]!r}, {name} {other.get(column)!r}")


def compare(binary, data, table):
    folder = data / "lake" / "v1" / table
    files = sorted(str(path) for path in folder.glob("**/*.parquet"))
    shown = by_spanlake(binary, data, table)
    # The demo fills every table: an empty one means that this check proves nothing.
    if not files or not shown:
        print(f"{table:22} {len(files):3} files, {len(shown):6} rows: expected some")
        return False
    theirs = {"DuckDB": arrow_rows(by_duckdb(files)), "pyarrow": arrow_rows(by_pyarrow(folder))}
    ours = Counter(plain_row(row, theirs["pyarrow"][1]) for row in shown)
    values = len(shown) * len(theirs["pyarrow"][1])
    differing = [name for name, (rows, _) in theirs.items() if rows != ours]
    print(f"{table:22} {len(files):3} files, {len(shown):6} rows, {values:8} values, {'differ' if differing else 'equal'}", flush=True)
    for name in differing:
        show_differences(name, ours, theirs[name][0])
    return not differing


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    binary, data = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    try:
        agree = [compare(binary, data, table) for table in TABLES]
        unknown = {path.name for path in (data / "lake" / "v1").iterdir()} - set(TABLES)
        if unknown:
            raise Failure(f"tables that this check does not know: {sorted(unknown)}")
    except (Failure, OSError, subprocess.SubprocessError, duckdb.Error, pyarrow.ArrowException) as failure:
        print(f"could not be run: {failure}", file=sys.stderr)
        return 2
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
