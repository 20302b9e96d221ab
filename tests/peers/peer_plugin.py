"""A pytest plugin that puts our functions in the place of a peer's, inside its test module.

    python -m pytest -p peer_plugin --peer-suite=SUITE --peer-report=FILE --pyargs MODULE

The replacement happens in the namespace of the test module and in the arguments of its parametrised
tests, after collection: the peer itself stays as it is, so that a test may still compare with it,
and our functions may still call it. Only tests that use a replaced name are run.
"""

import importlib
import json
import types
from pathlib import Path

from peer_suites import SUITES


def pytest_addoption(parser):
    parser.addoption("--peer-suite", choices=sorted(SUITES), required=True)
    parser.addoption("--peer-report", type=Path, required=True)


def pytest_configure(config):
    suite = SUITES[config.getoption("--peer-suite")]
    plugin = Replacing(suite, config.getoption("--peer-report"))
    config.pluginmanager.register(plugin, "fastkb-peers")


def resolve(place):
    """The object at "module:attribute"."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Replacing:
    """Replaces, selects, and writes down what became of each case."""

    def __init__(self, suite, report):
        self.suite = suite
        self.report = report
        self.outcomes = {}  # node id without its file -> passed, failed, skipped or xfailed
        self.used = {name: 0 for name in suite.replacements}

    def pytest_collection_modifyitems(self, config, items):
        module = importlib.import_module(self.suite.module)
        substitutes = {}  # id of the peer's object -> (name, ours)
        keep_alive = []  # the peer's objects: an id is good for as long as its object lives
        for name, place in self.suite.replacements.items():
            theirs = replace(module, name, resolve(place))
            keep_alive.append(theirs)
            substitutes[id(theirs)] = (name, resolve(place))
        selected, deselected = [], []
        for item in items:
            names = self._names_used(item, module, substitutes)
            inside = item.nodeid.partition("::")[2].startswith(self.suite.under)
            if names and inside and item.module is module:
                selected.append(item)
                for name in names:
                    self.used[name] += 1
            else:
                deselected.append(item)
        config.hook.pytest_deselected(items=deselected)
        items[:] = selected

    def _names_used(self, item, module, substitutes):
        """The replaced names that a test mentions or is passed; passed ones are replaced here."""
        mentioned = names_in(item.function.__code__, module)
        found = {name for name in self.used if name.rpartition(".")[2] in mentioned}
        arguments = item.callspec.params if hasattr(item, "callspec") else {}
        for argument, value in arguments.items():
            if id(value) in substitutes:
                name, ours = substitutes[id(value)]
                arguments[argument] = ours
                found.add(name)
        return found

    def pytest_runtest_logreport(self, report):
        case = report.nodeid.partition("::")[2]
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        if report.when == "call" or outcome != "passed":
            if self.outcomes.get(case) != "failed":
                self.outcomes[case] = outcome
            if outcome == "failed":
                self.outcomes[case] = "failed"

    def pytest_sessionfinish(self):
        document = {"outcomes": self.outcomes, "used": self.used}
        self.report.write_text(json.dumps(document, indent=1), encoding="utf-8")


def replace(module, name, ours):
    """Put `ours` at the dotted `name` as `module` sees it; what stood there."""
    holder, _, attribute = name.rpartition(".")
    if not holder:
        theirs = getattr(module, attribute)
        setattr(module, attribute, ours)
        return theirs
    original = getattr(module, holder)
    copy = types.ModuleType(original.__name__)
    copy.__dict__.update(original.__dict__)
    theirs = getattr(copy, attribute)
    setattr(copy, attribute, ours)
    setattr(module, holder, copy)
    return theirs


def names_in(code, module, seen=None):
    """All names that a test's code mentions, and those of the module's functions that it calls."""
    seen = set() if seen is None else seen
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= names_in(constant, module, seen)
    for name in list(names - seen):
        seen.add(name)
        helper = getattr(module, name, None)
        if isinstance(helper, types.FunctionType) and helper.__module__ == module.__name__:
            names |= names_in(helper.__code__, module, seen)
    return names
