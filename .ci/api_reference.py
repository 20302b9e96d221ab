"""Writes docs/api.md from the docstrings: ``python .ci/api_reference.py``; ``--check`` only compares."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastkb
import fastkb.nn
import fastkb.optim
import fastkb.plot
import fastkb.svm

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
HEAD = """\
# Reference

Every public name, from its docstring, as `help(name)` shows it. Written by `python .ci/api_reference.py`.
"""
ROOMS: list[tuple[str, Any, list[str]]] = [
    ("fastkb", fastkb, [name for name in fastkb.__all__ if not name.startswith("_")]),
    ("fastkb.kernels", fastkb.kernels, list(fastkb.kernels.__all__)),
    ("fastkb.schemes", fastkb.schemes, list(fastkb.schemes.__all__)),
    ("fastkb.statistics", fastkb.statistics, list(fastkb.statistics.__all__)),
    ("fastkb.svm", fastkb.svm, list(fastkb.svm.__all__)),
    ("fastkb.nn", fastkb.nn, list(fastkb.nn.__all__)),
    ("fastkb.nn.utils", fastkb.nn.utils, list(fastkb.nn.utils.__all__)),
    ("fastkb.optim", fastkb.optim, list(fastkb.optim.__all__)),
    (
        "fastkb.optim.lr_scheduler",
        fastkb.optim.lr_scheduler,
        list(fastkb.optim.lr_scheduler.__all__),
    ),
    ("fastkb.plot", fastkb.plot, list(fastkb.plot.__all__)),
]
# Bases that are not public, with methods that are.
BASES = (
    "Classifier",
    "KernelModel",
    "Machine",
    "OtherBands",
    "Perceptron",
    "Regressor",
    "SavedResult",
    "SingleMachine",
)
# Sections of numpydoc whose entries are a name, a type and sentences.
LISTS = {"Parameters", "Returns", "Raises", "Attributes", "Yields", "Warns"}
_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)


def pages() -> Iterator[str]:
    """The page, piece by piece."""
    yield HEAD
    for title, room, names in ROOMS:
        public = [name for name in names if not inspect.ismodule(getattr(room, name))]
        public = [name for name in public if callable(getattr(room, name))]
        links = ", ".join(f"[`{name}`](#{_anchor(title, name)})" for name in public)
        yield f"\n## {title}\n\n{_first_paragraph(room)}\n\n{links}\n"
        for name in public:
            yield from _entry(title, name, getattr(room, name))


def _members(kind: type) -> dict[str, Any]:
    """What stands in a class, and in those of its bases whose methods users call."""
    bases = [each for each in kind.__mro__ if each.__name__ in BASES]
    return dict(vars(kind)) | {
        name: value
        for each in bases
        for name, value in vars(each).items()
        if name not in vars(kind)
    }


def _entry(title: str, name: str, value: Any) -> Iterator[str]:
    yield f"\n### {title}.{name}\n"
    yield f"\n```text\n{_signature(name, value)}\n```\n"
    yield _markdown(inspect.getdoc(value) or "")
    if not inspect.isclass(value):
        return
    for method, function in _members(value).items():
        if method.startswith("_") or not inspect.getdoc(function):
            continue
        plain = getattr(function, "__func__", function)
        if inspect.isfunction(plain):
            yield f"\n#### {name}.{_signature(method, plain)}\n"
            yield _markdown(inspect.getdoc(plain) or "")


def _anchor(title: str, name: str) -> str:
    """As GitHub makes it from the heading."""
    return f"{title}.{name}".lower().replace(".", "")


def _first_paragraph(room: Any) -> str:
    return " ".join((inspect.getdoc(room) or "").split("\n\n")[0].split())


def _signature(name: str, value: Any) -> str:
    """Names and defaults; the types stand with the parameters."""
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        return name
    shown = [p.replace(annotation=p.empty) for p in parameters if p.name not in ("self", "cls")]
    shown = [p for p in shown if not p.name.startswith("_")]
    text = str(inspect.Signature(shown))
    return name + re.sub(r"<object object at \w+>", "<not given>", text)


def _markdown(docstring: str) -> str:
    parts = _HEADING.split(docstring)
    out = [f"\n{_prose(parts[0])}\n"]
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        text = _list(body) if heading in LISTS else _prose(body)
        out.append(f"\n**{heading}**\n\n{text}\n")
    return "".join(out)


def _list(body: str) -> str:
    """Entries: a line with a name and a type, and sentences that are indented below it."""
    lines: list[str] = []
    for line in body.strip("\n").splitlines():
        if line and not line.startswith(" "):
            name, colon, kind = line.partition(" : ")
            lines.append(f"- `{name}`" + (f" : {_roles(kind)}" if colon else ""))
        elif line.strip():
            lines.append(f"  {_roles(line.strip())}")
    return "\n".join(lines)


def _prose(text: str) -> str:
    """Paragraphs as they are; examples and formulas stand in blocks."""
    out = []
    for paragraph in text.strip("\n").split("\n\n"):
        block = paragraph.lstrip("\n")
        if block.startswith(">>>") or block.startswith(("===", "    ", ".. math", "..  math")):
            out.append(f"```text\n{block.rstrip()}\n```")
        else:
            out.append(_roles(block.strip()))
    return "\n\n".join(part for part in out if part)


def _roles(text: str) -> str:
    """Sphinx's roles as code."""
    text = re.sub(r":(?:func|class|meth|mod|math|attr):`~?([^`]*)`", r"`\1`", text)
    return text.replace("``", "`")


def main() -> int:
    """Write the page, or say whether it is as the docstrings are."""
    page = re.sub(r"\n{3,}", "\n\n", "".join(pages())).rstrip() + "\n"
    if "--check" in sys.argv[1:]:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page
        print(
            "docs/api.md is up to date" if same else "docs/api.md: run python .ci/api_reference.py"
        )
        return 0 if same else 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
