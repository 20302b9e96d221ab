"""Damaged files: is each refused with a clear error, or loaded with the content that was saved?

``python -m bench.mutations`` damages a network's ``.npz`` and ``.safetensors`` files, a checkpoint of
bootstrap replicates, and the files of a band and of an interval, each `count` times: flipped bits, a
cut-off end, bytes written over, blocks that changed places, garbage at the end. What a damaged file is
loaded as is compared with what was saved, to the last bit. The exit status is 1 if any is loaded with
other content, or fails with an error of another kind.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

# What may become of a damaged file.
REFUSED, IDENTICAL = "refused with a clear error", "loaded with identical content"
WRONG, OTHER = "loaded silently wrong", "any other exception"
OUTCOMES = (REFUSED, IDENTICAL, WRONG, OTHER)


# --- damage -------------------------------------------------------------------------------------


def flip(rng: np.random.Generator, content: bytes) -> bytes:
    """One to four bits are the others."""
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def truncate(rng: np.random.Generator, content: bytes) -> bytes:
    """The end is missing."""
    return content[: rng.integers(len(content))]


def overwrite(rng: np.random.Generator, content: bytes) -> bytes:
    """Up to 64 bytes are random ones."""
    length = int(rng.integers(1, 65))
    begin = int(rng.integers(len(content) - length))
    return content[:begin] + rng.bytes(length) + content[begin + length :]


def swap(rng: np.random.Generator, content: bytes) -> bytes:
    """Two blocks of up to 512 bytes have changed places."""
    length = int(rng.integers(1, min(512, len(content) // 2) + 1))
    first = int(rng.integers(len(content) - 2 * length + 1))
    second = int(rng.integers(first + length, len(content) - length + 1))
    damaged = bytearray(content)
    damaged[first : first + length] = content[second : second + length]
    damaged[second : second + length] = content[first : first + length]
    return bytes(damaged)


def append(rng: np.random.Generator, content: bytes) -> bytes:
    """Up to 512 bytes stand behind the end."""
    return content + rng.bytes(int(rng.integers(1, 513)))


MUTATIONS = (flip, truncate, overwrite, swap, append)


# --- files --------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """One kind of file."""

    name: str
    suffix: str
    save: Callable[[str], Any]
    load: Callable[[str], Any]  # all content, as nested dicts, lists and arrays


def _network() -> Any:
    from fastkb import nn

    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 5))
    net = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 2), rng=0)
    return net.fit(X, X[:, :2], optimizer=nn.Adam(schedule="reduce_on_plateau"), epochs=3)


def _load_network(path: str) -> Any:
    from fastkb import nn

    saved = nn.load(path)._saved()
    return saved._asdict() | {"progress": vars(saved.progress)}


_JOB = {"y": np.arange(3.0), "n_resamples": 40, "alpha": 0.5, "seed": None}


def _save_checkpoint(path: str) -> None:
    from fastkb.storage.checkpoint import Checkpoint

    rng = np.random.default_rng(0)
    arrays = {
        "distribution": rng.standard_normal((40, 6)),
        "done": rng.random(40) < 0.5,
        "counts": rng.integers(0, 9, (40, 3)),
        "labels": np.array(["a", "bc"]),
    }
    Checkpoint(path, _JOB).save(arrays)


def _load_checkpoint(path: str) -> Any:
    from fastkb.storage.checkpoint import Checkpoint

    return Checkpoint(path, _JOB).load()


def _save_band(path: str) -> None:
    import fastkb

    X = np.linspace(0.0, 3.0, 30)[:, None]
    search = fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True)
    fastkb.bootstrap_band(
        search, X, np.sin(X[:, 0]), X[:4], kind="confidence", n_resamples=9, rng=0
    ).save(path)


def _load_band(path: str) -> Any:
    from fastkb import BandResult

    band = vars(BandResult.load(path))
    study = band.pop("_study")
    return band | {"widths": study.widths, "around": study.center}


def _save_interval(path: str) -> None:
    import fastkb

    fastkb.bootstrap((np.arange(30.0),), np.mean, n_resamples=99, rng=0).save(path)


def _load_interval(path: str) -> Any:
    from fastkb import BootstrapResult

    return vars(BootstrapResult.load(path))


def kinds() -> list[Kind]:
    """Those that fastkb writes."""

    def save_network(path: str) -> None:
        _network().save(path)

    return [
        Kind("network .npz", ".npz", save_network, _load_network),
        Kind("network .safetensors", ".safetensors", save_network, _load_network),
        Kind("checkpoint", ".npz", _save_checkpoint, _load_checkpoint),
        Kind("band", ".npz", _save_band, _load_band),
        Kind("interval", ".npz", _save_interval, _load_interval),
    ]


# --- counting -----------------------------------------------------------------------------------


def same(one: Any, other: Any) -> bool:
    """Whether two contents are the same to the last bit; NaN is NaN here."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        alike = isinstance(one, np.ndarray) and isinstance(other, np.ndarray)
        return alike and (one.dtype, one.shape, one.tobytes()) == (
            other.dtype,
            other.shape,
            other.tobytes(),
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


def outcome(kind: Kind, path: str, expected: Any) -> tuple[str, str]:
    """What becomes of a file, and the error in words."""
    try:
        found = kind.load(path)
    except ValueError as error:
        clear = os.path.basename(path) in str(error)
        return (REFUSED if clear else OTHER), f"{type(error).__name__}: {error}"
    except BaseException as error:  # a panic of another language is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return OTHER, f"{type(error).__name__}: {error}"
    return (IDENTICAL if same(found, expected) else WRONG), ""


def damage(kind: Kind, count: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """How many of `count` damaged files had which outcome, and the first that should not be, in words.

    Parameters
    ----------
    kind : Kind
    count : int
        The mutations take turns.
    seed : int, default 0
    """
    rng, found, bad = np.random.default_rng(seed), Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"file{kind.suffix}")
        kind.save(path)
        expected = kind.load(path)
        with open(path, "rb") as file:
            whole = file.read()
        for number in range(count):
            mutation = MUTATIONS[number % len(MUTATIONS)]
            with open(path, "wb") as file:
                file.write(mutation(rng, whole))
            result, words = outcome(kind, path, expected)
            found[result] += 1
            if result in (WRONG, OTHER):
                bad.append(f"{mutation.__name__}, number {number}: {result} {words}")
    return found, bad[:5]


def main(arguments: Sequence[str] | None = None) -> int:
    """Damage files of every kind and print the counts; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="files of each kind (default: 500)")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    options = parser.parse_args(arguments)
    failed = False
    for kind in kinds():
        found, bad = damage(kind, options.count, options.seed)
        print(f"{kind.name}: {options.count} damaged files")
        for result in OUTCOMES:
            print(f"  {found[result]:6d} {result}")
        for line in bad:
            print(f"    {line}")
        failed |= bool(bad)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
