"""Finished replicates of a long job on disk.

A checkpoint is one ``.npz`` file without pickled objects::

    format        "fastkb checkpoint 1"
    about         JSON in UTF-8 bytes: the description of the job, with arrays by their digest, and
                  the names of the owner's arrays
    array/<name>  the owner's arrays

It is written beside its final place, flushed to the disk and renamed: when a job is interrupted, the
file there is whole, the latest one or the one before. Each write rewrites all arrays.

A job is resumed from a file only if it is the same job; :mod:`fastkb.storage.identity` tells.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from fastkb.checks.scalars import check_number
from fastkb.storage.archives import Archive, Header
from fastkb.storage.checks import check_target
from fastkb.storage.files import file_error, replace_file
from fastkb.storage.identity import job_differences, job_entries

_FORMAT = "fastkb checkpoint 1"
# A write of d seconds is followed by 20 d without one: less than 5% of the time is spent writing.
_PAUSE = 20.0


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
        self._name = path
        self.path = check_target("checkpoint", path)
        self._job = job_entries(job)
        self._interval = check_number("interval", interval, 0.0)
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
        try:
            replace_file(self.path, lambda file: np.savez(file, **content))
        except OSError as error:
            raise file_error(error, "checkpoint", self._name, "written") from error
        self._arrays = None
        now = self._clock()
        self._due = now + max(self._interval, _PAUSE * (now - start))

    def _read(self) -> dict[str, np.ndarray] | None:
        """The file's arrays, once it is known to be whole and of this job."""
        try:
            with open(self.path, "rb") as file:
                return self._content(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise file_error(error, "checkpoint", self._name, "read") from error

    def _content(self, file: IO[bytes]) -> dict[str, np.ndarray]:
        """The arrays of an open file. They are read last, if it is of this job."""
        where = f"checkpoint {os.fspath(self._name)!r}"
        try:
            archive = Archive(file)
            found = about = None
            if _is_text(archive.headers.get("format")):
                found = str(archive.read(["format"], where)["format"])
            if found == _FORMAT:
                # Arrays are read by their names, since a damaged directory of the archive may lack one.
                about = json.loads(archive.read(["about"], where)["about"].tobytes())
                job, names = about["job"], [f"array/{name}" for name in about["names"]]
                differences = job_differences(job, self._job)
                if not differences:
                    arrays = archive.read(names, where)
                    return {name.removeprefix("array/"): arrays[name] for name in names}
        except (MemoryError, OSError):
            raise
        except Exception as error:
            # A damaged archive fails in many ways, most of them no ValueError.
            raise ValueError(
                f"{where} is damaged, or was not written by fastkb ({error}): remove it, or choose "
                "another file"
            ) from error
        if about is not None:
            raise ValueError(
                f"{where} belongs to another job: {'; '.join(differences)}. Choose another file, or "
                "remove it"
            )
        if found is not None and found.startswith("fastkb checkpoint"):
            raise ValueError(
                f"{where} was written by another version of fastkb: choose another file"
            )
        raise ValueError(f"{where} was not written by fastkb: choose another file")


def _is_text(header: Header | None) -> bool:
    """Whether an array is one short text, as the name of a format is."""
    return header is not None and header.shape == () and 0 < header.dtype.itemsize < 1000
