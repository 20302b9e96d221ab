"""Results that are written to files and read from them, and made data frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, ClassVar, TypeVar

from fastkb.storage.checks import check_suffix, check_target
from fastkb.storage.result_file import read_result, write_result

_Result = TypeVar("_Result", bound="SavedResult")


class SavedResult(ABC):
    """A result that says what a file holds of it, and is made of that again."""

    _kind: ClassVar[str]  # what it is, in a word

    @abstractmethod
    def _content(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What JSON holds of the result, and its arrays by name."""

    @classmethod
    @abstractmethod
    def _made_of(cls: type[_Result], about: dict[str, Any], arrays: dict[str, Any]) -> _Result:
        """The result of a file's content. What is missing there is a KeyError or TypeError."""

    def save(self, path: Any) -> None:
        """Write the result to a file, which appears whole or not at all.

        Parameters
        ----------
        path : str or os.PathLike
            Ending in ``.npz``. Nothing is pickled.

        Raises
        ------
        ValueError, TypeError
            If `path` is not what is expected, or a value is a Python object, which no such file can hold.
        OSError
            If the file cannot be written.
        """
        target = check_target("path", path)
        check_suffix("path", target, (".npz",))
        write_result(target, self._kind, *self._content())

    @classmethod
    def load(cls: type[_Result], path: Any) -> _Result:
        """The result that :meth:`save` has written.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        ValueError
            If the file is damaged, or is something else.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from fastkb import BootstrapResult, bootstrap
        >>> result = bootstrap((np.arange(30.0),), np.mean, n_resamples=999, rng=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.save(os.path.join(folder, "mean.npz"))
        ...     again = BootstrapResult.load(os.path.join(folder, "mean.npz"))
        >>> again.interval(0.9) == result.interval(0.9)
        True
        """
        about, arrays = read_result(path, cls._kind)
        try:
            return cls._made_of(about, arrays)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"path {path!r} is not a {cls._kind} that fastkb saved: {error} is missing"
            ) from None


def require_pandas() -> ModuleType:
    """pandas, or the one error of ``to_frame`` where it is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_frame needs pandas: pip install pandas") from error
    return pandas
