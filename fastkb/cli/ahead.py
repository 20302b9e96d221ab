"""Compile in a second process what a command needs later, while the first compiles what it needs now."""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastkb.runtime.compiled.cache import cache_folder
from fastkb.runtime.threads import n_threads

# Functions with declared types, by the command that needs them: module and name.
LATER = {"band": (("fastkb.bands.ridge.lowrank_block", "solve_blocks"),)}
_ELEMENT = np.dtype(np.float64)
# Nothing is imported before the search path is that of the command: a file in the working folder may
# have the name of any module.
_SCRIPT = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from fastkb.cli.ahead import compile_for; compile_for(sys.argv[1])"
)


def functions_of(command: str) -> list[Any]:
    """The compiled functions that a command needs later, by element type."""
    found = [getattr(importlib.import_module(module), name) for module, name in LATER[command]]
    return [function.dispatcher for function in found]


def compile_for(command: str) -> None:
    """Compile and keep what a command needs later."""
    for function in functions_of(command):
        function.compiled(_ELEMENT)


@contextlib.contextmanager
def compiling_ahead(command: str) -> Iterator[None]:
    """Let a second process compile in the body, if there is something to compile and a core for it.

    The two meet at the claim: where this process needs a function that the other one is compiling, it
    waits for its file (:mod:`fastkb.runtime.compiled.claims`).
    """
    useful = n_threads() > 1 and cache_folder() is not None
    if not useful or not any(function.misses(_ELEMENT) for function in functions_of(command)):
        yield
        return
    process = _start([sys.executable, "-c", _SCRIPT, command, *sys.path])
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def _start(command: Sequence[str]) -> subprocess.Popen[bytes] | None:
    """A silent process, or None where the system refuses one: this one then does it all."""
    nothing = subprocess.DEVNULL
    try:
        return subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
    except OSError:
        return None
