"""Makes a lake of one day, file by file as a deployment would have left it, and tells what is in it."""

import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
RULES = HERE / "fifth.yaml"
MINUTES = 24 * 60
# A minute before what is used and one behind it: the first has none of an earlier one's traces, the last closes every window.
AROUND = 2
# Played at once, each with a minute on either side: what is staged meanwhile takes some 20 MB a minute.
MINUTES_AT_ONCE = 120
# What the grouper on AWS has; `stages --day` would take a plan's length.
WINDOW_S = 10
# The comparison of two days reads the day before too.
DAY_BEFORE = ("red_1m",)


class Failure(Exception):
    """Something could not be run; the text says what."""


def call(command, **rest):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **rest)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{(done.stderr or done.stdout)[-3000:]}")
    return done.stdout


def play(programs, folder, rate, seed, minutes, begin):
    """Files of each table of some minutes in a row that begin at a Unix second: a list with a dictionary for each minute."""
    plans = minutes + AROUND
    begin -= 60
    bodies, played = folder / "bodies", folder / "played"
    call([programs / "loadgen", "--spans", plans * 60 * rate, "--seed", seed, "--event-rate", rate, "--start", begin,
          "--compression", "zstd", "--out", bodies])
    call([programs / "stages", bodies, "--config", RULES, "--day", played, "--plans", plans, "--seconds", "60",
          "--window", WINDOW_S, "--begin", begin])
    shutil.rmtree(bodies)
    return minutes_of(played / "lake" / "v1")[1:-1]


def minutes_of(lake):
    """Files by plan, which is a minute; and in it by table, the earlier hour's first."""
    found = {}
    for path in sorted(lake.glob("*/*/*/*.parquet")):
        found.setdefault(path.name.partition("-")[0], {}).setdefault(path.relative_to(lake).parts[0], []).append(path)
    return [found[plan] for plan in sorted(found)]


def kept(minutes, into):
    """The files, moved to a folder of their own: what else was played can go."""
    for number, tables in enumerate(minutes):
        for table, paths in tables.items():
            for place, path in enumerate(paths):
                target = into / str(number) / table / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                paths[place] = path.rename(target)
    return minutes


def pool(programs, folder, rate, minutes, day):
    """Distinct minutes, each played once."""
    found, begin = [], int(day.timestamp())
    while len(found) < minutes:
        several = min(MINUTES_AT_ONCE, minutes - len(found))
        number = len(found)
        played = play(programs, folder, rate, 1 + number, several, begin + 60 * number)
        found += kept(played, folder / "pool" / str(number))
        shutil.rmtree(folder / "played")
    return found


def slots(found):
    """Which of the played minutes lies in each of the day's. The last one's files lie nowhere else.

    What is filed at a full hour has two files for each table: one of windows that had begun in the hour before.
    """
    turns = [minute for minute in found if max(map(len, minute.values())) > 1]
    *others, last = (minute for minute in found if minute not in turns)
    count = 0
    for number in range(MINUTES):
        if number % 60 == 0:
            yield turns[number // 60 % len(turns)]
        elif number == MINUTES - 1:
            yield last
        else:
            yield others[count % len(others)]
            count += 1


def lay(found, extra, lake, day, before):
    """Puts a minute's files into each minute of the day, by hard links."""
    for number, tables in enumerate(slots(found)):
        for table, paths in {**extra, **tables}.items():
            for date in (day, before) if table in DAY_BEFORE else (day,):
                for place, path in enumerate(reversed(paths)):
                    # What the day's first run files of the day before stands for what the next one's files of this day.
                    hour = (number // 60 - place) % 24
                    into = lake / table / f"dt={date:%Y-%m-%d}" / f"hour={hour:02}"
                    into.mkdir(parents=True, exist_ok=True)
                    os.link(path, into / f"{number + 1:012}-{path.name.partition('-')[2]}")


def make(programs, folder, rate, minutes, demo, day, before):
    """The data folder of that day. Tables that the load has no rows for hold the demo's files in each minute."""
    found = pool(programs, folder, rate, minutes, day)
    extra = {}
    for folder_of in sorted((demo / "lake" / "v1").iterdir()):
        if not any(folder_of.name in one for one in found):
            # Its largest file: the demo's run may have met a full hour.
            extra[folder_of.name] = [max(folder_of.glob("*/*/*.parquet"), key=lambda path: path.stat().st_size)]
    lay(found, extra, folder / "data" / "lake" / "v1", day, before)
    return sorted(extra)


def told(data, day):
    """Files and bytes of each table on that day."""
    found = {}
    for path in sorted((data / "lake" / "v1").iterdir()):
        sizes = [file.stat().st_size for file in path.glob(f"dt={day:%Y-%m-%d}/*/*.parquet")]
        found[path.name] = (len(sizes), sum(sizes))
    return found
