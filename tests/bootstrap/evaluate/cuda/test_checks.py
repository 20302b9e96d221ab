"""What a device does not compute is refused before any work, by name: no device is needed for it."""

import functools

import numpy as np
import pytest

from fastkb import bootstrap, schemes
from fastkb.bootstrap.evaluate.cuda import checks
from fastkb.runtime import cuda

X = np.arange(1.0, 20.0)


@pytest.mark.parametrize(
    ("data", "statistic", "options", "words"),
    [
        ((X,), functools.partial(np.quantile, q=[0.2]), {}, "got statistic functools.partial"),
        (
            (X, X),
            "pearson",
            {"paired": True},
            "the statistics mean, .* got statistic pearson of 2",
        ),
        ((X, X), "mean_difference", {}, "statistic mean_difference of 2 samples"),
        ((X,), lambda x: x[0], {}, "got statistic <lambda>: use device='cpu'"),
        ((X,), np.mean, {"method": "studentized"}, "got method='studentized'"),
        ((X,), np.mean, {"scheme": schemes.Bayesian(), "method": "basic"}, "scheme=Bayesian"),
        ((X,), np.mean, {"scheme": schemes.StationaryBlocks(3)}, "MovingBlocks, .*Stationary"),
        ((np.append(X, np.inf),), np.mean, {}, r"data\[0\] contains infinity"),
        ((X.astype(np.float16),), np.mean, {}, "float16, which data"),
        ((np.array([2**52, 1]),), np.mean, {}, "one of size 4.5e"),
        ((X,), np.mean, {"device": "gpu"}, "device must be None, 'cpu' or 'cuda', got 'gpu'"),
    ],
)
def test_what_is_not_served(data, statistic, options, words):
    with pytest.raises(ValueError, match=words):
        bootstrap(data, statistic, **{"device": "cuda", **options})


def test_nan_is_refused_as_on_the_cpu(monkeypatch):
    monkeypatch.setattr(cuda, "load", lambda: None)
    with pytest.raises(ValueError, match=r"data\[0\] contains 1 NaN"):
        bootstrap((np.append(X, np.nan),), np.mean, device="cuda")


def test_an_executor_is_refused():
    class Pool:
        def submit(self, *arguments):
            raise AssertionError

    with pytest.raises(ValueError, match="executor exclude each other"):
        bootstrap((X,), np.mean, device="cuda", executor=Pool())


def test_without_cuda_there_is_the_one_error(monkeypatch):
    def missing():
        raise cuda.CudaUnavailableError("CUDA is not available (none here)")

    monkeypatch.setattr(cuda, "load", missing)
    with pytest.raises(cuda.CudaUnavailableError, match="none here"):
        bootstrap((X,), np.mean, device="cuda")


class There:
    """An array that seems to be on a GPU."""

    def __init__(self, dtype):
        self.__cuda_array_interface__ = {"typestr": np.dtype(dtype).str, "shape": (3,)}


@pytest.mark.parametrize(
    ("data", "device", "kind", "words"),
    [
        (There("f8"), None, ValueError, r"a sequence of samples, got There: .* write \(x,\)"),
        ((There("f8"),), "cpu", ValueError, r"data\[0\] is on the GPU, and device is 'cpu'"),
        (
            (There("f8"), X),
            None,
            TypeError,
            r"data\[1\] must be on the GPU, as data\[0\] is; got nd",
        ),
        ((There("i4"),), "cuda", ValueError, r"data\[0\] must be float32 or float64 .* got int32"),
    ],
)
def test_data_on_the_gpu(data, device, kind, words):
    with pytest.raises(kind, match=words):
        bootstrap(data, np.mean, device=device)


def test_data_stay_on_the_cpu_unless_they_are_asked_for_elsewhere(monkeypatch):
    assert checks.on_host((X,), None) == ((X,), False)
    assert checks.on_host((X,), "cpu") == ((X,), False)
    assert checks.on_host((X,), "cuda") == ((X,), True)
    copied = type("Copied", (), {"copy_to_host": lambda self: X})()
    monkeypatch.setattr(cuda, "view", lambda array: copied)
    assert checks.on_host((There("f4"),), None) == ([X], True)
