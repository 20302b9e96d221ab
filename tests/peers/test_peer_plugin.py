"""The plugin itself: what it replaces, whom it selects, and that a wrong function is noticed."""

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

HERE = Path(__file__).parent

PEER_TESTS = """
import pytest
from peer import area, shape, sphere

def helper():
    return area(2)

def test_by_name():
    assert area(2) == 4

def test_by_helper():
    assert helper() == 4

@pytest.mark.parametrize("function, expected", [(area, 4), (sphere, 2)])
def test_by_argument(function, expected):
    assert function(2) == expected

def test_by_attribute():
    assert shape.volume(2) == 8

def test_of_something_else():
    assert sphere(2) == 2

class TestArea:
    def test_in_a_class(self):
        assert (lambda: area(3))() == 9
"""
PEER = """
import types

def area(x):
    return x * x

def sphere(x):
    return x

shape = types.ModuleType("shape")
shape.volume = lambda x: x ** 3
"""
OURS = """
def area(x):
    return 0

def volume(x):
    return 0
"""
TABLE = """
from typing import NamedTuple

class Suite(NamedTuple):
    module: str
    replacements: dict
    at_least: int
    under: str = ""

NAMES = {"area": "ours:area", "shape.volume": "ours:volume"}
SUITES = {"all": Suite("test_peer", NAMES, 1), "class": Suite("test_peer", NAMES, 1, "TestArea")}
"""


@pytest.fixture
def run(tmp_path):
    for name, text in {
        "test_peer": PEER_TESTS,
        "peer": PEER,
        "ours": OURS,
        "peer_suites": TABLE,
        "peer_plugin": (HERE / "peer_plugin.py").read_text(encoding="utf-8"),
    }.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def run(suite):
        report = tmp_path / "report.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "peer_plugin",
        ]
        command += [f"--peer-suite={suite}", f"--peer-report={report}", "--pyargs", "test_peer"]
        environment = {"PYTHONPATH": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert report.exists(), done.stdout + done.stderr
        return json.loads(report.read_text(encoding="utf-8"))

    return run


def test_wrong_functions_fail_wherever_they_are_used(run):
    report = run("all")
    assert report["outcomes"] == {
        "test_by_name": "failed",
        "test_by_helper": "failed",
        "test_by_argument[area-4]": "failed",
        "test_by_attribute": "failed",
        "TestArea::test_in_a_class": "failed",
    }
    assert report["used"] == {"area": 4, "shape.volume": 1}


def test_a_suite_may_be_confined_to_a_class(run):
    assert run("class")["outcomes"] == {"TestArea::test_in_a_class": "failed"}


def test_an_attribute_is_replaced_for_one_module_only(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    import peer_plugin

    shared = types.ModuleType("shared")
    shared.value, shared.other = 1, 2
    tests, bystander = types.ModuleType("tests"), types.ModuleType("bystander")
    tests.shared = bystander.shared = shared
    assert peer_plugin.replace(tests, "shared.value", 10) == 1
    assert (tests.shared.value, tests.shared.other) == (10, 2)
    assert bystander.shared.value == 1
