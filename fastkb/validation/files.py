"""Checks of the names of files, before anything is computed for them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Any

from fastkb.runtime.files import beside, file_error


def check_target(name: str, path: Any) -> str:
    """The absolute path of a file that can be made, or replaced; links are followed.

    Parameters
    ----------
    name : str
        Of the argument.
    path : str or os.PathLike
    """
    target = os.path.realpath(check_path(name, path))
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
        unfinished = beside(target)
        with open(unfinished, "xb"):
            pass
        os.unlink(unfinished)
    except OSError as error:
        raise file_error(error, name, path, "written") from None
    return target


def check_path(name: str, path: Any) -> str:
    """The name of a file."""
    try:
        found = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{name} must be the path of a file, got {path!r}") from None
    if not found or "\0" in found:
        raise ValueError(f"{name} must be the path of a file, got {found!r}")
    return found


def check_suffix(name: str, path: str, known: tuple[str, ...]) -> str:
    """How a file's name ends, in lower case: its format."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in known:
        raise ValueError(
            f"{name} must end in {' or '.join(known)}, which is the format, got {path!r}"
        )
    return suffix
