"""fastkb: fast **k**ernels, **b**ootstrap and **b**ackpropagation.

NumPy in, NumPy out; compiled by Numba for every core of the machine. The public names below load
when first used (PEP 562), so ``import fastkb`` costs little more than nothing.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

from fastkb._version import __version__
from fastkb.storage import moved as _moved

# public name -> the module that holds it (None: the module itself is the public name)
_PUBLIC: dict[str, str | None] = {
    "linear_kernel": "fastkb.gram.pairwise",
    "polynomial_kernel": "fastkb.gram.pairwise",
    "rbf_kernel": "fastkb.gram.pairwise",
    "sigmoid_kernel": "fastkb.gram.pairwise",
    "laplacian_kernel": "fastkb.gram.pairwise",
    "pairwise_kernels": "fastkb.gram.pairwise",
    "gram": "fastkb.gram.pairwise",
    "TaylorFeatures": "fastkb.gram.features",
    "KernelRidge": "fastkb.ridge.estimator",
    "KernelRidgeCV": "fastkb.ridge.search",
    "kernel_ridge_path": "fastkb.ridge.path",
    "SVC": "fastkb.svm.estimators.svc",
    "NuSVC": "fastkb.svm.estimators.svc",
    "SVR": "fastkb.svm.estimators.regression",
    "NuSVR": "fastkb.svm.estimators.regression",
    "OneClassSVM": "fastkb.svm.estimators.one_class",
    "MLPClassifier": "fastkb.nn.perceptron.classifier",
    "MLPRegressor": "fastkb.nn.perceptron.regressor",
    "bootstrap": "fastkb.bootstrap.confidence",
    "BootstrapResult": "fastkb.bootstrap.bootstrap_result",
    "bootstrap_panel": "fastkb.bootstrap.panel",
    "PanelResult": "fastkb.bootstrap.panel_result",
    "ExecutorError": "fastkb.executors.parts",
    "bootstrap_band": "fastkb.bands.band",
    "sampling_band": "fastkb.bands.sampling",
    "BandResult": "fastkb.bands.result",
    "kernels": "fastkb.gram.kernels",
    "schemes": "fastkb.resample.schemes",
    "statistics": "fastkb.linalg.statistics",
    "svm": None,
    "nn": None,
    "optim": None,
    "plot": None,
    "reference": None,
    "testing": None,
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fastkb' has no attribute {name!r}")
    where = _PUBLIC[name]
    if where is None:
        return importlib.import_module(f"fastkb.{name}")
    module = importlib.import_module(where)
    value = module if where.endswith(f".{name}") else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(types.ModuleType):
    """Keeps a public function in its place when the room of the same name is imported.

    ``fastkb.gram`` is the function, and ``fastkb/gram/`` is the room it lives in; the import system
    would otherwise bind the room over the function, depending on what was imported first.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType) and _PUBLIC.get(name) is not None:
            return
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        # Functions that are sent to other processes take modules with them by their type, and do not know
        # this one.
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
_moved.install()  # pickles of earlier versions name modules that have moved
