"""The on-disk cache of compiled functions: one file per (function, signature, machine), no index.

Numba's own cache keeps an index file beside numbered data files; two processes that start at once on
a cold cache can give the same number to different signatures, and a third then loads machine code
under the wrong signature (numba #4807, #10128). Here the *name* of the file is a digest of all that
the code depends on: signature, machine, versions, and the source of the whole package (an edit in
another file counts, which Numba's key misses). Files are written beside and renamed, so a reader
sees a whole file or none, and two writers of one name write the same code. Processes that need one
function at once leave it to one of them (:mod:`fastkb.runtime.compiled.claims`).

The folder is ``$NUMBA_CACHE_DIR/fastkb`` where that is set, else the first writable one of the user's
cache folder (``$XDG_CACHE_HOME``, ``~/.cache``, ``~/Library/Caches`` or ``%LOCALAPPDATA%``) and a private
folder in the system's temporary folder; it must be the user's own. Where there is none, functions compile
in each process. What the name does not cover: globals of a function outside the package.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import platform
import stat
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import event
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from fastkb.runtime.compiled.claims import Claim, claim

_DIGEST_SIZE = hashlib.sha256().digest_size
# What Numba's listeners are told while a process waits for what another one compiles.
WAITING = "fastkb:wait"
_PACKAGE = Path(__file__).resolve().parents[2]


@functools.cache
def source_digest() -> str:
    """Digest of every source file of the package: machine code is valid for exactly this text."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


# Now, not when the first function is compiled: the files may be replaced by others in between, and what
# is compiled then is what was imported now.
source_digest()


def _text(code: types.CodeType) -> tuple:
    """What a function does, in a form that is the same in every process (marshal's is not)."""
    constants: list[Any] = []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            constants.append(_text(constant))
        elif isinstance(constant, frozenset):
            constants.append(sorted(map(repr, constant)))
        else:
            constants.append(repr(constant))
    return (code.co_code, constants, code.co_names, code.co_varnames)


def _candidates() -> Iterator[Path]:
    configured = os.environ.get("NUMBA_CACHE_DIR")
    if configured:
        yield Path(configured) / "fastkb"
        return
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base and os.path.isabs(base):
        yield Path(base) / "fastkb"
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    yield Path(tempfile.gettempdir()) / f"fastkb-{user}"


def _usable(folder: Path) -> bool:
    """Whether `folder` can be written to, and only by this user: cached code is executed."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if hasattr(os, "getuid"):
            status = folder.stat()
            if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@functools.cache
def cache_folder() -> Path | None:
    """The folder that compiled functions are kept in, or None if no candidate is writable."""
    return next((folder for folder in _candidates() if _usable(folder)), None)


class FunctionCache(_Cache):
    """Content-addressed cache of one function's compiled signatures (the interface Numba expects)."""

    def __init__(self, function: Callable, parallel: bool) -> None:
        if function.__closure__:
            # A closure's cells are no part of the name below: two functions would share one file.
            raise TypeError(f"{function.__qualname__}: a closure cannot be cached on disk")
        self._function = function
        self._parallel = parallel
        self._enabled = True
        self._claim: Claim | None = None

    @property
    def cache_path(self) -> str | None:
        folder = cache_folder()
        return None if folder is None else str(folder)

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        folder = cache_folder()
        if folder is None or not self._enabled:
            return None
        key = (
            self._function.__module__,
            self._function.__qualname__,
            _text(self._function.__code__),
            self._parallel,
            str(signature),
            codegen.magic_tuple(),
            (sys.version_info[:3], platform.machine(), numba.__version__, llvmlite.__version__),
            source_digest(),
        )
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
        return folder / f"{self._function.__name__}-{name}.nbc"

    def load_overload(self, signature: Any, target_context: Any) -> CompileResult | None:
        """The compiled `signature`, or None where there is no (readable) file: then it is claimed."""
        target_context.refresh()
        path = self._path(signature, target_context.codegen())
        if path is None:
            return None
        found = self._read(path, target_context)
        if found is None:
            self._release()
            with event.trigger_event(WAITING, data={"function": self._function}):
                self._claim = claim(path)
            found = self._read(path, target_context)
            if found is not None:
                self._release()
        return found

    def misses(self, signature: Any, target_context: Any) -> bool:
        """Whether `signature` could be kept, and is not."""
        path = self._path(signature, target_context.codegen())
        return path is not None and not path.exists()

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    @staticmethod
    def _read(path: Path, target_context: Any) -> CompileResult | None:
        try:
            payload = path.read_bytes()
        except OSError:
            return None
        digest, content = payload[:_DIGEST_SIZE], payload[_DIGEST_SIZE:]
        if hashlib.sha256(content).digest() != digest:
            return None  # a damaged file is a miss, and the save that follows replaces it
        return CompileResult._rebuild(target_context, *pickle.loads(content))

    def save_overload(self, signature: Any, data: CompileResult) -> None:
        """Write the compiled `signature` beside its final name, then rename it into place."""
        try:
            self._write(signature, data)
        finally:
            self._release()

    def _write(self, signature: Any, data: CompileResult) -> None:
        path = self._path(signature, data.target_context.codegen())
        if path is None:
            return
        if data.library.has_dynamic_globals or any(not f.can_cache for f in data.lifted):
            raise TypeError(
                f"{self._function.__qualname__} holds raw pointers: it cannot be cached"
            )
        try:
            handle, beside = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    content = dumps(data._reduce())
                    file.write(hashlib.sha256(content).digest() + content)
                os.replace(beside, path)
            except BaseException:
                os.unlink(beside)
                raise
        except OSError:
            return  # a full disk or a vanished folder costs the next process a compilation

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        """Remove this function's files."""
        folder = cache_folder()
        if folder is not None:
            for path in folder.glob(f"{self._function.__name__}-*.nbc"):
                path.unlink(missing_ok=True)
