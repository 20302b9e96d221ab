"""Atomic integers: nothing is lost when threads count together, and what was written before is seen."""

import threading

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.runtime.atomics import atomic_add, atomic_load, atomic_store, give_way, relax


@jit(cache=False)
def _count(numbers, place, times, seen):
    for k in range(times):
        before = atomic_add(numbers, place, 1)
        seen[before] += 1
        if k % 64 == 0:
            relax()
            give_way()


@jit(cache=False)
def _store_and_load(numbers, place, value):
    atomic_store(numbers, place, value)
    return atomic_load(numbers, place)


@jit(cache=False)
def _send(numbers, data, rounds):
    for k in range(1, rounds + 1):
        data[k % 8] = k
        atomic_store(numbers, 0, k)
        while atomic_load(numbers, 1) < k:
            give_way()


@jit(cache=False)
def _receive(numbers, data, rounds):
    wrong = 0
    for k in range(1, rounds + 1):
        while atomic_load(numbers, 0) < k:
            give_way()
        wrong += data[k % 8] != k
        atomic_store(numbers, 1, k)
    return wrong


def test_no_count_is_lost_or_given_twice():
    threads, times = 4, 20_000
    numbers, seen = np.zeros(9, np.int64), np.zeros(threads * times, np.int64)
    _count(numbers, 3, 0, seen)
    workers = [
        threading.Thread(target=_count, args=(numbers, 3, times, seen)) for _ in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert numbers.tolist() == [0, 0, 0, threads * times, 0, 0, 0, 0, 0]
    assert (seen == 1).all()


@pytest.mark.parametrize("value", [0, -1, 2**62, -(2**63)])
def test_what_is_stored_is_loaded(value):
    numbers = np.full(5, 7, np.int64)
    assert _store_and_load(numbers, 2, value) == value
    assert numbers.tolist() == [7, 7, value, 7, 7]


def test_what_was_written_before_is_seen():
    numbers, data, rounds = np.zeros(2, np.int64), np.zeros(8, np.int64), 5_000
    _receive(numbers, data, 0)
    sender = threading.Thread(target=_send, args=(numbers, data, rounds))
    sender.start()
    wrong = _receive(numbers, data, rounds)
    sender.join()
    assert wrong == 0
