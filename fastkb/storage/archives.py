"""The arrays of a ``.npz`` file: first what its headers promise, then the numbers.

A file of two megabytes may expand to gigabytes. So names, shapes and types are known before anything is
expanded, and the reader of the file decides by them. Nothing is unpickled.
"""

from __future__ import annotations

import errno
import io
import math
import zipfile
from collections.abc import Iterable
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from fastkb.runtime.memory import empty, require

# Bytes of an array's header: NumPy itself reads no longer ones.
_LONGEST_HEADER = 10_000
# Bytes that are read at a time.
_BLOCK = 2**20


class Header(NamedTuple):
    """What a file says of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


class _Place(NamedTuple):
    member: zipfile.ZipInfo
    begin: int  # of the numbers, in the member
    by_columns: bool  # Fortran's order


class Archive:
    """An open ``.npz`` file.

    Parameters
    ----------
    file : binary file
        Which can seek; it is not closed.

    Attributes
    ----------
    headers : dict of str to Header

    Raises
    ------
    Exception
        If it is no such file. A damaged archive fails in many ways: the caller names the file, and
        takes all of them for damage but an OSError, which is the system's.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from fastkb.storage.archives import Archive
    >>> file = io.BytesIO()
    >>> np.savez(file, a=np.arange(6.0).reshape(2, 3))
    >>> archive = Archive(file)
    >>> archive.headers["a"]
    Header(shape=(2, 3), dtype=dtype('float64'))
    >>> archive.read(["a"], "an example")["a"]
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.headers: dict[str, Header] = {}
        self._places: dict[str, _Place] = {}
        try:
            self._zip = zipfile.ZipFile(file)
            for member in self._zip.infolist():
                self._look_at(member)
        except OSError as error:
            raise _damage(error) from error

    def _look_at(self, member: zipfile.ZipInfo) -> None:
        name = member.filename.removesuffix(".npy")
        if name in self.headers:
            raise ValueError(f"it has two arrays of the name {name!r}")
        if name == member.filename:
            raise ValueError(f"it has {name!r}, which is no array")
        with self._zip.open(member) as stream:
            header, begin, by_columns = _header(stream, name)
        if member.file_size != begin + header.size:
            raise ValueError(
                f"array {name!r} has {member.file_size - begin} bytes, and its header promises "
                f"{header.size}"
            )
        self.headers[name] = header
        self._places[name] = _Place(member, begin, by_columns)

    def read(self, names: Iterable[str], what: str) -> dict[str, np.ndarray]:
        """Arrays of the caller's own, whose checksums in the archive are right.

        Parameters
        ----------
        names : iterable of str
        what : str
            What they are, in words, for the error if they do not fit into the memory.

        Raises
        ------
        MemoryError
            If they need more than is free; nothing has been read then.
        """
        names = list(names)
        require(sum(self.headers[name].size for name in names), what)
        try:
            return {name: self._read(name, what) for name in names}
        except OSError as error:
            raise _damage(error) from error

    def _read(self, name: str, what: str) -> np.ndarray:
        header, (member, begin, by_columns) = self.headers[name], self._places[name]
        (shape, dtype), length = header, header.size
        buffer = empty((length,), np.uint8, what)
        with self._zip.open(member) as stream:
            stream.read(begin)
            done = 0
            while done < length:
                block = stream.read(min(_BLOCK, length - done))
                if not block:
                    raise ValueError(f"array {name!r} ends after {done} of {length} bytes")
                buffer[done : done + len(block)] = np.frombuffer(block, np.uint8)
                done += len(block)
            stream.read(1)  # at its end the archive's checksum is compared
        if not length:
            return np.empty(shape, dtype)
        if by_columns:
            return buffer.view(dtype).reshape(shape[::-1]).T
        return buffer.view(dtype).reshape(shape)


def _header(stream: IO[bytes], name: str) -> tuple[Header, int, bool]:
    """What an array's header says, its length, and whether the numbers are in Fortran's order."""
    start = stream.read(npy.MAGIC_LEN)
    version = npy.read_magic(io.BytesIO(start))
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array {name!r} has a header of version {version}")
    digits = 2 if version == (1, 0) else 4
    counted = stream.read(digits)
    length = int.from_bytes(counted, "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"array {name!r} has a header of {length} bytes")
    rest = io.BytesIO(counted + stream.read(length))
    read = npy.read_array_header_1_0 if digits == 2 else npy.read_array_header_2_0
    shape, by_columns, dtype = read(rest)
    if dtype.hasobject:
        # NumPy's own words.
        raise ValueError(f"array {name!r}: Object arrays cannot be loaded when allow_pickle=False")
    if any(type(extent) is not int or extent < 0 for extent in shape):
        raise ValueError(f"array {name!r} has the shape {shape}")
    return Header(shape, dtype), len(start) + digits + length, by_columns


def _damage(error: OSError) -> Exception:
    """A place before the file's beginning, or a stream that cannot be unpacked, is damage.

    What the system cannot read is its own error, and has a number.
    """
    is_damage = error.errno in (None, errno.EINVAL)
    return ValueError(f"it is damaged: {error}") if is_damage else error
