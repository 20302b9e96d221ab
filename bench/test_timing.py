"""Contenders take turns, and nothing else is timed."""

import gc

import pytest

from bench import bounds, machine, timing, trainers
from bench.run import run
from bench.work import FASTKB, Absent, Contender


def test_contenders_alternate_and_the_order_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    long_enough = dict.fromkeys("abc", timing.WOKEN_BELOW)  # one call is one sample
    samples = timing.interleave(calls, long_enough, rounds=3)
    assert order == list("abcbcacab")
    assert {name: len(seconds) for name, seconds in samples.items()} == {"a": 3, "b": 3, "c": 3}


def test_garbage_is_not_collected_while_timing():
    seen = []
    timing.interleave({"a": lambda: seen.append(gc.isenabled())}, {"a": 1.0}, rounds=2)
    assert seen == [False, False]
    assert gc.isenabled()


def test_short_calls_are_repeated_until_the_clock_can_tell():
    assert timing.repeats_for(1.0) == 1
    assert timing.repeats_for(timing.SHORTEST_SAMPLE / 10) == 10
    assert timing.rounds_for([100.0, 100.0], budget=1.0) == timing.FEWEST
    assert timing.rounds_for([1e-6], budget=1e6) == timing.MOST


def test_others_use_what_is_busy_and_not_our_own():
    before, after = machine.Usage(100, 40, 10), machine.Usage(120, 55, 20)
    assert machine.others_fraction(before, after) == pytest.approx(5 / 20)
    assert machine.others_fraction(None, after) is None
    assert "WARNING" in machine.busy_in_words({"load average before": 0.1, "during": 0.5})
    assert "WARNING" not in machine.busy_in_words({"load average before": 0.1, "during": 0.01})


def test_a_run_times_everybody_and_reports_who_is_absent():
    class Work:
        name, group, title = "w", "g", "t"
        rivals = "right", "wrong", "missing", "refuses", "fails"

        def fastkb(self):
            return Contender(FASTKB, lambda: 1.0)

        def rival(self, name):
            if name == "missing":
                return Absent(name, "it is not installed")
            if name == "refuses":
                raise ValueError("no such processor\nand more")
            if name == "fails":
                return Contender(name, lambda: 1 / 0)
            return Contender(name, lambda: 1.0 if name == "right" else 2.0, scale=50.0)

        def disagreement(self, ours, theirs):
            return abs(ours - theirs) / 0.5

        def facts(self, ours):
            return ours

        def bound(self, ceilings, facts):
            return bounds.Bound(ceilings * facts, "test", {})

    row = run(Work(), budget=0.0)
    assert set(row.measured) == {FASTKB, "right", "wrong"}
    assert all(len(m.seconds) == timing.FEWEST for m in row.measured.values())
    assert row.measured["right"].median == 50 * timing.median(row.measured["right"].seconds)
    assert row.ratio("right") == row.measured["right"].median / row.fastkb
    assert row.ratio("wrong") is None
    assert row.absent == {
        "missing": "it is not installed",
        "refuses": "failed with ValueError: no such processor",
        "fails": "failed with ZeroDivisionError: division by zero",
    }
    assert row.find_bound(3.0).seconds == 3.0


def test_a_run_does_not_go_on_without_fastkb():
    class Work:
        name, group, title, rivals = "w", "g", "t", ()

        def fastkb(self):
            return Contender(FASTKB, lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(Work(), budget=0.0)


def test_forms_that_fail_are_passed_over():
    def works():
        return "works"

    def fails():
        raise RuntimeError("of this form")

    assert trainers.fastest([fails, works])() == "works"
    with pytest.raises(RuntimeError, match="of this form"):
        trainers.fastest([fails, fails])
