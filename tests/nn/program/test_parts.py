"""Where rows that need all observations at once cut a program: which rows each part runs."""

import numpy as np

from fastkb import nn
from fastkb.nn.program.engine import Engine, each_of
from fastkb.nn.program.parts import last_part, sizes_now
from fastkb.nn.program.step import GRADIENTS_ONLY, LOSS_ONLY

LAYERS = [
    nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1),
]  # fmt: skip


class Hyper:
    def __init__(self, code):
        self.code = code


class Run:
    def __init__(self, engine, code):
        self.rows, self.hyper, self.sizes = engine.program.rows, Hyper(code), engine._sizes(4)
        self.each = each_of(2, updates=7, seeds=np.array([5, 6]))


def test_parts_are_counted_where_the_batch_counts():
    engine = Engine(LAYERS, np.dtype("float64"), (1, 2, 2))
    assert engine.program.rows.across.tolist() == [2, 3]
    for code, parts, training in ((0, 4, 1), (GRADIENTS_ONLY, 4, 1), (LOSS_ONLY, 0, 0)):
        run = Run(engine, code)
        assert last_part.py_func(run) == parts
        control = np.zeros(40, np.int64)
        control[30] = 3
        sizes = sizes_now.py_func(run, 1, control)
        assert (sizes.observations, sizes.training) == (3, training)
        assert (sizes.seed, sizes.step) == (6, 7)
    dense = Engine([nn.Linear(2, 2)], np.dtype("float64"))
    assert last_part.py_func(Run(dense, 0)) == 0


def test_neighbours_that_cut_are_run_in_order():
    """Two normalisations behind each other: the second one's batch is what the first one gives."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9, 1, 2, 2))
    network = nn.Sequential(*LAYERS, rng=0, dtype="float64")
    network.fit(X, np.zeros(9), epochs=1, batch_size=9, shuffle=False, optimizer=nn.SGD(1e-12))
    state = network.state_dict()
    np.testing.assert_allclose(state["2.running_mean"], 0.0, atol=1e-12)
    spread = 0.9 + 0.1 * 36 / 35 * state["1.running_var"] * 0 + 0.1 * 36 / 35
    assert (state["2.running_var"] <= spread).all()
    assert (state["2.running_var"] > 0.9).all()
