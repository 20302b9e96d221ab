"""Threads that are kept: all calls are made, errors are told, and nobody waits for who came too late."""

import multiprocessing
import os
import sys
import threading
import time

import pytest

from fastkb.runtime import workers
from fastkb.runtime.workers import call_each, call_together


def test_each_call_is_made_once_and_at_the_same_time():
    meeting, calls = threading.Barrier(3, timeout=30), []

    def meet(name):
        meeting.wait()
        calls.append((name, threading.current_thread()))

    call_each(meet, [("a",), ("b",), ("c",)])
    assert sorted(name for name, _ in calls) == ["a", "b", "c"]
    threads = dict(calls)
    assert threads["a"] is threading.current_thread()
    assert len(set(threads.values())) == 3


@pytest.mark.parametrize("wrong", [0, 1])
def test_errors_are_told_after_all_calls_have_ended(wrong):
    ended = []

    def fail(k):
        time.sleep(0.01 * k)
        ended.append(k)
        if k == wrong:
            raise ValueError(f"call {k}")

    with pytest.raises(ValueError, match=f"call {wrong}"):
        call_each(fail, [(0,), (1,)])
    assert sorted(ended) == [0, 1]


def test_threads_are_kept():
    call_each(time.sleep, [(0.01,)] * 3)
    pool = workers._pool
    call_each(time.sleep, [(0.01,)] * 2)
    assert workers._pool is pool


def test_together_is_done_when_one_returns():
    """The only worker is busy: its call is taken back."""
    call_each(time.sleep, [(0.0,)] * 2)
    busy, calls = threading.Event(), []
    pool = workers._workers(1)
    waiting = [pool.submit(busy.wait, 30) for _ in range(workers._size)]
    try:
        call_together(calls.append, ("here",), 2)
        assert calls == ["here"]
    finally:
        busy.set()
    for future in waiting:
        assert future.result()
    pool.submit(int).result()
    assert calls == ["here"]


def test_together_shares_the_work():
    meeting = threading.Barrier(2, timeout=30)
    call_together(meeting.wait, (), 2)
    assert not meeting.broken


def test_one_thread_needs_no_pool(monkeypatch):
    monkeypatch.setattr(workers, "_workers", None)
    calls = []
    call_together(calls.append, (1,), 1)
    call_each(calls.append, [(2,)])
    assert calls == [1, 2]


def _in_child(queue):
    call_each(time.sleep, [(0.0,)] * 3)
    queue.put(os.getpid())


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_workers_of_its_own():
    call_each(time.sleep, [(0.0,)] * 3)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == child.pid
    child.join(60)
    assert child.exitcode == 0
