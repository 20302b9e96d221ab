"""How a job reaches workers, what they keep of it, and how many threads they use."""

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from fastkb.executors.carriers import Job, brought, compute_part, is_dask, threads_of_each
from fastkb.runtime.threads import n_threads

BUILT = []


class Adds:
    def __init__(self, offset):
        BUILT.append(offset)
        self.offset = offset

    def __call__(self, number):
        return number + self.offset


class Plain:
    def submit(self, function, *arguments):
        raise AssertionError


@pytest.mark.parametrize(
    "make", [Plain, lambda: ThreadPoolExecutor(1), lambda: ProcessPoolExecutor(1)]
)
def test_a_job_is_built_once_and_the_last_two_are_kept(make):
    executor = make()
    BUILT.clear()
    handles = []
    for offset in (10, 20, 30):
        with brought(executor, Job(Adds, (offset,))) as handle:
            again = handle if isinstance(executor, ThreadPoolExecutor) else pickled(handle)
            assert [compute_part(again, 1, (k,)) for k in range(3)] == [
                offset,
                offset + 1,
                offset + 2,
            ]
            handles.append(again)
    assert BUILT == [10, 20, 30]
    assert compute_part(handles[1], 1, (1,)) == 21
    assert BUILT == [10, 20, 30]
    if isinstance(executor, Plain):
        assert compute_part(handles[0], 1, (1,)) == 11
        assert BUILT == [10, 20, 30, 10]
    if hasattr(executor, "shutdown"):
        executor.shutdown()


def pickled(handle):
    return pickle.loads(pickle.dumps(handle))


def test_threads_of_each_worker():
    with ThreadPoolExecutor(1) as pool:
        assert threads_of_each(pool) == n_threads()
    with ThreadPoolExecutor(50) as pool:
        assert threads_of_each(pool) == 1
    assert threads_of_each(Plain()) == 1
    assert not is_dask(Plain())
