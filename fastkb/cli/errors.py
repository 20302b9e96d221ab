"""The error of the command line."""

from __future__ import annotations


class CommandError(Exception):
    """Something that the user can put right: its message is one line, without a traceback."""
