"""Every contender of every work on its own, by pytest-benchmark: ``pytest bench/ -k rbf-n4000-d10``.

The ratios of the README come from ``python -m bench report``, which interleaves the contenders.
"""

import pytest

from bench import machine, registry
from bench.rivals import stop_processes
from bench.work import FASTKB, Absent

ROUNDS = 5
CASES = [(work, name) for work in registry.works() for name in (FASTKB, *work.rivals)]


@pytest.fixture(scope="module", autouse=True)
def _equal_threads():
    with machine.equal_threads(machine.available_cores()):
        yield
    stop_processes()


@pytest.mark.benchmark(disable_gc=True)
@pytest.mark.parametrize(("work", "name"), CASES, ids=[f"{w.name}-by-{n}" for w, n in CASES])
def test_work(request, work, name):
    ours = work.fastkb()
    contender = ours if name == FASTKB else work.rival(name)
    if isinstance(contender, Absent):
        pytest.skip(contender.reason)
    if name != FASTKB:
        worst = work.disagreement(ours.call(), contender.call())
        assert worst <= 1.0, (
            f"differs from fastkb by {worst:.3g} tolerances: no figure without agreement"
        )
    # Only now: pytest-benchmark warns, which is an error here, if it is set up and then not used.
    benchmark = request.getfixturevalue("benchmark")
    benchmark.group = f"{work.name} ({work.title})"
    benchmark.extra_info.update(scale=contender.scale, part=contender.part)
    benchmark.pedantic(contender.call, rounds=ROUNDS, warmup_rounds=1)
