"""Modules that have moved: files of earlier versions name the places where their classes stood.

A pickle imports a class from the module that it was in. :data:`MOVED` holds the modules of classes that
users' pickles contain; a finder at the end of ``sys.meta_path`` answers for the old names. A checkpoint
tells estimators apart by the full names of their classes: it keeps the old ones, :func:`first_name`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# where a module stood in version 0.1.0 -> where it stands
MOVED = {
    "fastkb.bands.calibration": "fastkb.bands.coverage.calibration",
    "fastkb.bands.plausible": "fastkb.bands.coverage.plausible",
    "fastkb.bands.study": "fastkb.bands.coverage.study",
    "fastkb.bands.after_bootstrap": "fastkb.bands.coverage.after_bootstrap",
    "fastkb.bootstrap.index_schemes": "fastkb.resample.index_schemes",
    "fastkb.bootstrap.prediction_error": "fastkb.bands.models.prediction_error",
    "fastkb.bootstrap.response_schemes": "fastkb.resample.response_schemes",
    "fastkb.bootstrap.weight_schemes": "fastkb.resample.weight_schemes",
    "fastkb.nn.descent": "fastkb.nn.perceptron.descent",
    "fastkb.nn.engine": "fastkb.nn.program.engine",
    "fastkb.nn.estimators": "fastkb.nn.perceptron.estimators",
    "fastkb.nn.fitting": "fastkb.nn.training.fitting",
    "fastkb.nn.layers": "fastkb.nn.ops.layers",
    "fastkb.nn.optimizers": "fastkb.nn.optim.optimizers",
    "fastkb.nn.schedules": "fastkb.nn.optim.schedules",
}
# The classes of a module that became two have its old name in checkpoints.
_FIRST_NAMES = {new: old for old, new in MOVED.items()} | {
    "fastkb.nn.perceptron.classifier": "fastkb.nn.estimators",
    "fastkb.nn.perceptron.regressor": "fastkb.nn.estimators",
    "fastkb.nn.ops.activation": "fastkb.nn.layers",
    "fastkb.nn.ops.dense": "fastkb.nn.layers",
}


def first_name(module: str) -> str:
    """The name of a module in the version that first wrote it into files.

    Examples
    --------
    >>> from fastkb.storage.moved import first_name
    >>> first_name("fastkb.nn.ops.layers"), first_name("numpy")
    ('fastkb.nn.layers', 'numpy')
    """
    return _FIRST_NAMES.get(module, module)


class _Mover:
    """Finds and loads a module under its old name: the module of the new one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name in MOVED else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        # The import system returns the module that stands here afterwards.
        sys.modules[module.__name__] = importlib.import_module(MOVED[module.__name__])


def install() -> None:
    """Let old names be imported."""
    if not any(isinstance(finder, _Mover) for finder in sys.meta_path):
        sys.meta_path.append(_Mover())
