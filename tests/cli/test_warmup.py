import subprocess
import sys

import numpy as np
from numba.core import event

import fastkb
from fastkb.cli import main
from fastkb.cli.warmup import jobs


def test_every_public_function_has_a_job_in_each_dtype():
    names = [name for name, _ in jobs()]
    for public in fastkb.__all__:
        if not callable(getattr(fastkb, public)) or public.endswith("Result"):
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
