import subprocess
import sys

import numpy as np
import pytest
from numba.core import event

import fastkb
from fastkb.cli import main, warmup
from fastkb.cli.warmup import jobs


def test_every_public_function_has_a_job_in_each_dtype():
    names = [name for name, _ in jobs()]
    for public in fastkb.__all__:
        if not callable(getattr(fastkb, public)) or public.endswith(("Result", "Error")):
            continue
        for dtype in (np.float32, np.float64):
            assert any(name == f"{public} {np.dtype(dtype)}" for name in names), public


def test_a_second_call_with_the_same_types_compiles_nothing(capsys):
    assert main(["warmup"]) == 0
    assert " jobs in " in capsys.readouterr().out
    with event.install_recorder("numba:compile") as recorder:
        for _, job in jobs():
            job()
    assert not recorder.buffer, [str(e) for _, e in recorder.buffer]


def test_quiet(capsys):
    assert main(["warmup", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_the_first_band_of_a_later_process_compiles_nothing(tmp_path):
    assert main(["warmup", "--quiet"]) == 0
    code = "import sys; from fastkb.cli import main; sys.exit(main(['band', '--resamples', '20']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "replicates" in done.stdout
    assert "compiling" not in done.stdout


def test_shares_of_several_processes_are_all_jobs():
    assert sorted(warmup._done_elsewhere([[0, 1, 2], [4, 3]])) == list(range(5))


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_every_job_is_in_one_share(workers):
    shared = warmup.shares(workers)
    assert sorted(place for share in shared for place in share) == list(range(len(list(jobs()))))
    assert len(shared) == min(workers, len(warmup.groups()))


def failing(done):
    def fail():
        raise ZeroDivisionError("of the second job")

    return iter([("first", lambda: done.append("first")), ("second", fail), ("third", print)])


class Sender(list):
    send = list.append


def test_a_process_ends_with_the_job_that_fails(monkeypatch):
    monkeypatch.setattr(warmup, "jobs", lambda: failing([]))
    monkeypatch.setattr(warmup.signal, "signal", lambda *_: None)
    sender = Sender()
    warmup._run_share([0, 1, 2], sender)
    assert sender == [0]


def test_what_failed_elsewhere_is_run_again_and_says_why(monkeypatch):
    done = []
    monkeypatch.setattr(warmup, "jobs", lambda: failing(done))
    monkeypatch.setattr(warmup, "_done_elsewhere", lambda shared: iter([0]))
    monkeypatch.setattr(warmup, "n_threads", lambda: 2)
    with pytest.raises(ZeroDivisionError, match="of the second job"):
        main(["warmup"])
    assert done == []


@pytest.mark.parametrize(("threads", "folder"), [(1, "a folder"), (4, None)])
def test_one_process_does_it_alone(monkeypatch, capsys, threads, folder):
    """Where there is one core, or where nothing would be kept for this process."""
    done = []
    monkeypatch.setattr(warmup, "jobs", lambda: iter([("one", lambda: done.append(1))]))
    monkeypatch.setattr(warmup, "n_threads", lambda: threads)
    monkeypatch.setattr(warmup, "cache_folder", lambda: folder)
    monkeypatch.setattr(warmup, "_done_elsewhere", None)
    assert main(["warmup"]) == 0
    assert done == [1]
    expected = f"kept in {folder}" if folder else "kept nowhere"
    assert expected in capsys.readouterr().out
