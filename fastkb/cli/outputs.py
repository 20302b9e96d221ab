"""Files that appear whole or not at all.

Each file is opened beside its final place before the work starts, so that a folder that cannot be
written to is reported at once; it is renamed into place after all files are complete.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from typing import IO

from fastkb.cli import CommandError


class Output:
    """One file to be written; the original, if any, stays untouched until :meth:`publish`."""

    def __init__(self, option: str, path: str) -> None:
        self.path = path
        self._beside: str | None = None
        if not path:
            raise CommandError(f"{option} needs the name of a file")
        if path == "-":
            raise CommandError(f"{option} -: expected the name of a file (/dev/stdout may do)")
        try:
            mode: int | None = os.stat(path).st_mode
        except FileNotFoundError:
            mode = None
        except OSError as error:
            raise self._unwritable(error.strerror) from None
        if mode is not None and stat.S_ISDIR(mode):
            raise self._unwritable("it is a folder")
        if mode is not None and not os.access(path, os.W_OK):
            raise self._unwritable("permission denied")
        # A device or a pipe (/dev/stdout, /dev/null) is written to as it is, never replaced.
        if mode is None or stat.S_ISREG(mode):
            self._target = os.path.realpath(path)
            self._reserve(0o666 if mode is None else stat.S_IMODE(mode))
        else:
            self._target = path

    def _unwritable(self, reason: str | None) -> CommandError:
        return CommandError(f"cannot write {self.path}: {reason}")

    def _reserve(self, mode: int) -> None:
        # The suffix decides the picture's format, so the temporary name must keep it.
        folder, name = os.path.split(self._target)
        beside = os.path.join(folder, f".{os.getpid()}-{name}")
        try:
            os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode))
        except FileNotFoundError:
            raise self._unwritable(f"no such folder: {os.path.dirname(self.path)}") from None
        except OSError as error:
            raise self._unwritable(error.strerror) from None
        self._beside = beside

    def same_file(self, path: str) -> bool:
        """Whether this output would replace the file at `path`."""
        return os.path.realpath(path) == self._target

    def write(self, fill: Callable[[IO[bytes]], None]) -> None:
        """Let `fill` write the whole content; the file at the final place is not touched yet."""
        try:
            with open(self._beside or self._target, "wb") as file:
                fill(file)
        except OSError as error:
            raise self._unwritable(error.strerror) from None

    def publish(self) -> None:
        """Rename the complete file into place."""
        if self._beside is not None:
            try:
                os.replace(self._beside, self._target)
            except OSError as error:
                raise self._unwritable(error.strerror) from None
            self._beside = None

    def discard(self) -> None:
        """Remove what is unfinished; harmless after :meth:`publish`."""
        if self._beside is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._beside)
            self._beside = None


def publish_all(outputs: list[Output]) -> None:
    """Rename every complete file into place; if one fails, say which ones are there."""
    done: list[str] = []
    for output in outputs:
        try:
            output.publish()
        except CommandError as error:
            written = f" ({', '.join(done)} was written)" if done else ""
            raise CommandError(f"{error}{written}") from None
        done.append(output.path)
