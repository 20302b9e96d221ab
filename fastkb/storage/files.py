"""Files that are replaced as a whole: after an interrupted write there is the old one, or the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from typing import IO, Any


def replace_file(path: str, fill: Callable[[IO[bytes]], Any]) -> None:
    """Write a file beside its place, flush it to the disk and rename it; an old file's mode is kept.

    Parameters
    ----------
    path : str
        With links followed, so that a link stays a link.
    fill : callable
        ``fill(file)`` writes the content.

    Raises
    ------
    OSError
        If it cannot be written. Nothing is left beside then, and the old file is as it was.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastkb.storage.files import replace_file
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "letter")
    >>> replace_file(path, lambda file: file.write(b"hello"))
    >>> os.listdir(folder.name)
    ['letter']
    >>> folder.cleanup()
    """
    unfinished = beside(path)
    try:
        with open(unfinished, "xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # there is none yet, or its mode cannot be set
            os.chmod(unfinished, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise


def beside(path: str) -> str:
    """Another name in the folder. Random: two machines may share the folder, and a process's number."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}-{secrets.token_hex(4)}.tmp")


def file_error(error: OSError, name: str, path: Any, action: str) -> OSError:
    """The same kind of error, in words that name the argument, the path and what cannot be done."""
    text = f"{name} {os.fspath(path)!r} cannot be {action}: {error.strerror or error}"
    # The number makes it the same subclass.
    return OSError(error.errno, text) if error.errno else OSError(text)
