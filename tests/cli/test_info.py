"""The description of the machine."""

import fastkb
from fastkb.cli.info import describe


def test_every_line_says_something():
    lines = describe()
    assert lines["fastkb"] == fastkb.__version__
    for key in ("processor", "vector width", "threading layer", "BLAS", "cache folder", "CUDA"):
        assert lines[key].strip()
    assert lines["vector width"].split()[0] in {"128", "256", "512"}
    assert lines["threading layer"].split(",")[0] in {"tbb", "omp", "workqueue"}
