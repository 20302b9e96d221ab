"""The installed peers' own tests, run on our functions in the place of theirs."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = runpy.run_path(str(HERE / "peer_suites.py"))["SUITES"]
LISTS = runpy.run_path(str(HERE / "expected_failures.py"))
EXPECTED_FAILURES, PROCESSOR_DEPENDENT = LISTS["EXPECTED_FAILURES"], LISTS["PROCESSOR_DEPENDENT"]


def run_suite(name, folder):
    """Run one suite in a process of its own, away from this project's settings; its report."""
    report = folder / "report.json"
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n", encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    # Arrays of other libraries are another contract; whether they run must not depend on the user.
    for variable in ("PYTEST_ADDOPTS", "SCIPY_ARRAY_API"):
        environment.pop(variable, None)
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
    command += ["-c", str(settings), f"--rootdir={folder}", "-p", "peer_plugin"]
    command += [f"--peer-suite={name}", f"--peer-report={report}"]
    command += ["--pyargs", SUITES[name].module]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode in (0, 1), f"pytest could not run {name}:\n{output}"
    return json.loads(report.read_text(encoding="utf-8")), output


def split_expectations(name, cases):
    """Which of the `cases` are expected to fail, and which expectations match no case."""
    expected, unmatched = set(), set()
    for key in EXPECTED_FAILURES.get(name, {}):
        if key.endswith("[*]"):
            matches = {case for case in cases if case.startswith(key[:-2])}
        else:
            matches = {key} & cases
        expected |= matches
        if not matches:
            unmatched.add(key)
    return expected, unmatched


def listing(title, cases):
    return "\n".join([f"{title}:", *(f"  {case}" for case in sorted(cases))]) if cases else ""


@pytest.mark.parametrize("name", sorted(SUITES))
def test_the_peers_tests_pass_on_ours(name, tmp_path):
    report, output = run_suite(name, tmp_path)
    outcomes = report["outcomes"]
    ran = {case for case, outcome in outcomes.items() if outcome in ("passed", "failed")}
    failed = {case for case, outcome in outcomes.items() if outcome == "failed"}
    expected, unmatched = split_expectations(name, set(outcomes))
    assert len(ran) >= SUITES[name].at_least, f"only {len(ran)} cases ran:\n{output}"
    unused = [replaced for replaced, cases in report["used"].items() if cases == 0]
    assert not unused, f"replaced, but used by no case: {unused}"
    problems = [
        listing("failed unexpectedly", failed - expected - set(PROCESSOR_DEPENDENT.get(name, {}))),
        listing("expected to fail, but passed", (expected & ran) - failed),
        listing("expected to fail, but no such case", unmatched),
    ]
    assert not any(problems), "\n".join([*filter(None, problems), output[-8000:]])


def test_every_expectation_has_a_suite_and_a_reason():
    assert set(EXPECTED_FAILURES) <= set(SUITES)
    for cases in EXPECTED_FAILURES.values():
        assert all(len(reason) > 20 for reason in cases.values())
