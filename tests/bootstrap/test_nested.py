"""Standard errors by a bootstrap within the bootstrap, against the definition."""

import numpy as np
import pytest

from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.statistics import NAMED
from fastkb.bootstrap.nested import Nested, nested_key
from fastkb.random.bounded import bounded_rows
from fastkb.random.streams import key_from_rng


@pytest.mark.parametrize("block", [1, 10**6])
def test_inner_resamples_are_rows_of_the_outer_ones(block):
    x, y = np.random.default_rng(0).normal(size=(2, 8)) + 2
    evaluator = Compiled(NAMED["mean_ratio"], (x, y[:5]), False, np.asarray(0.0))
    key = key_from_rng(3)
    nested = Nested(evaluator, [8, 5], key)
    nested.largest_block = block
    rng = np.random.default_rng(1)
    rows = [rng.integers(0, n, (6, n)).astype(np.uint32) for n in (8, 5)]
    parts = [nested.replicates([r[:2] for r in rows]), nested.replicates([r[2:] for r in rows])]
    bounds = np.repeat([8, 5], [8 * 50, 5 * 50])
    drawn = bounded_rows(key, 0, 6, bounds).astype(int)
    for b, got in enumerate(np.concatenate(parts)):
        first = rows[0][b][drawn[b, :400].reshape(50, 8)]
        second = rows[1][b][drawn[b, 400:].reshape(50, 5)]
        ratios = x[first].mean(axis=1) / y[second].mean(axis=1)
        assert got == pytest.approx(ratios.std(ddof=1))


def test_a_key_for_every_generator_that_leaves_it_as_it_is():
    for make in (lambda: np.random.default_rng(4), lambda: np.random.RandomState(4)):
        generator, twin = make(), make()
        key = nested_key(generator)
        assert key.shape == (4,)
        assert key.dtype == np.uint32
        assert (key == nested_key(twin)).all()
        draw = "random" if isinstance(generator, np.random.Generator) else "random_sample"
        assert getattr(generator, draw)() == getattr(make(), draw)()


def test_there_is_no_jackknife():
    evaluator = Compiled(NAMED["mean"], (np.arange(4.0),), False, np.asarray(0.0))
    with pytest.raises(TypeError, match="no jackknife"):
        Nested(evaluator, [4], key_from_rng(0)).jackknife()
