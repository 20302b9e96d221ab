"""A checksum tells what arrays hold, and not how they lie in memory."""

import hashlib

import numpy as np
import pytest

from fastkb.storage import checksum as module
from fastkb.storage.checksum import checksum

ARRAYS = {"a": np.arange(12.0).reshape(3, 4), "b": np.array(7), "c": np.zeros((0, 2), np.float32)}


def test_it_is_sha256_of_what_is_documented():
    content = b"5 hello1 barray <f8 (2,)\n" + np.array([1.0, 2.0], "<f8").tobytes()
    expected = hashlib.sha256(content).hexdigest()
    assert checksum("hello", {"b": np.array([1.0, 2.0])}) == expected


def test_layout_and_order_say_nothing(monkeypatch):
    expected = checksum("text", ARRAYS)
    columns = np.asfortranarray(ARRAYS["a"])
    strided = np.zeros((6, 8))[::2, ::2]
    strided[:] = columns
    for other in (columns, strided, columns.astype(">f8")):
        assert checksum("text", {"c": ARRAYS["c"], "b": ARRAYS["b"], "a": other}) == expected
    monkeypatch.setattr(module, "_BLOCK", 40)
    assert checksum("text", ARRAYS) == expected


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("texu", {}),
        ("text1 a", {}),
        ("text", {"a": ARRAYS["a"].T}),
        ("text", {"a": ARRAYS["a"].reshape(4, 3)}),
        ("text", {"a": ARRAYS["a"].astype(np.int64)}),
        ("text", {"a": np.nextafter(ARRAYS["a"], 99)}),
        ("text", {"c": np.zeros((2, 0), np.float32)}),
        ("text", {"d": np.array(7)}),
        ("text\ud800", {}),
    ],
)
def test_content_changes_it(text, change):
    assert checksum(text, {**ARRAYS, **change}) != checksum("text", ARRAYS)
