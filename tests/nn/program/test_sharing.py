"""How threads share a step: who claims what. (What they compute: test_passes.py, test_training.py.)"""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.program import engine as engine_module
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.sharing import (
    CONTROL,
    KIND,
    OBSERVATIONS,
    PHASE,
    TURN,
    _claim,
    _open,
    new_control,
)
from fastkb.runtime import jit


@jit(cache=False, references=False)
def _open_and_claim(control, tasks, ends, claimed):
    _open(control, OBSERVATIONS, tasks)
    for k in range(len(ends)):
        claimed[k] = _claim(control, ends[k] == 1)


@pytest.mark.parametrize("tasks", [1, 2, 7, 1000])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_each_task_is_claimed_once_from_either_end(tasks, share):
    ends = (np.random.default_rng(tasks).uniform(size=tasks) < share).astype(np.int64)
    control, claimed = np.zeros(CONTROL, np.int64), np.empty(tasks, np.int64)
    _open_and_claim(control, tasks, ends, claimed)
    assert sorted(claimed.tolist()) == list(range(tasks))
    assert claimed[ends == 0].tolist() == list(range(int((ends == 0).sum())))
    assert claimed[ends == 1].tolist() == list(range(tasks))[::-1][: int(ends.sum())]
    assert control[KIND] == OBSERVATIONS


def test_without_tasks_all_is_over():
    claimed = np.zeros(3, np.int64)
    _open_and_claim(np.zeros(CONTROL, np.int64), 0, np.array([0, 1, 0]), claimed)
    assert claimed.tolist() == [-1, -1, -1]


def test_the_first_phase_turns_all_blocks():
    engine = Engine([nn.Linear(40, 90), nn.Tanh(), nn.Linear(90, 5)], np.dtype(np.float32))
    control = new_control(engine.program.rows)
    assert control[KIND] == TURN
    assert control[PHASE] >> 42 == len(engine.program.blocks)


def test_more_tasks_than_can_be_counted_are_one_threads(monkeypatch):
    monkeypatch.setattr(engine_module, "_A_THREAD", 1)
    monkeypatch.setattr(engine_module, "n_threads", lambda: 4)
    engine = Engine([nn.Linear(40, 90), nn.Tanh(), nn.Linear(90, 5)], np.dtype(np.float32))
    assert engine.threads(100) == 4
    monkeypatch.setattr(engine_module, "MOST_TASKS", len(engine.program.blocks) - 1)
    assert engine.threads(100) == 1
