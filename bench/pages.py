"""The guides' code, run as it stands: ``python -m bench.pages docs/networks.md``.

The Python blocks of a page run from top to bottom, each with the names of those before it; those that
show a prompt must print what they say. The command writes the pictures that the blocks save beside the
page: on one machine always the same ones.
"""

from __future__ import annotations

import argparse
import doctest
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any


def blocks(text: str, language: str = "python") -> list[tuple[int, str]]:
    """The code blocks of a page in a language, each with the line before its first."""
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.S | re.M)
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in found]


def pictures(text: str) -> set[str]:
    """File names of the pictures that a page shows."""
    return set(re.findall(r"!\[[^]]*\]\(([^)\s]+)\)", text))


def run_page(page: Path) -> dict[str, Any]:
    """Run a page's Python blocks in the current folder; the names that they have defined.

    An error shows the page and the line. A block with a prompt that prints something else than it says
    is an AssertionError.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for line, code in blocks(page.read_text(encoding="utf-8")):
        if code.lstrip().startswith(">>>"):
            _run_session(code, names, page, line)
        else:
            exec(compile("\n" * line + code, str(page), "exec"), names)
    return names


def _run_session(code: str, names: dict[str, Any], page: Path, line: int) -> None:
    test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(
        test, out=report.append, clear_globs=False
    )
    names.update(test.globs)
    assert not report, "".join(report)


def draw(page: Path) -> list[str]:
    """Run a page and put its pictures beside it, all of them or none; their names.

    Other files that it saves are dropped.

    Raises
    ------
    ValueError
        If it saves a picture that it does not show.
    """
    page = page.resolve()
    here = Path.cwd()
    with tempfile.TemporaryDirectory(dir=page.parent) as folder:
        os.chdir(folder)
        try:
            run_page(page)
        finally:
            os.chdir(here)
        written = sorted(path.name for path in Path(folder).glob("*.png"))
        hidden = set(written) - pictures(page.read_text(encoding="utf-8"))
        if hidden:
            raise ValueError(f"{page.name} saves {', '.join(sorted(hidden))} and does not show it")
        for name in written:
            os.replace(Path(folder) / name, page.parent / name)
    return written


def _main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE.md")
    for page in parser.parse_args(arguments).pages:
        print(f"{page}: {', '.join(draw(page)) or 'no pictures'}")


if __name__ == "__main__":
    sys.exit(_main())
