#!/usr/bin/env python3
"""Mutation score of the simulation: plants one fault at a time in a copy of this repository and counts the seeds until the
simulation finds it. A fault that is not found is a hole in the simulation; one that no longer applies, or does not build, is an
error.

  tests/sim/mutants.py                 all of them, with the median of seeds to detection (about half an hour on two cores)
  tests/sim/mutants.py --check         only that each still applies to the source
  tests/sim/mutants.py --only a,b      these
  tests/sim/mutants.py --sample 6      this many, which differ from commit to commit

Each file of tests/sim/mutants names the rule that it breaks, and says what is replaced where.
"""
import argparse
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EDIT = re.compile(r"@@ (\S+)\n<<<\n(.*?)\n===\n(.*?)\n?>>>\n", re.S)


class Mutant:
    def __init__(self, path):
        text = path.read_text()
        self.name = path.stem
        self.rule = text.splitlines()[0].lstrip("# ")
        self.edits = EDIT.findall(text)

    def apply(self, root):
        """The changed files' new texts; an error names what does not fit."""
        texts = {}
        for file, old, new in self.edits:
            text = texts.get(file) or (root / file).read_text()
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {file} holds {text.count(old)} times what it replaces")
            texts[file] = text.replace(old, new)
        if not texts:
            raise ValueError(f"{self.name}: replaces nothing")
        return texts


def sh(command, cwd, target):
    # Each mutant is built anew, in seconds.
    env = dict(os.environ, CARGO_TARGET_DIR=str(target), RUST_BACKTRACE="0", CARGO_INCREMENTAL="1")
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)


def build(copy, target):
    return sh(["cargo", "build", "--quiet", "-p", "spanlake-sim", "--profile", "sim"], copy, target)


def seeds_to_detection(copy, target, most, times):
    """Gaps between the seeds that find the fault, and what the first one says."""
    gaps, words, at = [], "", 0
    while len(gaps) < times and at < most:
        run = sh([str(target / "sim" / "sim"), "--seeds", f"{at}..{most}", "--first"], copy, target)
        found = re.search(r"^seed (\d+): (.*)$", run.stdout, re.M)
        if not found:
            if run.returncode not in (0, 1):
                return [1], f"the simulation ends with {run.returncode}"
            break
        gaps.append(int(found[1]) - at + 1)
        words = words or found[2]
        at = int(found[1]) + 1
    return gaps, words


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only check that each applies")
    parser.add_argument("--only", default="", help="names, comma-separated")
    parser.add_argument("--sample", type=int, default=0, help="how many, drawn by the source's hash")
    parser.add_argument("--seeds", type=int, default=2000, help="seeds that may be used (default 2000)")
    parser.add_argument("--times", type=int, default=5, help="detections for the median (default 5)")
    parser.add_argument("--target", default="", help="where to build (default: target/mutants)")
    arguments = parser.parse_args()

    mutants = [Mutant(path) for path in sorted((ROOT / "tests/sim/mutants").glob("*.mutant"))]
    if arguments.only:
        mutants = [mutant for mutant in mutants if mutant.name in arguments.only.split(",")]
    errors = []
    for mutant in mutants:
        try:
            mutant.apply(ROOT)
        except (ValueError, OSError) as error:
            errors.append(str(error))
    if errors or arguments.check:
        print("\n".join(errors) or f"{len(mutants)} mutants apply")
        return 1 if errors else 0
    if arguments.sample:
        sources = sorted((ROOT / "shared/pipeline/src").rglob("*.rs"))
        salt = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
        mutants.sort(key=lambda mutant: hashlib.sha256((salt + mutant.name).encode()).hexdigest())
        mutants = sorted(mutants[: arguments.sample], key=lambda mutant: mutant.name)

    target = Path(arguments.target or ROOT / "target/mutants").resolve()
    copy = Path(tempfile.mkdtemp(prefix="spanlake-mutants-"))
    missed = 0
    try:
        files = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
        for name in files.stdout.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        print(f"{len(mutants)} mutants, up to {arguments.seeds} seeds each", flush=True)
        built = build(copy, target)
        if built.returncode:
            print(built.stderr)
            return 1
        for mutant in mutants:
            begun = time.monotonic()
            texts = mutant.apply(copy)
            before = {file: (copy / file).read_text() for file in texts}
            for file, text in texts.items():
                (copy / file).write_text(text)
            built = build(copy, target)
            if built.returncode:
                missed += 1
                verdict = "DOES NOT BUILD: " + " ".join(re.findall(r"^error.*$", built.stderr, re.M))[:160]
            else:
                gaps, words = seeds_to_detection(copy, target, arguments.seeds, arguments.times)
                missed += not gaps
                median = statistics.median(gaps) if gaps else 0
                verdict = f"{median:>6g} seeds  {words[:100]}" if gaps else "NOT FOUND"
            print(f"{mutant.name:<36}{verdict}  ({time.monotonic() - begun:.0f} s)", flush=True)
            for file, text in before.items():
                (copy / file).write_text(text)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    print(f"{len(mutants) - missed} of {len(mutants)} found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
