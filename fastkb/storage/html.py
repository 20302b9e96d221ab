"""Results as notebooks show them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def html_table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """A heading, and below it a word and a sentence in each row.

    Examples
    --------
    >>> from fastkb.storage.html import html_table
    >>> html_table("Band", [("level", "< 1")])
    '<table><caption><b>Band</b></caption><tr><th>level</th><td>&lt; 1</td></tr></table>'
    """
    body = "".join(
        f"<tr><th>{escape(word)}</th><td>{escape(sentence)}</td></tr>" for word, sentence in rows
    )
    return f"<table><caption><b>{escape(title)}</b></caption>{body}</table>"
