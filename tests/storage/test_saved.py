"""Results in files: what every kind of result shares."""

import builtins
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from fastkb.storage.saved import SavedResult, require_pandas


@dataclass
class Two(SavedResult):
    """A number and an array."""

    number: float
    values: np.ndarray

    _kind: ClassVar[str] = "pair"

    def _content(self):
        return {"number": self.number}, {"values": self.values}

    @classmethod
    def _made_of(cls, about, arrays):
        return cls(about["number"], arrays["values"])


@dataclass
class More(Two):
    """What another version may expect."""

    @classmethod
    def _made_of(cls, about, arrays):
        return cls(about["number"], arrays["weights"])


def test_a_result_comes_back(tmp_path):
    Two(0.1, np.arange(3.0)).save(tmp_path / "two.npz")
    again = Two.load(tmp_path / "two.npz")
    assert again.number == 0.1
    assert np.array_equal(again.values, np.arange(3.0))


def test_what_is_missing_is_named(tmp_path):
    Two(0.1, np.arange(3.0)).save(tmp_path / "two.npz")
    with pytest.raises(ValueError, match="not a pair that fastkb saved: 'weights' is missing"):
        More.load(tmp_path / "two.npz")


@pytest.mark.parametrize("path", ["two.txt", 3, ""])
def test_paths_are_checked_before_any_work(path):
    with pytest.raises((ValueError, TypeError), match="path"):
        Two(0.1, np.arange(3.0)).save(path)


def test_objects_are_refused(tmp_path):
    with pytest.raises(ValueError, match="values holds Python objects"):
        Two(0.1, np.array([object()])).save(tmp_path / "two.npz")
    assert not list(tmp_path.iterdir())


def test_without_pandas(monkeypatch):
    load = builtins.__import__

    def refuse(name, *arguments):
        if name == "pandas":
            raise ImportError(name)
        return load(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match="to_frame needs pandas: pip install pandas"):
        require_pandas()
