"""Claims: of several processes that need one compiled function, one compiles it, and the rest wait.

A claim is a lock on a file beside the one that will be written. The system takes it back when a process
ends, however that happens. Where there are no such locks (Windows, some network folders) each process
compiles for itself; so does one that has waited WAIT seconds, for a stopped process keeps its claims.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from types import ModuleType
from typing import IO

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:
    fcntl = None

WAIT = 60.0
_PAUSE = 0.02  # seconds between two attempts


class Claim:
    """The right to write a file, until it is released.

    Parameters
    ----------
    path : Path
        The file that is locked.
    file : file object
        It, open and locked.
    """

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self._file = path, file

    def release(self) -> None:
        """Give the claim back, once the file is there or will not be."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        # Not by closing it alone: a forked child has it open, too.
        with contextlib.suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_UN)  # type: ignore[union-attr]
        self._file.close()


def claim(path: Path, wait: float = WAIT) -> Claim | None:
    """Claim the writing of `path`, after any process that has claimed it.

    Parameters
    ----------
    path : Path
        The file that will be written.
    wait : float, default WAIT
        Seconds to wait for another process, at most.

    Returns
    -------
    Claim or None
        None where nothing can be locked, or another process has not released its claim in time.
    """
    if fcntl is None:
        return None
    locked = path.with_suffix(".lock")
    until = time.monotonic() + wait
    try:
        file = open(locked, "a")  # noqa: SIM115 - the claim closes it
    except OSError:
        return None
    held = Claim(locked, file)
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                file.close()  # the file that is locked is the other's
                return None
            time.sleep(_PAUSE)
        except OSError:  # no locks here
            held.release()
            return None
        else:
            return held
