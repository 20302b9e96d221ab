"""What tells which job it is: data by a digest, estimators and functions by a text.

A job may go on where another process stopped only if both would compute the same. So data are compared
by :func:`digest`, and estimators by :func:`describe_estimator`: texts that are the same in every
process, and differ wherever a parameter does. :func:`job_differences` compares whole jobs.
"""

from __future__ import annotations

import contextlib
import copyreg
import hashlib
import re
import types
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastkb.storage.checksum import describe, update
from fastkb.storage.moved import first_name

# A difference is shown in full up to this length.
_LONGEST_SHOWN = 200


def job_entries(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job as JSON holds it.

    Parameters
    ----------
    job : dict of str to str, int, float, bool, None or ndarray
        Of arrays (sparse matrices, data frames) the digest is kept.

    Returns
    -------
    dict

    Raises
    ------
    TypeError
        If `job` has a value of another type.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.storage.identity import job_entries
    >>> job_entries({"alpha": np.float64(0.5), "seed": None})
    {'alpha': 0.5, 'seed': None}
    """
    return {name: _entry(name, value) for name, value in job.items()}


def _entry(name: str, value: Any) -> Any:
    if _is_data(value):
        return {"digest": digest(value)}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"a job is described by text, numbers and arrays: {name} is {value!r}")


def job_differences(saved: Mapping[str, Any], job: Mapping[str, Any]) -> list[str]:
    """What distinguishes two jobs, in words; none if they are the same.

    Parameters
    ----------
    saved, job : dict
        As :func:`job_entries` makes them.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from fastkb.storage.identity import job_differences
    >>> job_differences({"alpha": 0.5, "seed": 0}, {"alpha": 1.0})
    ["its alpha is 0.5, this one's is 1.0", 'it has seed, this one has none']
    """
    words = []
    for name in [*job, *(name for name in saved if name not in job)]:
        if name not in saved:
            words.append(f"it has no {name}")
        elif name not in job:
            words.append(f"it has {name}, this one has none")
        elif not _equal(saved[name], job[name]):
            shown = [_shown(value) for value in (saved[name], job[name])]
            if None in shown:
                words.append(f"its {name} is another")
            else:
                words.append(f"its {name} is {shown[0]}, this one's is {shown[1]}")
    return words


def _equal(a: Any, b: Any) -> bool:
    return a == b or (a != a and b != b)  # NaN is NaN here


def _shown(value: Any) -> str | None:
    """The value for a message; None if it would say nothing to a reader."""
    if isinstance(value, dict) or (isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)):
        return None
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else None


# --- data ---------------------------------------------------------------------------------------


def digest(value: Any) -> str:
    """SHA-256 of an array's type, shape and values; the same in every process and byte order.

    Parameters
    ----------
    value : array, sparse matrix, data frame or object
        Arrays in C and Fortran order have the same digest, and so have sparse matrices in any
        format and order of entries. Of what is no array, the text that
        :func:`describe_estimator` makes of it.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        If an object cannot be identified; see :func:`describe_estimator`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.storage.identity import digest
    >>> X = np.arange(6.0).reshape(2, 3)
    >>> digest(X) == digest(np.asfortranarray(X)), digest(X) == digest(X.astype(np.float32))
    (True, False)
    >>> digest(X)
    'e2723499ea9a548fe275b866da207aec5c773201359b09b4300bd3b5b33adbac'
    """
    from scipy import sparse

    state = hashlib.sha256()
    if sparse.issparse(value):
        matrix = value.tocsr(copy=True)
        matrix.sum_duplicates()  # sorts the entries too
        state.update(f"sparse {matrix.shape}\n".encode())
        # 32-bit or 64-bit indices are a matter of the matrix's history.
        for part in (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data):
            _update(state, part)
    elif _is_data(value):
        _update(state, np.asarray(value))
        if hasattr(value, "columns"):
            # Models take columns by their names.
            state.update(f"columns {list(value.columns)!r}\n".encode())
    else:
        state.update(f"object\n{_text(value)}".encode())
    return state.hexdigest()


def _is_data(value: Any) -> bool:
    """Whether it is an array, a sparse matrix, or something that becomes an array (pandas')."""
    from scipy import sparse

    if isinstance(value, np.generic | type):
        return False
    return sparse.issparse(value) or hasattr(value, "__array__")


def _update(state: Any, array: np.ndarray) -> None:
    if not array.dtype.hasobject:
        update(state, array)
        return
    # Their bytes are addresses.
    state.update(describe(array))
    for item in array.ravel().tolist():
        state.update(f"{_text(item)}\n".encode())


# --- estimators and functions -------------------------------------------------------------------


def describe_estimator(estimator: Any) -> str:
    """What an estimator or a function is, as a text that is the same in every process.

    Parameters
    ----------
    estimator : estimator, callable or other object
        An estimator: its class's full name and its parameters, sorted; of arrays among them the
        digest. A function: its module, its qualified name and a digest of its code (bytecode,
        defaults and what it closes over; not the global variables that it reads). Anything else as
        pickle would take it apart.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If a part cannot be taken apart: an open file, a lock, a generator.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from fastkb.storage.identity import describe_estimator
    >>> describe_estimator(Ridge(alpha=0.5))  # doctest: +NORMALIZE_WHITESPACE
    "sklearn.linear_model._ridge.Ridge(alpha=0.5, copy_X=True, fit_intercept=True, max_iter=None,
    positive=False, random_state=None, solver='auto', tol=0.0001)"
    >>> describe_estimator(max)
    'builtins.max'
    """
    return _text(estimator)


# Texts of these are their values, and never name an address.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
# copyreg.__newobj__: makes an object of a class, without calling its __init__.
_NEW_OBJECT = object().__reduce_ex__(2)[0]


def _text(value: Any, inside: tuple[int, ...] = ()) -> str:
    """The description of any object; `inside` are the ids of those it is a part of."""
    if type(value) in _PLAIN:
        return repr(value)
    if isinstance(value, np.generic):
        plain = value.item()
        simple = value.dtype.kind in "biufcSU" and type(plain) in _PLAIN
        return repr(plain) if simple else f"scalar {digest(np.asarray(value))}"
    if isinstance(value, type):
        return f"{first_name(value.__module__)}.{value.__qualname__}"
    if _is_data(value):
        return f"array {digest(value)}"
    if id(value) in inside:
        return "itself"
    inside = (*inside, id(value))

    def texts(items: Any) -> list[str]:
        return [_text(item, inside) for item in items]

    def pairs(items: Any) -> list[str]:
        return sorted(f"{_text(key, inside)}: {_text(item, inside)}" for key, item in items)

    if type(value) in (list, tuple):
        return f"{type(value).__name__}({', '.join(texts(value))})"
    if type(value) is dict:
        return f"dict({', '.join(pairs(value.items()))})"
    if type(value) in (set, frozenset):
        return f"{type(value).__name__}({', '.join(sorted(texts(value)))})"
    # A function that Numba compiled is what its Python function is.
    python = getattr(value, "py_func", value)
    if isinstance(python, types.FunctionType):
        return _function(python, texts)
    if isinstance(value, types.MethodType):
        return f"{_text(value.__func__, inside)} of {_text(value.__self__, inside)}"
    if hasattr(value, "get_params"):
        parameters = sorted(value.get_params(deep=False).items())
        # What a class learnt after files were written is named where it is not as it was before.
        later = getattr(value, "_later_parameters", {})
        named = (
            f"{name}={_text(item, inside)}"
            for name, item in parameters
            if not (name in later and isinstance(item, str) and item == later[name])
        )
        return f"{_text(type(value))}({', '.join(named)})"
    reduced = _reduced(value)
    if isinstance(reduced, str):
        module = getattr(value, "__module__", None) or type(value).__module__
        return f"{first_name(module)}.{reduced}"
    function, arguments, state, items, entries = (*reduced, None, None, None)[:5]
    if function is _NEW_OBJECT:
        function, arguments = arguments[0], arguments[1:]
    parts = [*texts(arguments), *texts([] if state is None else [state])]
    parts += [*texts(items or ()), *pairs(entries or ())]
    return f"{_text(function, inside)}({', '.join(parts)})"


def _reduced(value: Any) -> Any:
    """What pickle would store: a global name, or (function, arguments[, state, items, pairs])."""
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        return reduce(value) if reduce is not None else value.__reduce_ex__(2)
    except Exception as error:
        raise TypeError(
            f"a checkpoint cannot tell one {type(value).__qualname__} from another ({error}): do without "
            "it among the parameters, or without a checkpoint"
        ) from error


def _function(function: types.FunctionType, texts: Callable[[Any], list[str]]) -> str:
    cells = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not assigned yet
            cells.append(cell.cell_contents)
    extra = [function.__defaults__, function.__kwdefaults__, cells]
    code = hashlib.sha256(repr([_code(function.__code__), texts(extra)]).encode()).hexdigest()
    return f"{first_name(function.__module__)}.{function.__qualname__} {code[:16]}"


def _code(code: types.CodeType) -> list:
    """What a function does, without the places where its source stands."""
    constants: list[Any] = []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            constants.append(_code(constant))
        elif isinstance(constant, frozenset):
            constants.append(sorted(map(repr, constant)))
        else:
            constants.append(repr(constant))
    return [code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars]
