"""Equal data and estimators are told to be equal, in every process; all others to be different."""

import datetime
import functools
import json
import os
import subprocess
import sys
import threading
from decimal import Decimal

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastkb.storage.identity import describe_estimator, digest, job_differences, job_entries

# --- jobs ---------------------------------------------------------------------------------------


def test_a_job_in_json_is_the_same_job():
    job = {"X": np.arange(3), "a": np.float32(0.5), "b": np.bool_(True), "c": None, "d": np.nan}
    entries = job_entries(job)
    assert entries["X"] == {"digest": digest(job["X"])}
    assert [type(value) for value in entries.values()] == [dict, float, bool, type(None), float]
    assert job_differences(json.loads(json.dumps(entries)), entries) == []


def test_the_differences_of_jobs():
    saved, job = {"a": 1, "b": "x", "X": {"digest": "0"}}, {"X": {"digest": "1"}, "a": 2, "c": None}
    assert job_differences(saved, job) == [
        "its X is another",
        "its a is 1, this one's is 2",
        "it has no c",
        "it has b, this one has none",
    ]


# --- digests ------------------------------------------------------------------------------------

arrays = hnp.arrays(
    st.sampled_from(["f8", "f4", "i8", "u1", "?", "c16", "U3", "M8[ns]"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
)


@given(arrays, st.randoms(use_true_random=False))
def test_digests_do_not_see_the_order_of_memory(array, random):
    axes = list(range(array.ndim))
    random.shuffle(axes)
    strided = np.transpose(np.transpose(array, axes).copy(), np.argsort(axes).astype(int))
    assert digest(strided) == digest(array) == digest(array.astype(array.dtype.newbyteorder(">")))


@given(st.data(), arrays.filter(lambda a: a.size > 0 and a.dtype.kind != "c"))
def test_digests_see_one_changed_value(data, array):
    other = array.copy()
    where = data.draw(st.integers(0, array.size - 1))
    other.reshape(-1).view(f"V{array.itemsize}")[where : where + 1] = b"\1\0\0\0".ljust(
        array.itemsize, b"\0"
    )[: array.itemsize]
    same = other.tobytes() == array.tobytes()
    assert (digest(other) == digest(array)) == same


def test_digests_see_types_and_shapes():
    x = np.zeros(6)
    different = [
        x, x.astype("f4"), x.astype("i8"), x.reshape(2, 3), x.reshape(3, 2), x[:5], x[:0],
        x[:0].reshape(0, 2), np.array(0.0), x.astype(object), sparse.csr_array(x[None]), "0", 0, None,
    ]  # fmt: skip
    assert len({digest(value) for value in different}) == len(different)


def test_digests_of_large_arrays_in_blocks(monkeypatch):
    x = np.random.default_rng(0).normal(size=(50, 7))
    whole = digest(x)
    monkeypatch.setattr("fastkb.storage.checksum._BLOCK", 100)
    assert digest(x) == digest(np.asfortranarray(x)) == whole


def test_digests_of_sparse_matrices():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(6, 5)) * (rng.random((6, 5)) < 0.4)
    csr = sparse.csr_matrix(dense)
    shuffled = csr.copy()
    for row in range(6):
        part = slice(*shuffled.indptr[row : row + 2])
        shuffled.indices[part] = shuffled.indices[part][::-1].copy()
        shuffled.data[part] = shuffled.data[part][::-1].copy()
    shuffled.has_sorted_indices = False
    before = shuffled.indices.copy()
    same = [csr, csr.tocsc(), csr.tocoo(), sparse.csr_array(dense), shuffled]
    assert len({digest(matrix) for matrix in same}) == 1
    np.testing.assert_array_equal(shuffled.indices, before)
    assert digest(csr) != digest(csr * 2)
    assert digest(csr) != digest(sparse.csr_matrix(dense.shape))


def test_digests_of_pandas():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    # The names count, as they do for models.
    assert digest(frame) == digest(frame.copy()) != digest(frame.to_numpy())
    assert digest(frame) != digest(frame.rename(columns={"a": "c"}))
    assert digest(frame["a"]) == digest(np.array([1.0, 2.0]))
    mixed = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    assert digest(mixed) == digest(mixed.copy()) != digest(mixed.replace("y", "z"))
    days = pd.DataFrame({"a": ["x"], "b": [pd.Timestamp(2020, 1, 1)]})
    assert digest(days) == digest(days.copy())


# --- estimators ---------------------------------------------------------------------------------


def plain(x, y):
    return float(x @ y)


def kernel_of(scale):
    def kernel(x, y):
        return scale * float(x @ y)

    return kernel


class Slots:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def method(self):
        return self.value


def recursive():
    def function(n):
        return function(n - 1) if n else 0

    return function


def values():
    """Pairs of makers of values that must have different descriptions; equal calls, equal ones."""
    base = functools.partial(KernelRidge, alpha=1.0, kernel="rbf")
    return {
        "parameter": (lambda: base(gamma=0.1), lambda: base(gamma=0.2)),
        "class": (lambda: Ridge(), lambda: Ridge),
        "array": (lambda: base(alpha=np.arange(2000.0)), lambda: base(alpha=np.r_[:1000, :1000])),
        "dict": (
            lambda: base(kernel_params={"a": 1, "b": 2}),
            lambda: base(kernel_params={"a": 2, "b": 1}),
        ),
        "nested": (
            lambda: make_pipeline(StandardScaler(), Ridge(alpha=1)),
            lambda: make_pipeline(StandardScaler(), Ridge(alpha=2)),
        ),
        "kernel object": (
            lambda: base(kernel=RBF(0.5) + WhiteKernel()),
            lambda: base(kernel=RBF(0.6) + WhiteKernel()),
        ),
        "function": (lambda: base(kernel=plain), lambda: base(kernel=np.dot)),
        "closure": (lambda: kernel_of(1.0), lambda: kernel_of(2.0)),
        "lambda": (lambda: eval("lambda x: x + 1"), lambda: eval("lambda x: x + 2")),
        "default": (lambda: eval("lambda x=1: x"), lambda: eval("lambda x=2: x")),
        "partial": (lambda: functools.partial(plain, y=1), lambda: functools.partial(plain, y=2)),
        "compiled": (lambda: numba.njit(plain), lambda: numba.njit(kernel_of(1.0))),
        "ufunc": (lambda: np.add, lambda: np.subtract),
        "builtin": (lambda: max, lambda: min),
        "method": (lambda: Slots(1).method, lambda: Slots(2).method),
        "bound builtin": (lambda: [1, 2].index, lambda: [1, 3].index),
        "object": (lambda: Slots(np.zeros(2000)), lambda: Slots(np.eye(1, 2000)[0])),
        "set": (lambda: {"a", "b", "c"}, lambda: {"a", "b", "d"}),
        "generator": (lambda: np.random.default_rng(0), lambda: np.random.default_rng(1)),
        "random state": (lambda: np.random.RandomState(0), lambda: np.random.RandomState(1)),
        "scalar": (lambda: np.datetime64("2020-01-01", "ns"), lambda: np.datetime64("2021", "ns")),
        "date": (lambda: datetime.date(2020, 1, 1), lambda: datetime.date(2020, 1, 2)),
        "decimal": (lambda: Decimal("1.0"), lambda: Decimal("1.00")),
        "text": (lambda: "1", lambda: 1),
        "tuple": (lambda: (1, 2), lambda: [1, 2]),
        "bound": (lambda: (1, (2,)), lambda: ((1, 2),)),
    }


@pytest.mark.parametrize("name", values())
def test_descriptions_are_equal_if_and_only_if_the_values_are(name):
    first, second = values()[name]
    text = describe_estimator(first())
    assert text == describe_estimator(first()) != describe_estimator(second())
    assert " at 0x" not in text


def test_a_description_names_the_parameters():
    assert describe_estimator(KernelRidge(alpha=np.float64(2), kernel=plain)).startswith(
        "sklearn.kernel_ridge.KernelRidge(alpha=2.0, coef0=1, degree=3, gamma=None, "
        f"kernel={__name__}.plain "
    )


def test_the_order_of_a_dict_does_not_matter():
    assert describe_estimator({"a": 1, "b": 2}) == describe_estimator({"b": 2, "a": 1})


def test_what_contains_itself():
    loop = [1]
    loop.append(loop)
    assert describe_estimator(loop) == "list(1, itself)"
    assert describe_estimator(recursive()) == describe_estimator(recursive())


@pytest.mark.parametrize(
    "value", [threading.Lock(), (i for i in range(3)), Ridge(alpha=threading.Lock())]
)
def test_what_cannot_be_described(value):
    with pytest.raises(TypeError, match="a checkpoint cannot tell one"):
        describe_estimator(value)


CODE = """
import numpy as np
from sklearn.kernel_ridge import KernelRidge
from fastkb.storage.identity import describe_estimator, digest
exec("def kernel(x, y, names={'b', 'a', 'c'}):\\n    return x in {'p', 'q', 'r'}")
print(describe_estimator(KernelRidge(kernel=kernel, kernel_params={'z': {'k', 'l', 'm'}})))
print(digest(np.array(['x', None, 2.5], dtype=object)))
"""


def test_descriptions_are_the_same_in_every_process():
    outputs = [
        subprocess.run(
            [sys.executable, "-c", CODE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) == 2


def test_a_parameter_of_later_versions_counts_where_it_is_given():
    import fastkb

    plain = describe_estimator(fastkb.KernelRidge())
    assert "device" not in plain
    assert describe_estimator(fastkb.KernelRidge(device="cuda")) != plain
