"""Threads that are kept: all calls are made, errors are told, and nobody waits for who came too late."""

import os
import signal
import sys
import threading
import time
from functools import partial

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
    threads = {thread for _, thread in calls}
    assert threading.current_thread() in threads
    assert len(threads) == 3


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


def test_the_first_error_of_several_is_told_after_all_have_ended():
    ended, started = [], threading.Barrier(3, timeout=30)

    def fail(k):
        started.wait()
        time.sleep(0.02 * k)
        ended.append(k)
        raise ValueError(f"call {k}")

    with pytest.raises(ValueError, match="call 0"):
        call_each(fail, [(0,), (1,), (2,)])
    assert sorted(ended) == [0, 1, 2]


@pytest.mark.parametrize("together", [False, True])
def test_an_interrupt_leaves_nobody_at_work(together):
    here, working, ended = threading.current_thread(), threading.Event(), []

    def work(*_):
        if threading.current_thread() is here:
            assert working.wait(30)
            raise KeyboardInterrupt
        working.set()
        time.sleep(0.05)
        ended.append(True)

    call = (
        partial(call_together, work, (), 2) if together else partial(call_each, work, [(0,), (1,)])
    )
    with pytest.raises(KeyboardInterrupt):
        call()
    assert ended == [True]


def test_without_workers_this_thread_does_it_all(monkeypatch):
    def none(count):
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(workers, "_workers", none)
    calls = []
    call_each(calls.append, [(1,), (2,), (3,)])
    call_together(calls.append, (4,), 3)
    assert calls == [1, 2, 3, 4]


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


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_workers_of_its_own():
    call_each(time.sleep, [(0.0,)] * 3)
    child = os.fork()
    if child == 0:
        # Nothing of what this process loaded before has a say in how the child ends.
        failed = 1
        try:
            meeting = threading.Barrier(3, timeout=30)  # of calls at the same time
            call_each(meeting.wait, [()] * 3)
            failed = 0
        finally:
            os._exit(failed)
    until = time.monotonic() + 60
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended and time.monotonic() < until:
        time.sleep(0.01)
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended, "the child waits for workers that it does not have"
    assert os.waitstatus_to_exitcode(status) == 0
