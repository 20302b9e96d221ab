"""What a command says while it works and when it has finished."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Any, NamedTuple

# Seconds between two states of the line that moves.
_TICK = 0.1
# Steps that last longer than this are told with their seconds.
_LONG = 1.0
_SPINNER, _PLAIN_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_BAR = 20


def watched(options: argparse.Namespace) -> bool:
    """Whether the progress is shown to a user."""
    return not options.quiet and sys.stderr.isatty()


class Line:
    """One line on standard error, which moves while a command works and is gone when it has finished.

    It says what the command does, how far it is if that is known, and what is being compiled. A thread
    draws it, so that it moves while the command computes, compiles or loads.

    Parameters
    ----------
    shown : bool
        Whether a user sees it; nothing is written if not.
    text : str
        What the command does first.
    compiling : str
        What a first run should be told of compiling.
    """

    def __init__(self, shown: bool, text: str, compiling: str = "") -> None:
        self._stream: IO[str] = sys.stderr
        self._shown, self._first, self._whole = shown, text, compiling
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._draw_until_over, daemon=True)
        self._width = 0
        self._stage = _Stage(text)
        self._compiled: tuple[str, float] | None = None
        encoding = getattr(self._stream, "encoding", None) or "ascii"
        self._fancy = _fits(_SPINNER + "█░", encoding)

    def __enter__(self) -> Line:
        if self._shown:
            self._draw(0)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            self._over.set()
            self._thread.join()
            self._put("")

    def say(self, text: str) -> None:
        """Go on with another part of the work."""
        self._go_on(_Stage(text))

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Tell how far the work is: what is counted, how many are done, and of how many."""
        stage = self._stage
        if stage.what != what:
            stage = _Stage(stage.text, what)
        stage.done, stage.total = done, total
        if stage is not self._stage:
            self._go_on(stage)

    def _go_on(self, stage: _Stage) -> None:
        """Another stage is told at once: short ones would not be seen."""
        self._stage = stage
        if self._shown:
            self._draw(0)

    def compiling(self, name: str | None, since: float = 0.0) -> None:
        """Tell what is being compiled, and since when; None when that is done."""
        self._compiled = None if name is None else (name, since)

    def _draw_until_over(self) -> None:
        tick = 0
        while not self._over.wait(_TICK):
            tick += 1
            self._draw(tick)

    def _draw(self, tick: int) -> None:
        frames = _SPINNER if self._fancy else _PLAIN_SPINNER
        compiled = self._compiled
        if compiled is None:
            text = self._stage.describe(self._fancy)
        else:
            name, since = compiled
            text = f"compiling {name}{_seconds(since)}{self._whole}"
        self._put(f"{frames[tick % len(frames)]} {text}")

    def _put(self, text: str) -> None:
        """Replace the line. A terminal that cannot be written to is no reason to stop."""
        text = text[: max(10, shutil.get_terminal_size().columns - 1)]
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
            self._stream.flush()
        self._width = len(text)


class _Stage:
    """A part of the work, and how far it is."""

    def __init__(self, text: str, what: str | None = None) -> None:
        self.text, self.what = text, what
        self.done, self.total = 0, None  # type: int, int | None
        self._since = time.perf_counter()

    def describe(self, fancy: bool) -> str:
        if self.what is None:
            return self.text + _seconds(self._since)
        seconds = time.perf_counter() - self._since
        rate = self.done / seconds if self.done and seconds > _TICK else 0.0
        how_fast = f", {rate:,.3g}/s" if rate else ""
        if not self.total:
            return f"{self.text}: {self.done:,} {self.what}{how_fast}"
        if rate:
            how_fast += f", {_round((self.total - self.done) / rate)} left"
        full = round(_BAR * self.done / self.total)
        signs = ("█", "░") if fancy else ("#", ".")
        bar = signs[0] * full + signs[1] * (_BAR - full)
        return f"{self.text} {bar} {self.done:,} of {self.total:,} {self.what}{how_fast}"


def _seconds(since: float) -> str:
    """How long something has lasted, if that is long."""
    seconds = time.perf_counter() - since
    return f": {_round(seconds)}" if seconds > _LONG else ""


def _round(seconds: float) -> str:
    if seconds >= 90:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s"


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@contextlib.contextmanager
def compilation(line: Line) -> Iterator[list[float]]:
    """Tell `line` what is compiled in the body, here or elsewhere, and collect how long that took."""
    from numba.core import event

    from fastkb.runtime.compiled.cache import WAITING

    class Listener(event.Listener):
        """Compilations are nested: the innermost is named, the outermost is timed."""

        def __init__(self) -> None:
            self.names: list[str] = []
            self.since = 0.0

        def on_start(self, event: Any) -> None:
            if not self.names:
                self.since = time.perf_counter()
            function = event.data.get("function") or event.data["dispatcher"].py_func
            self.names.append(function.__name__.lstrip("_"))
            line.compiling(self.names[-1], self.since - sum(seconds))

        def on_end(self, event: Any) -> None:
            self.names.pop()
            if self.names:
                line.compiling(self.names[-1], self.since - sum(seconds))
            else:
                seconds.append(time.perf_counter() - self.since)
                line.compiling(None)

    seconds: list[float] = []
    listener = Listener()
    with (
        event.install_listener("numba:compile", listener),
        event.install_listener(WAITING, listener),
    ):
        yield seconds


class Report(NamedTuple):
    """What a command says when it has finished."""

    text: str  # on standard output
    asides: Sequence[tuple[str, str]] = ()  # a word and a sentence each, on standard error

    def deliver(self) -> None:
        """Say it."""
        for word, sentence in self.asides:
            print(f"fastkb: {word}: {sentence}", file=sys.stderr)
        if self.text:
            print(self.text)


def warned(caught: Sequence[warnings.WarningMessage]) -> list[tuple[str, str]]:
    """Warnings as asides, once each."""
    told = [" ".join(str(w.message).split()) for w in caught]
    return [("warning", message) for message in dict.fromkeys(told)]


def aligned(lines: Sequence[tuple[str, str]]) -> str:
    """A summary: a word and a sentence on each line."""
    width = max(9, *(len(name) for name, _ in lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines)


def dropped(n_dropped: int) -> str:
    """How many rows were left out, in words."""
    return f"{n_dropped} dropped for missing values" if n_dropped else "none dropped"


def compiling(seconds: float) -> str:
    """The part of the time that a later run saves; nothing where there is hardly any."""
    if seconds <= 0.05:
        return ""
    return f"; {seconds:.2f} s of it compiling, for this and all later runs"
