"""Finished replicates of a long job on disk, and what tells whether a file belongs to the job.

A checkpoint is one ``.npz`` file without pickled objects::

    format        "fastkb checkpoint 1"
    about         JSON in UTF-8 bytes: the description of the job, with arrays by their digest, and
                  the names of the owner's arrays
    array/<name>  the owner's arrays

It is written beside its final place, flushed to the disk and renamed: whatever interrupts a job, the
file there is whole, the latest one or the one before. Each write rewrites all arrays.

A job may go on where another process stopped only if both would compute the same. So data are compared
by :func:`digest`, and estimators by :func:`describe_estimator`: texts that are the same in every
process, and differ wherever a parameter does.
"""

from __future__ import annotations

import contextlib
import copyreg
import errno
import hashlib
import json
import math
import os
import re
import secrets
import stat
import time
import types
import zipfile
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

_FORMAT = "fastkb checkpoint 1"
# A write of d seconds is followed by 20 d without one: less than 5% of the time is spent writing.
_PAUSE = 20.0
# Bytes that a digest copies at a time.
_BLOCK = 2**24
# A difference is shown in full up to this length.
_LONGEST_SHOWN = 200


class Checkpoint:
    """A file that holds the finished part of one job.

    Parameters
    ----------
    path : str or os.PathLike
        The ``.npz`` file, in an existing folder; made by the first :meth:`save`.
    job : dict of str to str, int, float, bool, None or ndarray
        All that the results depend on. Of arrays (sparse matrices, data frames) the digest is kept.
    interval : float, default 10
        Seconds between two writes of :meth:`save_if_due`, at least.
    clock : callable, default time.perf_counter
        The time in seconds.

    Raises
    ------
    TypeError
        If `path` is no path, or `job` has a value of another type.
    ValueError
        If there is a file that belongs to another job, is damaged or is no checkpoint. It is never
        overwritten.
    OSError
        If the file cannot be written or read. It is found out here, before any work.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "replicates.npz")
    >>> job = {"y": np.arange(3.0), "n_resamples": 4}
    >>> checkpoint = Checkpoint(path, job)
    >>> checkpoint.load() is None
    True
    >>> checkpoint.save({"done": np.array([True, True, False, False])})
    >>> Checkpoint(path, job).load()["done"]
    array([ True,  True, False, False])
    >>> Checkpoint(path, {**job, "n_resamples": 5})
    Traceback (most recent call last):
        ...
    ValueError: checkpoint '...' belongs to another job: its n_resamples is 4, this one's is 5...
    >>> folder.cleanup()
    """

    def __init__(
        self,
        path: Any,
        job: Mapping[str, Any],
        interval: Any = 10.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not (isinstance(interval, int | float) and 0 <= interval < math.inf):
            raise ValueError(f"interval must be a number of seconds, at least 0, got {interval!r}")
        self._name = path
        self.path = check_checkpoint(path)
        self._job = {name: _entry(name, value) for name, value in job.items()}
        self._interval = float(interval)
        self._clock = clock
        self._due = clock() + self._interval
        self._arrays = self._read()

    def load(self) -> dict[str, np.ndarray] | None:
        """The arrays of the file, or None if there is no file yet.

        Returns
        -------
        dict of str to ndarray, or None
            Arrays of the caller's own.

        Raises
        ------
        ValueError, OSError
            As the constructor, if the file has changed since.
        """
        # Read by the constructor already, and handed over: they may be as large as the memory.
        arrays, self._arrays = self._arrays, None
        return self._read() if arrays is None else arrays

    def save(self, arrays: Mapping[str, Any]) -> None:
        """Write all arrays now, in the place of those that the file holds.

        Parameters
        ----------
        arrays : dict of str to ndarray
            Of numbers, booleans, strings or dates.

        Raises
        ------
        TypeError
            If an array holds Python objects.
        OSError
            If the file cannot be written. The one before is still there.
        """
        self._write(arrays, self._clock())

    def save_if_due(self, make_arrays: Callable[[], Mapping[str, Any]]) -> bool:
        """Write if `interval` seconds, and 20 times the last write's duration, have passed.

        Parameters
        ----------
        make_arrays : callable
            Returns the arrays for :meth:`save`; called only if they are written.

        Returns
        -------
        bool
            Whether the file was written.
        """
        start = self._clock()
        if start < self._due:
            return False
        self._write(make_arrays(), start)
        return True

    def _write(self, arrays: Mapping[str, Any], start: float) -> None:
        about = json.dumps({"job": self._job, "names": list(arrays)}).encode()
        content: dict[str, Any] = {
            "format": np.array(_FORMAT),
            "about": np.frombuffer(about, dtype=np.uint8),
        }
        for name, value in arrays.items():
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise TypeError(f"a checkpoint holds no Python objects: {name} has {array.dtype}")
            content[f"array/{name}"] = array
        beside = _beside(self.path)
        try:
            with open(beside, "xb") as file:
                np.savez(file, **content)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(OSError):  # there is none yet, or its mode cannot be set
                os.chmod(beside, stat.S_IMODE(os.stat(self.path).st_mode))
            os.replace(beside, self.path)
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            if isinstance(error, OSError):
                raise _os_error(error, self._name, "written") from error
            raise
        self._arrays = None
        now = self._clock()
        self._due = now + max(self._interval, _PAUSE * (now - start))

    def _read(self) -> dict[str, np.ndarray] | None:
        """The file's arrays, once it is known to be whole and of this job."""
        try:
            with open(self.path, "rb") as file:
                job, arrays = _content(file, self._name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _os_error(error, self._name, "read") from error
        differences = _differences(job, self._job)
        if differences:
            raise ValueError(
                f"checkpoint {os.fspath(self._name)!r} belongs to another job: "
                f"{'; '.join(differences)}. Choose another file, or remove it"
            )
        return arrays


def check_checkpoint(path: Any) -> str:
    """The absolute path of a file that can be made, or replaced; links are followed.

    Parameters
    ----------
    path : str or os.PathLike
    """
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"checkpoint must be the path of a file, got {path!r}") from None
    if not name or "\0" in name:
        raise ValueError(f"checkpoint must be the path of a file, got {name!r}")
    target = os.path.realpath(name)
    folder = os.path.dirname(target)
    try:
        if not os.path.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder!r}")
        with contextlib.suppress(FileNotFoundError):
            mode = os.stat(target).st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            if not stat.S_ISREG(mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            if not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, "permission denied")
        # Permissions of a folder are not all that can prevent a file: try.
        beside = _beside(target)
        with open(beside, "xb"):
            pass
        os.unlink(beside)
    except OSError as error:
        raise _os_error(error, path, "written") from None
    return target


def _beside(path: str) -> str:
    """Another name in the folder. Random: two machines may share the folder, and a process's number."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}-{secrets.token_hex(4)}.tmp")


def _os_error(error: OSError, path: Any, action: str) -> OSError:
    text = f"checkpoint {os.fspath(path)!r} cannot be {action}: {error.strerror or error}"
    # The number makes it the same subclass.
    return OSError(error.errno, text) if error.errno else OSError(text)


def _content(file: Any, path: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(job, arrays) of a file that a checkpoint has written."""
    where = f"checkpoint {os.fspath(path)!r}"
    try:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
        if broken is not None:
            raise ValueError(f"{broken} has another checksum")
        file.seek(0)
        with np.load(file, allow_pickle=False) as content:
            found = str(content["format"]) if "format" in content.files else ""
            if found == _FORMAT:
                # By their names: a damaged directory of the archive may lack one.
                about = json.loads(content["about"].tobytes())
                return about["job"], {name: content[f"array/{name}"] for name in about["names"]}
    except MemoryError:
        raise
    except Exception as error:
        # A damaged archive fails in many ways, most of them no ValueError.
        raise ValueError(
            f"{where} is damaged, or was not written by fastkb ({error}): remove it, or choose another "
            "file"
        ) from error
    if found.startswith("fastkb checkpoint"):
        raise ValueError(f"{where} was written by another version of fastkb: choose another file")
    raise ValueError(f"{where} was not written by fastkb: choose another file")


# --- which job ----------------------------------------------------------------------------------


def _entry(name: str, value: Any) -> Any:
    """A job's value as JSON holds it."""
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


def _differences(saved: Mapping[str, Any], job: Mapping[str, Any]) -> list[str]:
    """What distinguishes the two, in words."""
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


def _is_data(value: Any) -> bool:
    """Whether it is an array, a sparse matrix, or something that becomes an array (pandas')."""
    from scipy import sparse

    if isinstance(value, np.generic | type):
        return False
    return sparse.issparse(value) or hasattr(value, "__array__")


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
    >>> from fastkb.bootstrap.checkpoint import digest
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
    else:
        state.update(f"object\n{_text(value)}".encode())
    return state.hexdigest()


def _update(state: Any, array: np.ndarray) -> None:
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not np.little_endian):
        array = array.astype(array.dtype.newbyteorder("<"))
    kind = array.dtype.descr if array.dtype.fields else array.dtype.str
    state.update(f"array {kind} {array.shape}\n".encode())
    if array.dtype.hasobject:
        # Their bytes are addresses.
        for item in array.ravel().tolist():
            state.update(f"{_text(item)}\n".encode())
        return
    rows = array.reshape(1) if array.ndim == 0 else array
    step = max(1, _BLOCK * len(rows) // max(1, rows.nbytes))
    for first in range(0, len(rows), step):
        state.update(rows[first : first + step].tobytes())  # in C order


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
    >>> from fastkb.bootstrap.checkpoint import describe_estimator
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
        return f"{value.__module__}.{value.__qualname__}"
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
        named = (f"{name}={_text(item, inside)}" for name, item in parameters)
        return f"{_text(type(value))}({', '.join(named)})"
    reduced = _reduced(value)
    if isinstance(reduced, str):
        return f"{getattr(value, '__module__', None) or type(value).__module__}.{reduced}"
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
    return f"{function.__module__}.{function.__qualname__} {code[:16]}"


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
