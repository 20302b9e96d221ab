"""First fits of new networks: they run, and what would be compiled for one is seen."""

import json

import pytest

from bench import startup
from fastkb.runtime import jit


def test_compilations_are_seen():
    @jit
    def fresh(x):
        return x + 1

    with startup.compilations() as first:
        assert fresh(1) == 2
    with startup.compilations() as again:
        assert fresh(2) == 3
    assert [name.rpartition(".")[2] for name in first] == ["fresh"]
    assert again == []


def test_new_networks_have_nothing_compiled():
    startup.first_fit(startup.SEEN[0], "float64")
    with startup.compilations() as compiled:
        for architecture in startup.ARCHITECTURES:
            assert startup.first_fit(architecture, "float64") > 0
    assert compiled == []


def test_a_compilation_for_a_new_network_is_an_error(monkeypatch):
    answers = {"seconds": [0.1], "compiled": []}
    monkeypatch.setattr(startup, "_output", lambda code, environment: json.dumps(answers))
    assert startup.new_networks() == [0.1]
    answers["compiled"] = ["train"]
    with pytest.raises(RuntimeError, match="a new network had train compiled"):
        startup.new_networks()


def test_figures_in_words():
    figures = {"import numba": [0.2], "import fastkb": [0.004], startup.NEW: [3e-4, 6e-4, 5e-4]}
    assert startup.in_words(figures) == [
        "import numba: 200 ms (1.00 x import numba)",
        "import fastkb: 4 ms (0.02 x import numba)",
        f"{startup.NEW}: 500 µs (300 µs to 600 µs, 3 networks, nothing compiled)",
    ]


@pytest.mark.slow
def test_a_process_of_its_own():
    assert len(startup.new_networks()) == 2 * len(startup.ARCHITECTURES)


def test_fits_of_few_and_of_many_steps(monkeypatch):
    monkeypatch.setattr(startup, "STEPS", 2)
    found = startup.fits(1)
    assert set(found) == {startup.SHORT, startup.LONG}
    assert all(len(seconds) == 1 and seconds[0] > 0 for seconds in found.values())


def test_resamples_on_two_processes():
    found = startup.spread(0.05)
    assert set(found) == {startup.ALONE, startup.SPREAD}
    assert all(seconds[0] > 0 for seconds in found.values())


def test_ratios_stand_beside():
    figures = {"import numba": [1.0], startup.SHORT: [3e-6], startup.LONG: [2e-6]}
    figures |= {startup.ALONE: [20.0], startup.SPREAD: [11.0]}
    lines = dict(line.split(": ", 1) for line in startup.in_words(figures))
    assert lines[startup.SHORT].endswith("(1.50 x one of 20,000 steps)")
    assert lines[startup.SPREAD].endswith("(1.10 x its share)")
