"""Files that appear whole or not at all.

Each file is opened beside its final place before the work starts, so that a folder that cannot be
written to is reported at once; it is renamed into place after all files are complete.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

from fastkb.cli.errors import CommandError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_SUFFIXES = (".png", ".pdf", ".svg")
# The most dots that matplotlib draws along a side, and the longest side, in inches, of a picture without
# --size.
_PIXELS, _USUAL = 2**16 - 1, 12.0


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


def check_picture(option: str, path: str, size: tuple[float, float] | None, dpi: float) -> None:
    """Before any work: whether a picture can be drawn, of this size, and `path` names a format."""
    try:
        import matplotlib as _matplotlib  # noqa: F401
    except ImportError:
        raise CommandError("the picture needs matplotlib: pip install 'fastkb[cli]'") from None
    if not path.lower().endswith(PICTURE_SUFFIXES):
        raise CommandError(
            f"{option} {path}: expected a name ending in {', '.join(PICTURE_SUFFIXES)}"
        )
    longest = max(size or (_USUAL,)) * dpi
    if path.lower().endswith(".png") and longest > _PIXELS:
        raise CommandError(
            f"--dpi {dpi:g}: the picture would be {longest:,.0f} dots long, and {_PIXELS:,} can be drawn"
        )


def write_picture(output: Output, figure: Figure, dpi: float) -> None:
    """The figure in the format that the output's name ends with."""
    from fastkb.plot import save

    suffix = output.path.rpartition(".")[2].lower()
    output.write(lambda file: save(figure, file, suffix, dpi=dpi))


@contextlib.contextmanager
def reserved(wanted: Sequence[tuple[str, str]], data: str | None) -> Iterator[list[Output]]:
    """Outputs that are found to be writable before the body, and seen only when it has succeeded.

    Parameters
    ----------
    wanted : sequence of (option, path)
        Each file, and the option that asked for it.
    data : str or None
        The file that is read, which none of them may replace; ``"-"`` is standard input.
    """
    outputs: list[Output] = []
    try:
        for option, path in wanted:
            output = Output(option, path)
            outputs.append(output)
            if data not in (None, "-") and output.same_file(data):
                raise CommandError(f"{option} {path} would overwrite the data")
            for (other, _), earlier in zip(wanted, outputs[:-1], strict=False):
                if earlier.same_file(path):
                    raise CommandError(f"{other} and {option} name the same file: {path}")
        yield outputs
        publish_all(outputs)
    finally:
        for output in outputs:
            output.discard()
