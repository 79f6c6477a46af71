#!/usr/bin/env python3
"""The CloudFormation template: invariants, planted faults, cfn-lint, checkov and cfn-guard, on it as written and as translated.

    tests/ci/template.py [CFN-GUARD]

CFN-GUARD is the program of that name. Without it its rules are not run, which is said, and the exit code is 1.
UPDATE_GOLDEN=1 writes the alarms of named services into the template first.
Exit code 0: all holds, and each finding of a linter is in infra/exceptions.yaml with a reason. 1: something does not, each is
named. 2: something could not be run. Needs the packages of requirements-infra.txt; no network.
"""

import copy
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "infra"))
# A log line of the transform at every call.
logging.disable(logging.WARNING)

import bill  # noqa: E402, F401: its checks join the list
import cfn  # noqa: E402
import invariants  # noqa: E402
import invariants_alarms  # noqa: E402, F401: its checks join the list
import service_alarms  # noqa: E402
import template_faults  # noqa: E402
import yaml  # noqa: E402

TOOLS = pathlib.Path(sys.executable).parent
GUARD_RULES = cfn.ROOT / "infra" / "guard"
EXCEPTIONS = cfn.ROOT / "infra" / "exceptions.yaml"
LIMIT_S = 300
REASON_MIN = 40


class Failure(Exception):
    """Something could not be run; the text says what."""


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=LIMIT_S)
    return done.returncode, done.stdout, done.stderr


# --- linters: pairs of check and resource --------------------------------------------------------------------------------


def by_cfn_lint(path):
    code, out, err = run(TOOLS / "cfn-lint", "--regions", "us-east-1", "eu-west-1", "--format", "json", "--template", path)
    try:
        found = json.loads(out or "[]")
    except ValueError:
        raise Failure(f"cfn-lint ended with {code}:\n{err[-2000:]}") from None
    return {(finding["Rule"]["Id"], where(finding["Location"].get("Path"))): finding["Message"] for finding in found}


def where(path):
    """The resource that a finding is about."""
    return str(path[1]) if path and len(path) > 1 else "the template"


def by_checkov(path):
    command = ["--framework", "cloudformation", "--output", "json", "--compact", "--quiet", "--soft-fail", "--skip-download"]
    code, out, err = run(TOOLS / "checkov", "--file", path, *command)
    try:
        answer = json.loads(out)
    except ValueError:
        raise Failure(f"checkov ended with {code}:\n{err[-2000:]}") from None
    if "results" not in answer or answer["summary"]["parsing_errors"] or not answer["summary"]["passed"]:
        raise Failure(f"checkov did not read {path}: {answer.get('summary', answer)}")
    return {
        (check["check_id"], check["resource"].rpartition(".")[2]): check["check_name"]
        for check in answer["results"]["failed_checks"]
    }


def exceptions():
    """Triples of form, check and resource."""
    accepted = set()
    for entry in yaml.safe_load(EXCEPTIONS.read_text()):
        if set(entry) != {"check", "resources", "in", "reason"} or len(entry["reason"]) < REASON_MIN:
            raise Failure(f"an exception without a reason: {entry}")
        forms = {"raw": ["raw"], "translated": ["translated"], "both": ["raw", "translated"]}[entry["in"]]
        accepted |= {(form, entry["check"], resource) for form in forms for resource in entry["resources"]}
    return accepted


def lint(paths):
    """What is found and not excepted, or excepted and not found; a line each."""
    found = {}
    for form, path in paths.items():
        for linter in (by_cfn_lint, by_checkov):
            findings = linter(path)
            print(f"{linter.__name__[3:]} on the {form} template: {len(findings)} findings", flush=True)
            found.update({(form, *place): message for place, message in findings.items()})
    accepted = exceptions()
    lines = [
        f"{form}: {check} at {resource}: {found[form, check, resource]}"
        for form, check, resource in sorted(set(found) - accepted)
    ]
    return lines + [
        f"{form}: {check} at {resource} is excepted and not found" for form, check, resource in sorted(accepted - set(found))
    ]


# --- what we ask for ourselves -------------------------------------------------------------------------------------------


def holds(check, template):
    """Why it does not hold, or `None`."""
    try:
        check(template)
    except invariants.Wrong as wrong:
        return str(wrong)
    except Exception as missing:  # What a check looks for may be missing in any shape.
        return f"could not be checked: {missing!r}"
    return None


def planted(template, plant):
    template = copy.deepcopy(template)
    plant(template)
    return template


def check_invariants(template):
    lines = []
    for check in invariants.CHECKS:
        wrong = holds(check, template)
        print(f"{'wrong' if wrong else 'holds'} {check.__name__}")
        lines += [f"{check.__name__}: {wrong}"] if wrong else []
    return lines


def check_faults(template):
    """Faults that are not found, and checks for which none is planted."""
    by_name = {check.__name__: check for check in invariants.CHECKS}
    faults = template_faults.FOUND_BY_INVARIANTS
    lines = [
        f"fault {number} is not found by {name}"
        for number, (name, plant) in enumerate(faults, 1)
        if holds(by_name[name], planted(template, plant)) is None
    ]
    print(f"planted faults: {len(faults) - len(lines)} of {len(faults)} found")
    return lines + [f"no fault is planted for {name}" for name in sorted(set(by_name) - {name for name, _ in faults})]


def guard(program, template, work):
    """The rules that a template breaks."""
    path = work / "guarded.json"
    path.write_text(json.dumps(template))
    code, out, err = run(
        program,
        "validate",
        "--rules",
        GUARD_RULES,
        "--data",
        path,
        "--output-format",
        "json",
        "--structured",
        "--show-summary",
        "none",
    )
    if code not in (0, 19):
        raise Failure(f"cfn-guard ended with {code}:\n{err[-2000:]}")
    return {rule["Rule"]["name"] for report in json.loads(out) for rule in report["not_compliant"]}


def check_guard(program, translated, work):
    rules = [name for path in sorted(GUARD_RULES.glob("*.guard")) for name in template_faults.rules_of(path.read_text())]
    lines = [f"cfn-guard: {name}" for name in sorted(guard(program, translated, work))]
    faults = template_faults.FOUND_BY_GUARD
    missed = [
        f"fault {number} is not found by the rule {name}"
        for number, (name, plant) in enumerate(faults, 1)
        if name not in guard(program, planted(translated, plant), work)
    ]
    print(
        f"cfn-guard: {len(rules) - len(lines)} of {len(rules)} rules hold,"
        f" {len(faults) - len(missed)} of {len(faults)} faults found"
    )
    return (
        lines
        + missed
        + [f"no fault is planted for the rule {name}" for name in sorted(set(rules) - {name for name, _ in faults})]
    )


def check(program, work):
    if "UPDATE_GOLDEN" in os.environ:
        cfn.TEMPLATE.write_text(service_alarms.written(cfn.TEMPLATE.read_text()))
    written = cfn.TEMPLATE.read_text()
    template = cfn.raw(written)
    translated = cfn.translated(template)
    lines = (
        []
        if service_alarms.written(written) == written
        else ["the alarms of named services are not what infra/service_alarms.py writes"]
    )
    lines += check_invariants(template) + check_faults(template)
    path = work / "translated.json"
    path.write_text(json.dumps(translated, indent=1))
    lines += lint({"raw": cfn.TEMPLATE, "translated": path})
    lines += check_guard(program, translated, work) if program else ["cfn-guard is not given: its rules were not run"]
    for line in lines:
        print(f"    {line}")
    print(f"{len(translated['Resources'])} resources, {len(written)} bytes; {len(lines)} wrong")
    return not lines


def main():
    if len(sys.argv) > 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="spanlake-template-") as work:
            return 0 if check(sys.argv[1] if len(sys.argv) == 2 else None, pathlib.Path(work)) else 1
    except (Failure, OSError, KeyError, ValueError, subprocess.SubprocessError) as failure:
        print(f"could not be run: {failure!r}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
