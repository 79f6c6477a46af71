"""Athena's SQL on DuckDB, by sqlglot: for a machine that cannot have Trino. Needs the packages of requirements-infra.txt.

Tables are views with the columns and types of Athena's DDL over the lake's files. What only Trino shows is not shown: how the
DDL's projection finds files, what Trino's Parquet reader takes, and what its type checker refuses.
"""

import datetime
import time

import duckdb
import sqlglot
from sqlglot import exp

# What sqlglot leaves as it is, since DuckDB has it under no name.
MACROS = {
    # Of microseconds, and without a zone: the lake's times are of whole milliseconds, and in UTC.
    "from_unixtime_nanos": "from_unixtime_nanos(nanos) AS make_timestamp(nanos // 1000)",
}

# What sqlglot turns into something else than Athena means, and what it becomes instead.
REWRITES = {
    # sqlglot drops the weight and takes DuckDB's sketch, which interpolates. The value at the quantile is Athena's for few values;
    # weighted ones are estimates, which are not compared whatever the engine.
    exp.ApproxQuantile: lambda node: exp.func("quantile_disc", node.this, node.args["quantile"], dialect="duckdb"),
}


def translated(text):
    """One statement of Athena's in DuckDB's dialect."""
    tree = sqlglot.parse_one(text, read="athena")
    return tree.transform(lambda node: REWRITES[type(node)](node) if type(node) in REWRITES else node).sql("duckdb")


def view(definition, lake):
    """The statement that makes a table of Athena's DDL a view over its files."""
    tree = sqlglot.parse_one(definition, read="athena")
    schema = tree.this
    columns = [*schema.expressions, *tree.find(exp.PartitionedByProperty).this.expressions]
    casts = ", ".join(f'CAST("{column.name}" AS {column.kind.sql("duckdb")}) AS "{column.name}"' for column in columns)
    files = f"{lake / schema.this.name}/**/*.parquet".replace("'", "''")
    read = f"read_parquet('{files}', hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"
    return f'CREATE VIEW "{schema.this.name}" AS SELECT {casts} FROM {read}'


def athenas_type(kind):
    """A column's type as Trino's client writes it."""
    return exp.DataType.build(str(kind), dialect="duckdb").sql("trino").lower()


def cell(value):
    """A value as Trino's JSON has it; structs stay dictionaries."""
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds").removesuffix("000")
    return value


def answered(connection, name, text, parameters):
    """What `trino-local` tells of a statement, as far as `athena.py` reads it."""
    begun = time.monotonic()
    try:
        cursor = connection.execute(translated(text), parameters)
        columns = [{"name": column[0], "type": athenas_type(column[1])} for column in cursor.description]
        rows = [[cell(value) for value in row] for row in cursor.fetchall()]
    except (duckdb.Error, sqlglot.errors.SqlglotError) as error:
        return {"name": name, "ok": False, "error": str(error), "rows": 0}
    taken_ms = round((time.monotonic() - begun) * 1000)
    return {"name": name, "ok": True, "columns": columns, "data": rows, "rows": len(rows), "wall_ms": taken_ms}


def answers(lake, asked, trace_id, definitions):
    """What DuckDB answered to each statement, by name."""
    with duckdb.connect() as connection:
        # Athena's zone.
        connection.execute("SET TimeZone = 'UTC'")
        for macro in MACROS.values():
            connection.execute(f"CREATE MACRO {macro}")
        for path in definitions:
            connection.execute(view(path.read_text(), lake))
        return {name: answered(connection, name, text, [trace_id] if "?" in text else []) for name, text, _ in asked}
