"""Parts of a job on executors: in order, from where they broke off, and on a cluster that shrinks."""

import os
import signal
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numba
import pytest
from numba import cloudpickle

from fastkb.executors import carriers
from fastkb.executors.carriers import Job
from fastkb.executors.parts import ExecutorError, check_executor, in_parts, spans
from fastkb.runtime.threads import n_threads

# Workers cannot import this module: what it defines travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Squares:
    """Computes a part; built once by each worker."""

    def __init__(self, offset):
        self.offset, self.token = offset, os.urandom(8)

    def __call__(self, number, *what):
        if what == ("die", os.getppid()) or (
            what[:1] == ("die at",) and not os.path.exists(what[1])
        ):
            if what[0] == "die at":
                open(what[1], "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        if what == ("fail",):
            raise ZeroDivisionError(f"part {number}")
        return number**2 + self.offset, self.token, n_threads()


def run_parts(executor, job, parts, finish, advance):
    """A call that is made of one job."""

    def call(made):
        results = []
        for result in made.results(job, parts):
            results.append(result)
            advance(result)
        return finish(results)

    return in_parts(executor, call)


def processes(workers=2):
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


class Plain:
    """No more than ``submit``."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


def numbers(results):
    return [result[0] for result in results]


@pytest.mark.parametrize("make", [lambda: None, Plain, lambda: ThreadPoolExecutor(3), processes])
def test_parts_come_in_their_order_and_are_told_as_they_come(make):
    executor, told = make(), []
    parts = [(k,) for k in range(20)]
    found = run_parts(executor, Job(Squares, (5,)), parts, list, lambda part: told.append(part[0]))
    assert numbers(found) == [k**2 + 5 for k in range(20)]
    assert told == numbers(found)
    built = {token for _, token, _ in found}
    assert len(built) <= {None: 1, Plain: 1}.get(type(executor) if executor else None, 3)
    if hasattr(executor, "shutdown"):
        executor.shutdown()


def test_no_part_is_no_work():
    assert run_parts(Plain(), Job(Squares, (5,)), [], list, print) == []


def test_workers_share_the_cores():
    with ThreadPoolExecutor(2) as pool:
        found = run_parts(pool, Job(Squares, (0,)), [(1,)] * 4, list, lambda part: None)
    assert {threads for _, _, threads in found} == {max(1, n_threads() // 2)}
    before = numba.get_num_threads()
    (found,) = run_parts(Plain(), Job(Squares, (0,)), [(1,)], list, lambda part: None)
    assert found[2] == 1
    assert numba.get_num_threads() == before


def test_functions_without_a_module_reach_processes():
    def build(offset):
        return lambda number: number + offset

    with processes(1) as pool:
        assert run_parts(pool, Job(build, (2,)), [(1,), (3,)], list, lambda part: None) == [3, 5]


def test_the_file_of_a_job_is_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(carriers.tempfile, "tempdir", str(tmp_path))
    with processes(1) as pool:
        run_parts(pool, Job(Squares, (2,)), [(1,)], list, lambda part: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [lambda: None, Plain, lambda: ThreadPoolExecutor(2), processes])
def test_a_failing_part_is_raised_as_it_is(make):
    executor = make()
    parts = [(1,), (2, "fail"), *[(3,)] * 50]
    with pytest.raises(ZeroDivisionError, match="part 2"):
        run_parts(executor, Job(Squares, (0,)), parts, list, lambda part: None)
    if hasattr(executor, "shutdown"):
        executor.shutdown()


def test_what_has_not_begun_is_cancelled():
    begun, hold = [], threading.Event()

    def build():
        def compute(number):
            begun.append(number)
            hold.wait(30)
            time.sleep(0.02)

        return compute

    class Interrupted(BaseException):
        pass

    def interrupt(part):
        raise Interrupted

    with ThreadPoolExecutor(1) as pool:
        timer = threading.Timer(0.3, hold.set)
        timer.start()
        with pytest.raises(Interrupted):
            run_parts(pool, Job(build, ()), [(k,) for k in range(100)], list, interrupt)
    assert len(begun) < 20


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_a_broken_pool_keeps_what_was_finished(tmp_path):
    mark, told = str(tmp_path / "died"), []
    parts = [(k,) if k != 15 else (k, "die at", mark) for k in range(20)]
    with (
        processes(1) as pool,
        pytest.raises(ExecutorError, match=r"of 20 parts were finished") as caught,
    ):
        run_parts(pool, Job(Squares, (1,)), parts, numbers, lambda part: told.append(part[0]))
    error = caught.value
    assert 0 < error.finished < 20
    assert error.total == 20
    assert "error.go_on(executor)" in str(error)
    assert told == [k**2 + 1 for k in range(len(told))]
    with processes(1) as pool:
        assert error.go_on(pool) == [k**2 + 1 for k in range(20)]


def test_a_pool_that_was_shut_down_is_broken():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(ExecutorError, match="0 of 2 parts") as caught:
        run_parts(pool, Job(Squares, (1,)), [(1,), (2,)], numbers, lambda part: None)
    assert caught.value.go_on() == [2, 5]
    with pytest.raises(TypeError, match="executor must have a method submit"):
        caught.value.go_on(3)


def test_what_is_finished_is_not_computed_again():
    computed, broken = [], [True]

    class Breaks(Plain):
        def submit(self, function, handle, threads, part):
            if part == (2,) and broken[0]:
                raise BrokenExecutor("a worker died")
            computed.append(part[0])
            return super().submit(function, handle, threads, part)

    def call(parts):
        first = list(parts.results(Job(Squares, (0,)), [(k,) for k in range(4)]))
        return numbers(first), numbers(parts.results(Job(Squares, (100,)), [(1,), (2,)]))

    with pytest.raises(ExecutorError, match="3 of 4 parts") as caught:
        in_parts(Breaks(), call)
    with pytest.raises(ExecutorError, match="3 of 4 parts") as again:
        caught.value.go_on(Breaks())
    broken[0] = False
    assert again.value.go_on(Breaks()) == ([0, 1, 4, 9], [101, 104])
    assert computed == [0, 1, 3, 2, 1, 2]


def test_spans():
    assert spans(10, 4) == [(0, 3), (3, 3), (6, 3), (9, 1)]
    assert spans(3, 64) == [(0, 1), (1, 1), (2, 1)]
    assert spans(0, 64) == []


@pytest.mark.parametrize("wrong", [3, "processes", object()])
def test_what_is_no_executor(wrong):
    with pytest.raises(TypeError, match="executor must have a method submit"):
        check_executor(wrong)
    check_executor(None)


# --- a real cluster -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as made:
        yield made


@pytest.fixture
def client(cluster):
    from dask.distributed import Client

    with Client(cluster) as made:
        made.wait_for_workers(2)
        yield made


class Traced:
    """Says which process computed a part; one part waits until its worker is killed."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, number):
        name = os.path.join(self.folder, f"{number}-{os.getpid()}")
        with open(name, "a") as file:
            file.write("x")
        if number == 7 and sum(f.startswith("7-") for f in os.listdir(self.folder)) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02)
        return number


def test_on_dask(client):
    parts = [(k,) for k in range(20)]
    found = run_parts(client, Job(Squares, (5,)), parts, list, lambda part: None)
    assert numbers(found) == [k**2 + 5 for k in range(20)]
    with pytest.raises(ZeroDivisionError, match="part 2"):
        run_parts(client, Job(Squares, (0,)), [(1,), (2, "fail")], list, lambda part: None)


@pytest.mark.filterwarnings("ignore")
def test_dask_computes_a_lost_part_again_and_no_finished_one(client, tmp_path):
    parts = [(k,) for k in range(30)]
    told = []
    found = run_parts(client, Job(Traced, (str(tmp_path),)), parts, list, told.append)
    assert found == list(range(30))
    assert told == found
    computed = {}
    for path in tmp_path.iterdir():
        number = int(path.name.split("-")[0])
        computed[number] = computed.get(number, 0) + len(path.read_text())
    assert computed[7] == 2
    # Beside the part that killed its worker, those that were on it and had not been fetched.
    assert sum(count > 1 for count in computed.values()) <= 4
