"""Threads of a block meet in shared memory at atomic instructions alone, and every barrier is needed."""

import functools

import numpy as np
import pytest
from scipy import stats

from fastkb import schemes
from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.statistics import recognise
from fastkb.runtime import cuda as runtime

try:
    from fastkb.bootstrap.evaluate.cuda import statistic as device
    from fastkb.bootstrap.evaluate.cuda.plan import Sizes
    from fastkb.random.cuda import Source
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not runtime.simulated(), reason="only the simulator's threads can be watched"
    ),
]
MANY = 3 * 2**29 + 1  # a quarter of all numbers is rejected


def trimmed(x, axis=-1):
    return stats.trim_mean(x, 0.2, axis=axis)


KNOWN = {trimmed: functools.partial(stats.trim_mean, proportiontocut=0.2)}
each_kernel = pytest.mark.parametrize("statistic", [np.var, np.median, np.ptp, trimmed])


class Drawn:
    """One row of some statistic, of numbers of which a quarter is rejected."""

    def __init__(self, statistic, scheme=None, sizes=None):
        x = np.random.default_rng(0).normal(size=13)
        prepared = scheme and scheme.prepare([x], False)
        known = recognise(KNOWN.get(statistic, statistic))
        compiled = Compiled(known, (x,), False, np.asarray(statistic(x)))
        self.device = device.OnDevice(compiled, prepared, sizes or Sizes(4, 5))

    def __call__(self):
        key = np.random.default_rng(1)
        return self.device.distribution(key, 1, lambda count: None)


@pytest.fixture
def rejecting(monkeypatch):
    """Kernels with fresh code, whose indices below MANY are folded to those of the data."""
    from fastkb.bootstrap.evaluate.cuda import resamples, rows
    from fastkb.random import cuda as numbers

    made = [device.moment_kernel, device.rank_kernel, device.extreme_kernel, device.trimmed_kernel]
    drawn, numbers_of = numbers.draws, resamples.numbers_of

    def folded(source):
        found = drawn(source)
        if source == Source.EVERY:
            return found

        def accept(number, place, how):
            at, good = found.accept(number, place, how)
            return at % 13, good

        return found._replace(accept=accept)

    def many(stream, bound):
        return numbers_of(stream, bound if stream.source == Source.EVERY else MANY)

    for kernel in made:
        kernel.cache_clear()
    monkeypatch.setattr(rows, "draws", folded)
    monkeypatch.setattr(resamples, "numbers_of", many)
    yield
    for kernel in made:
        kernel.cache_clear()


@pytest.mark.usefixtures("rejecting")
@each_kernel
def test_no_two_threads_meet(statistic, watch):
    drawn = Drawn(statistic)
    value, races = watch(drawn)
    assert races == 0
    x = np.random.default_rng(0).normal(size=13)
    rows = np.random.default_rng(1).integers(0, MANY, (1, 13)) % 13
    np.testing.assert_allclose(value, statistic(x[rows], axis=1), rtol=1e-12)


@each_kernel
def test_no_two_threads_meet_in_runs(statistic, watch):
    _, races = watch(Drawn(statistic, schemes.MovingBlocks(3)))
    assert races == 0


@pytest.mark.usefixtures("rejecting")
def test_the_watch_sees_a_missing_barrier(watch):
    drawn = Drawn(np.mean)
    _, races = watch(drawn)
    assert races == 0
    # The first barriers: the count of rejected numbers is 0, all are counted, all have read the count.
    for without in range(3):
        _, races = watch(drawn, without)
        assert races > 0
