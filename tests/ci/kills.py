#!/usr/bin/env python3
"""Kills a real `spanlake up` again and again, and compares what was answered 200 with what the lake has at the end.

    tests/ci/kills.py PATH-OF-SPANLAKE [--kills 20] [--seed 1] [--only kills,flipped,full,read-only]

Clients send spans, log records and data points with unique ids over several connections, and send again what got no answer, as
exporters do. SIGKILL comes at random: in a start, right after a 200, at any moment of work. Nothing acknowledged may be lost,
nothing may be there twice (at the end, and for a reader between a kill and the next start), the ledger must be exact, and what
the dead left behind must be swept. Some starts find a last write on the stream that is torn.

    kills      the above
    flipped    an acknowledged record rots between a kill and the start: it alone is lost, counted and noted in quarantine
    full       the disk is full for a while, with a kill in it
    read-only  the folder cannot be written for a while, with a kill in it

Exit code 0: as promised. 1: not, each fault is named. 2: something could not be run.
"""

import argparse
import errno
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from clients import Load, compare, doubled
from served import Failure, Spanlake, settle

TORN_PERCENT = 15
STOP_PERCENT = 10
READ_EVERY = 10
FLIPS = 3
# Before each record in a segment: marker, length, shard, sequence, arrival, two checksums.
HEADER_BYTES = 38
PREFIXES = ("staged", "seen", "decisions", "sealed")
NOBODY = 65534


# --- the stream's files, from outside ------------------------------------------------------------------------------------

def marker(data):
    text = json.loads((data / "stream" / "shards.json").read_text(encoding="ascii"))["marker"]
    return int(text, 16).to_bytes(8, "little")


def unread(data):
    """Records of items that no grouper has taken yet, oldest first: (file, offset, record)."""
    mark, found, watermarks = marker(data), [], {}
    for path in (data / "manifest").glob("*.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        watermarks[int(manifest["shard"].rsplit("-", 1)[1])] = int(manifest["watermark"])
    for path in sorted((data / "stream").glob("*.log")):
        content, place = path.read_bytes(), 0
        while content[place:place + 8] == mark:
            length, shard, sequence = struct.unpack_from("<IHQ", content, place + 8)
            record = content[place + HEADER_BYTES:place + HEADER_BYTES + length]
            # An envelope begins with its magic, version and kind; 0 are items, heartbeats are of another kind.
            if record[:4] == b"SL\x01\x00" and sequence > watermarks.get(shard, 0):
                found.append((path, place + HEADER_BYTES, record))
            place += HEADER_BYTES + length
    return found


def tear(spanlake, rng):
    """Leaves what a write that never came to its end, and was never answered, leaves behind the last segment's end."""
    segments = sorted((spanlake.data / "stream").glob("*.log"))
    if not segments or not (spanlake.data / "stream" / "shards.json").exists():
        return None
    kind = rng.choice(["half a record", "half a header", "zeros", "noise", "a flipped record"])
    record = rng.randbytes(rng.randrange(50, 5000))
    header = marker(spanlake.data) + len(record).to_bytes(4, "little") + (0).to_bytes(2, "little")
    header += (1 << 40).to_bytes(8, "little") + (1).to_bytes(8, "little") + zlib.crc32(record).to_bytes(4, "little")
    header += zlib.crc32(header).to_bytes(4, "little")
    tail = {"half a record": header + record[:len(record) // 2], "half a header": header[:rng.randrange(1, HEADER_BYTES)],
            "zeros": bytes(len(record)), "noise": record, "a flipped record": header + bytes([record[0] ^ 1]) + record[1:]}[kind]
    with open(segments[-1], "ab") as segment:
        segment.write(tail)
    return kind


# --- what the dead leave behind ------------------------------------------------------------------------------------------

def leftovers(data):
    """Unfinished writes, and objects that no manifest and no plan that is still to be carried out refers to."""
    plans = [path for path in data.glob("plan/*.json") if not path.with_suffix(".done").exists()]
    listed = "".join(path.read_text(encoding="utf-8") for path in [*data.glob("manifest/*.json"), *plans])
    objects = [path for prefix in PREFIXES for path in (data / prefix).glob("**/*") if path.is_file()]
    return [path for path in objects if path.name not in listed] + [path for path in data.glob("tmp/*") if path.is_file()]


def swept(spanlake):
    """Makes every object an hour old, so that a sweep that would come in minutes comes with the next start."""
    spanlake.stop()
    before = len(leftovers(spanlake.data))
    for prefix in (*PREFIXES, "plan"):
        for path in (spanlake.data / prefix).glob("**/*"):
            os.utime(path, (time.time() - 3600,) * 2)
    spanlake.start()
    until = time.monotonic() + 30
    while leftovers(spanlake.data) and time.monotonic() < until:
        time.sleep(0.2)
    left = leftovers(spanlake.data)
    return before, [f"{path.relative_to(spanlake.data)} is referenced by nothing and was not swept" for path in left[:5]]


def verdict(name, spanlake, load, told, lost_max=0):
    """Settles, compares, and says how it went."""
    status = settle(spanlake)
    compared = compare(spanlake, load, lost_max)
    faults = load.faults + compared.faults + status.faults()
    for signal, account in status.ledger.items():
        if not account["committed"] == account["kept"] == compared.rows[signal]:
            faults.append(f"{signal}: the lake has {compared.rows[signal]} rows, the ledger says {account}")
    before, unswept = swept(spanlake)
    faults += unswept + doubled(spanlake)
    spanlake.stop()
    if "panic" in spanlake.told(1 << 24):
        faults.append("a panic in the log")
    repeats = sum(account["duplicates"] for account in status.ledger.values())
    print(f"{name}: {told}; {load.requests} requests answered 200 with {compared.acknowledged} items, {compared.lost} lost, "
          f"{compared.twice} twice; {compared.unanswered} items of {load.given_up} requests that were given up, {compared.taken} "
          f"of them taken; {repeats} repeats recognised; {before} leftovers swept, {len(unswept)} not", flush=True)
    return faults, status


# --- the parts -----------------------------------------------------------------------------------------------------------

def moment(spanlake, load, rng):
    """Waits for the moment of the next kill after a start; says which kind of moment it was."""
    kind = rng.choices(["in a start", "after a 200", "at work", "after a while"], [25, 30, 40, 5])[0]
    if kind == "in a start":
        time.sleep(rng.uniform(0, 0.08))
        return kind
    try:
        spanlake.wait_until_ready()
    except Failure as failure:
        load.faults.append(f"a start after a kill failed: {failure}")
        return kind
    if kind == "after a 200":
        time.sleep(rng.uniform(0, 0.5))
        load.next_answer(5)
    else:
        time.sleep(rng.uniform(0, 1.5) if kind == "at work" else rng.uniform(5, 8))
    return kind


def kills(spanlake, rng, count):
    kinds, torn, reads, begun = {}, {}, 0, time.monotonic()
    with Load(spanlake.port, rng) as load:
        for number in range(count):
            spanlake.spawn()
            kind = moment(spanlake, load, rng)
            if kind != "in a start" and rng.randrange(100) < STOP_PERCENT:
                # What ends well may lose as little.
                kinds["by SIGTERM"] = kinds.get("by SIGTERM", 0) + 1
                spanlake.stop()
            else:
                kinds[kind] = kinds.get(kind, 0) + 1
                spanlake.kill()
            if load.faults:
                break
            if rng.randrange(100) < TORN_PERCENT and (tail := tear(spanlake, rng)):
                torn[tail] = torn.get(tail, 0) + 1
            if number % READ_EVERY == READ_EVERY - 1:
                reads += 1
                load.faults += doubled(spanlake)
            if number % 100 == 99:
                print(f"    {number + 1} kills, {load.requests} requests, {time.monotonic() - begun:.0f} s", flush=True)
        spanlake.start()
        time.sleep(1)
    words = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    tails = ", ".join(f"{number} {kind}" for kind, number in sorted(torn.items()))
    told = f"{sum(kinds.values())} kills ({words}), {sum(torn.values())} torn tails ({tails}), {reads} looks in between"
    return verdict("kills", spanlake, load, told)[0]


def flipped(spanlake, rng, _):
    """One bit of one acknowledged record, which no grouper has taken yet, is turned; and that again."""
    spanlake.start()
    turned = tries = 0
    with Load(spanlake.port, rng) as load:
        while turned < FLIPS:
            load.burst(12)
            spanlake.kill()
            tries += 1
            records = unread(spanlake.data)
            if len(records) >= 3:
                path, offset, record = rng.choice(records[1:-1])
                turn_a_bit(path, offset + rng.randrange(-HEADER_BYTES, len(record)), rng)
                turned += 1
            elif tries > 5 * FLIPS:
                raise Failure("the records of every burst were taken before the kill")
            spanlake.start()
    faults, status = verdict("flipped", spanlake, load, f"{turned} acknowledged records with one bit turned", lost_max=turned)
    notes = len(list((spanlake.data / "quarantine").glob("*")))
    if not status.quarantined == notes == turned:
        faults.append(f"{turned} records rotted, {status.quarantined} are counted, {notes} are noted in quarantine")
    return faults


def turn_a_bit(path, place, rng):
    with open(path, "r+b") as segment:
        segment.seek(place)
        byte = segment.read(1)[0]
        segment.seek(place)
        segment.write(bytes([byte ^ 1 << rng.randrange(8)]))


def unwritable_for_a_while(name, spanlake, rng, begin, end, how, refusals):
    """Load while the folder takes nothing, with a kill in the middle; then it takes again and all goes on by itself."""
    def hold():
        begin()
        time.sleep(3)
        load.wait_for_refusals(refusals, 20)

    spanlake.start()
    with Load(spanlake.port, rng) as load:
        time.sleep(2)
        hold()
        spanlake.kill()
        spanlake.spawn()
        code = None
        try:
            code = spanlake.process.wait(2)
            told = f"a start in it ended with {code}"
        except subprocess.TimeoutExpired:
            told = "a start in it went well"
        if code is not None and (code != 1 or str(spanlake.data) not in spanlake.told()):
            load.faults.append(f"a start in it ended with {code} and says {spanlake.told(400)!r}")
        end()
        if code is not None:
            spanlake.start()
        hold()
        end()
        # No restart this time.
        load.next_answer(30)
        time.sleep(2)
    refused = ", ".join(f"{count} x {status}" for status, count in sorted(load.refusals.items())) or "nothing"
    return verdict(name, spanlake, load, f"{how}; refused {refused}; {told}")[0]


def full(spanlake, rng, _):
    """A file system of its own that is full for a while."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=777", "none", str(spanlake.data)]
    if (mounted := subprocess.run(mount, capture_output=True, text=True)).returncode != 0:
        raise Failure(f"no file system can be mounted, also not in a namespace of its own: {mounted.stderr.strip()}")
    ballast = spanlake.data / "ballast"

    def fill():
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    try:
        return unwritable_for_a_while("full", spanlake, rng, fill, ballast.unlink, "a tmpfs of 24 MiB, filled twice", 50)
    finally:
        if spanlake.is_up():
            spanlake.kill()
        subprocess.run(["umount", str(spanlake.data)], check=False)


def in_a_namespace(part, options):
    """Who is not root may mount in a namespace of his own."""
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, __file__, str(options.spanlake)]
    done = subprocess.run([*command, "--only", part, "--seed", str(options.seed)], check=False)
    if done.returncode not in (0, 1):
        raise Failure(f"{part} could not be run in a namespace")
    return ["see above"] if done.returncode else []


def read_only(spanlake, rng, _):
    def allow(writing):
        for folder, _, files in os.walk(spanlake.data):
            for name in files:
                os.chmod(os.path.join(folder, name), 0o600 if writing else 0o400)
            os.chmod(folder, 0o700 if writing else 0o500)
    try:
        # What is open already may still be written, so no request need be refused.
        return unwritable_for_a_while("read-only", spanlake, rng, lambda: allow(False), lambda: allow(True),
                                      "folder and files read-only twice", 0)
    finally:
        allow(True)


PARTS = {"kills": kills, "flipped": flipped, "full": full, "read-only": read_only}


def run(name, options, folder):
    if name == "full" and os.geteuid() != 0:
        return in_a_namespace(name, options)
    # Root may write what is read-only, so the process runs as somebody else there.
    user = NOBODY if name == "read-only" and os.geteuid() == 0 else None
    spanlake = Spanlake(folder / "spanlake", folder / name, user=user)
    spanlake.data.mkdir()
    if user is not None:
        for path in (folder, spanlake.folder, spanlake.data):
            os.chown(path, user, user)
    try:
        return PARTS[name](spanlake, random.Random(f"{options.seed} {name}"), options.kills)
    finally:
        if spanlake.is_up():
            spanlake.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spanlake", type=pathlib.Path, help="the binary")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for the data, which is then not removed")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    faults = []
    with tempfile.TemporaryDirectory(prefix="spanlake-kills-") as made:
        folder = (options.keep or pathlib.Path(made)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            # A copy: whoever builds meanwhile does not change what runs here, and every user may execute it.
            shutil.copy(options.spanlake, folder / "spanlake")
            for part in parts:
                found = run(part, options, folder)
                faults += [f"{part}: {fault}" for fault in found]
        except (Failure, OSError, subprocess.SubprocessError) as failure:
            print(f"could not be run: {failure}", file=sys.stderr)
            return 2
    for fault in faults:
        print(f"    {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
