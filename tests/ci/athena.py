#!/usr/bin/env python3
"""Athena's engine reads the lake as Spanlake does: a real Trino gets the DDL and the saved queries that are meant for Athena.

    tests/ci/athena.py PATH-OF-SPANLAKE DATA-FOLDER INSTALL-FOLDER [TABLES] [--engine trino|duckdb|either]

The DDL is given to Trino as Glue tables, partition projection included; or TABLES, the template's own, as `tests/ci/cfn.py` prints
them. Every row of every table and every answer of a saved
query must be what Spanlake says of the same files. The first run installs Trino (268 MB) into INSTALL-FOLDER.
Exit code 0: all equal. 1: some differ, each is named. 2: something could not be installed or run.
Needs Java 17 to 25 and, for the installation, Maven; no Python packages.

`--engine either` asks DuckDB where Trino cannot be installed, and `duckdb` does at once: the same statements, turned into its
dialect by sqlglot (`transpiled.py`), over the columns and types of the DDL. That shows the answers; that Athena takes the statements
and the DDL as they are, and what it reads, only Trino shows. Needs the packages of requirements-infra.txt.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import permutations

HERE = pathlib.Path(__file__).resolve().parent
TOOL = HERE / "trino" / "trino-local"
ATHENA = HERE.parent.parent / "infra" / "athena"
INSTALL_LIMIT_S, RUN_LIMIT_S = 420, 300
SHOWN_DIFFERENCES = 3
# What the DDL's parameters become: the lake is kept for 30 days.
VARIABLES = ["--var", "LakeBucket=lake", "--var", "LakeDays=31"]
# Trino lists an hour that is not there twice: two periods of a day.
MOST_LISTS_PER_TABLE = 2 * 49

# Further hours that hold a copy of each table's smallest file: days back, hour. They lie at the edges of what the DDL
# projects, which answers with no rows, and without an error, if it is wrong. None is within two days: saved queries look there.
EDGES = [(30, "00"), (16, "09"), (3, "23")]

# One text for both engines, for the functions that Spanlake has under Athena's names.
STATEMENTS = {
    "element_at of a map": "SELECT element_at(attributes, 'url.template') AS template, count(*) AS n FROM spans GROUP BY 1"
                           " ORDER BY 2 DESC, 1",
    "from_unixtime_nanos": "SELECT count(*) AS n FROM spans WHERE from_unixtime_nanos(start_unix_nano) >= start_time",
    "approx_percentile of few values": "SELECT CAST(approx_percentile(http_response_status_code, 0.5) AS double) AS status"
                                       " FROM spans",
    "weights": "SELECT service_name, round(sum(sampling_weight)) AS spans FROM spans GROUP BY 1 ORDER BY 1",
    "traces joined with spans": "SELECT t.root_service, count(*) AS spans FROM traces t JOIN spans s ON s.trace_id = t.trace_id"
                                " AND s.dt = t.dt AND s.hour = t.hour GROUP BY 1 ORDER BY 1",
}

# Saved queries that the demo's lake rightly answers with no rows: its services send in time.
MAY_BE_EMPTY = {"late-spans"}


class Failure(Exception):
    """Something could not be run; the text says what."""


def run(command, limit_s, **options):
    """The finished process; ends it with its children when it takes too long."""
    process = subprocess.Popen([str(part) for part in command], text=True, start_new_session=True, **options)
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise Failure(f"{command[0]} {command[1]} took more than {limit_s} s") from None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


# --- what is read --------------------------------------------------------------------------------------------------------

def with_edges(data, into):
    """A copy of the data folder with more hours in its lake."""
    shutil.copytree(data, into)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    for table in sorted((into / "lake" / "v1").iterdir()):
        smallest = min(table.glob("**/*.parquet"), key=lambda path: (path.stat().st_size, path.name))
        for days, hour in EDGES:
            folder = table / f"dt={today - datetime.timedelta(days=days)}" / f"hour={hour}"
            folder.mkdir(parents=True)
            shutil.copy(smallest, folder)


def statements(tables, trace_id):
    """Name, text and Spanlake's arguments of everything that both are asked; Trino gets `?` by a directive."""
    asked = [(f"table {table}", f"SELECT * FROM {table}", None) for table in tables]
    asked += [(name, text, None) for name, text in STATEMENTS.items()]
    for path in sorted((ATHENA / "queries").glob("*.sql")):
        text = path.read_text().strip().rstrip(";")
        arguments = ["--saved", path.stem] + (["--trace-id", trace_id] if "?" in text else [])
        asked.append((path.stem, text, arguments))
    return asked


# --- the two readers: a list of rows, each a dictionary ------------------------------------------------------------------

def by_spanlake(binary, data, arguments):
    command = [binary, "sql", "--data", data, "--format", "json", *arguments]
    done = run(command, RUN_LIMIT_S, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0 or "only the first" in done.stderr:
        raise Failure(f"spanlake sql {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.split("\n") if line.strip()]


def by_trino(tools, data, asked, trace_id, work, definitions):
    """What Trino answered to each statement, by name."""
    script = work / "asked.sql"
    parameters = {name: f"-- params: '{trace_id}'\n" if "?" in text else "" for name, text, _ in asked}
    script.write_text("".join(f"-- name: {name}\n{parameters[name]}{text};\n\n" for name, text, _ in asked))
    ddl = [part for path in definitions for part in ("--ddl", path)]
    where = ["--lake", data, *VARIABLES, "--database", "spanlake"]
    command = [TOOL, "run", *where, *ddl, "--sql", script, "--format", "json"]
    done = run(command, RUN_LIMIT_S, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=tools)
    print(done.stderr.strip(), flush=True)
    answers = {answer["name"]: answer for answer in map(json.loads, filter(None, done.stdout.split("\n")))}
    if "warning" in done.stderr or set(answers) != set(parameters):
        raise Failure(f"Trino answered {len(answers)} of {len(parameters)} statements, or warned of the DDL")
    return answers


# --- one form for a value, whoever read it -------------------------------------------------------------------------------

def parts(text):
    """`a b(c, d), e` -> [`a b(c, d)`, `e`]"""
    depth, found = 0, [""]
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [part.strip() for part in found]


def plain(value, kind):
    """A value in the form of Trino's JSON: structs as lists, times with a space and without a zone."""
    if value is None:
        return None
    outer, _, inner = kind.partition("(")
    inner = inner[:-1]
    if outer == "timestamp":
        return value.replace("T", " ").removesuffix("Z")
    if outer in ("double", "real"):
        return repr(float(value))
    if outer == "array":
        return [plain(element, inner) for element in value]
    if outer == "map":
        return {key: plain(element, parts(inner)[1]) for key, element in value.items()}
    if outer == "row":
        fields = [part.replace('"', "").split(" ", 1) for part in parts(inner)]
        values = [value[name] for name, _ in fields] if isinstance(value, dict) else value
        return [plain(element, field[1]) for element, field in zip(values, fields)]
    return value


def rows_as_text(rows, kinds):
    return [json.dumps({name: plain(row[name], kind) for name, kind in kinds.items()}, sort_keys=True) for row in rows]


def differences(engine, name, text, ours, answer):
    """What is wrong with the engine's answer, a line each; none if it is Spanlake's."""
    if not answer["ok"]:
        return [f"{engine}: {answer['error']}"]
    kinds = {column["name"]: column["type"] for column in answer["columns"]}
    theirs = [dict(zip(kinds, row)) for row in answer["data"]]
    if ours and set(ours[0]) != set(kinds):
        return [f"columns differ: {sorted(set(ours[0]) ^ set(kinds))}"]
    if not theirs and name not in MAY_BE_EMPTY:
        return ["no rows"]
    # A weighted percentile of a sample is an estimate, and each engine's algorithm is another: neither its value nor the order by
    # it can be compared.
    estimates = {column for column in kinds if re.fullmatch(r"p\d+_ms", column)} if "approx_percentile(" in text else set()
    kinds = {column: kind for column, kind in kinds.items() if column not in estimates}
    mine, theirs = rows_as_text(ours, kinds), rows_as_text(theirs, kinds)
    found = [f"Spanlake has {len(mine)} rows, {engine} {len(theirs)}"]
    if estimates or name.startswith("table "):
        # Without an order: the rows that only one of them has.
        mine, theirs = (sorted((one - other).elements()) for one, other in permutations([Counter(mine), Counter(theirs)]))
    if mine == theirs:
        return []
    differing = [(json.loads(one), json.loads(other)) for one, other in zip(mine, theirs) if one != other]
    return found + [
        f"{column}: Spanlake {one[column]!r}, {engine} {other[column]!r}"
        for one, other in differing[:SHOWN_DIFFERENCES] for column in kinds if one[column] != other[column]
    ]


def compare(engine, name, text, is_saved, ours, answer):
    """Prints what was found; whether all is equal."""
    found = differences(engine, name, text, ours, answer)
    cost = f"{answer['wall_ms']:5} ms"
    # Only Trino reads over S3.
    if "s3_lists" in answer:
        cost += f", {answer['s3_bytes']:7} bytes in {answer['s3_gets']:2} GETs, {answer['s3_lists']:4} LISTs"
        if is_saved and answer["s3_lists"] > MOST_LISTS_PER_TABLE * text.count("WHERE dt"):
            found.append(f"lists more hours than it needs: {answer['s3_lists']} requests")
    print(f"{'differ' if found else 'equal '} {name:32} {answer['rows']:6} rows, {cost}", flush=True)
    for line in found:
        print(f"    {line}")
    return not found


# --- the check -----------------------------------------------------------------------------------------------------------

def chosen(engine, tools):
    """Trino, once it is installed; DuckDB if that is asked for, or may stand in where Trino cannot be had."""
    if engine == "duckdb":
        return "DuckDB"
    why = "it needs Java 17 to 25, Maven (mvn) and Maven's registry"
    try:
        if run([TOOL, "install"], INSTALL_LIMIT_S, env=tools).returncode == 0:
            return "Trino"
    except Failure as failure:
        why = str(failure)
    if engine == "trino":
        raise Failure(f"Trino could not be installed: {why}")
    return "DuckDB"


def answers_of(engine, tools, lake, asked, trace_id, work, definitions):
    """What the engine answered to each statement, by name."""
    if engine == "Trino":
        return by_trino(tools, lake, asked, trace_id, work, definitions)
    import transpiled
    return transpiled.answers(lake / "lake" / "v1", asked, trace_id, sorted((ATHENA / "tables").glob("*.sql")))


def check(binary, data, install_folder, work, definitions, engine):
    tools = {**os.environ, "TRINO_HOME": str(install_folder), "TMPDIR": str(work)}
    engine = chosen(engine, tools)
    what = {"Trino": "TRINO, which is Athena's", "DuckDB": "DUCKDB, NOT Athena's: the statements are turned into its dialect"}
    print(f"*** the engine is {what[engine]} ***", flush=True)
    lake = work / "data"
    with_edges(data, lake)
    tables = sorted(path.stem for path in (ATHENA / "tables").glob("*.sql"))
    if tables != sorted(path.name for path in (lake / "lake" / "v1").iterdir()):
        raise Failure("the lake and infra/athena/tables have different tables")
    pick = "SELECT min(l.trace_id) AS id FROM logs l JOIN spans s ON s.trace_id = l.trace_id WHERE s.is_error"
    trace_id = by_spanlake(binary, lake, [pick])[0]["id"]
    asked = statements(tables, trace_id)
    answers = answers_of(engine, tools, lake, asked, trace_id, work, definitions)
    equal = [
        compare(engine, name, text, arguments is not None, by_spanlake(binary, lake, arguments or [text]), answers[name])
        for name, text, arguments in asked
    ]
    print(f"{sum(equal)} of {len(equal)} equal, by {engine}")
    return all(equal)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("binary", "data", "install_folder"):
        parser.add_argument(name, type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("tables", type=lambda text: pathlib.Path(text).resolve(), nargs="?")
    parser.add_argument("--engine", choices=["trino", "duckdb", "either"], default="trino")
    return parser.parse_args()


def main():
    options = parsed()
    definitions = [options.tables] if options.tables else sorted((ATHENA / "tables").glob("*.sql"))
    try:
        with tempfile.TemporaryDirectory(prefix="spanlake-athena-") as work:
            equal = check(options.binary, options.data, options.install_folder, pathlib.Path(work), definitions, options.engine)
            return 0 if equal else 1
    except (Failure, OSError, ValueError, ImportError, subprocess.SubprocessError) as failure:
        print(f"could not be run: {failure}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
