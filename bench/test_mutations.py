"""Damaged files: what is counted as what, and that none is loaded as something else."""

import numpy as np
import pytest

from bench import mutations


@pytest.fixture(autouse=True)
def _with_safetensors():
    pytest.importorskip("safetensors")


def test_no_damage_goes_unnoticed(capsys):
    assert mutations.main(["--count", "60", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("60 damaged files") == 5
    assert printed.count("     0 loaded silently wrong") == 5
    assert printed.count("     0 any other exception") == 5


@pytest.mark.parametrize("mutation", mutations.MUTATIONS)
def test_a_mutation_damages(mutation):
    rng, whole = np.random.default_rng(0), np.arange(997, dtype=np.uint32).tobytes()
    assert all(mutation(rng, whole) != whole for _ in range(100))


def answers(found):
    """A kind of file that is always loaded as this, or fails so."""

    def load(path):
        if isinstance(found, BaseException):
            raise found
        return found

    return mutations.Kind("made up", ".x", lambda path: None, load)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"a": np.array([1.0, np.nan])}, mutations.IDENTICAL),
        ({"a": np.array([1.0, 2.0])}, mutations.WRONG),
        ({"a": np.array([[1.0, np.nan]])}, mutations.WRONG),
        ({}, mutations.WRONG),
        (ValueError("'/tmp/file.x' is damaged"), mutations.REFUSED),
        (ValueError("is damaged"), mutations.OTHER),
        (KeyError("/tmp/file.x"), mutations.OTHER),
        (MemoryError("file.x"), mutations.OTHER),
    ],
)
def test_outcomes(found, expected):
    given = {"a": np.array([1.0, np.nan])}
    assert mutations.outcome(answers(found), "/tmp/file.x", given)[0] == expected


def test_a_wrong_file_fails_the_script(capsys, monkeypatch):
    numbers = iter(range(100))

    def save(path):
        with open(path, "wb") as file:
            file.write(bytes(1000))

    kind = mutations.Kind("made up", ".x", save, lambda path: next(numbers))
    monkeypatch.setattr(mutations, "kinds", lambda: [kind])
    assert mutations.main(["--count", "7"]) == 1
    printed = capsys.readouterr().out
    assert "     7 loaded silently wrong" in printed
    assert "flip, number 0: loaded silently wrong" in printed
