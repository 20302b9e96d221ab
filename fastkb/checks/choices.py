"""Checks of names: an error suggests the closest one that is known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def check_name(what: str, name: str, known: Iterable[str], incomplete: Iterable[str] = ()) -> str:
    """One of the `known` names, in any case and with any hyphens or underscores.

    Parameters
    ----------
    what : str
        The name of the argument.
    name : str
    known : iterable of str
    incomplete : iterable of str
        Names of what exists and has no default parameters.
    """
    known, incomplete = list(known), list(incomplete)
    plain = {_plain(each): each for each in (*known, *incomplete)}
    found = plain.get(_plain(name))
    if found in known:
        return found
    if found is not None:
        raise ValueError(
            f"{what}={name!r} has parameters without defaults: pass an instance, or one of "
            f"{', '.join(known)}"
        )
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.5)
    hint = f"; did you mean {plain[close[0]]!r}?" if close else ""
    raise ValueError(f"{what}={name!r} is not known: expected one of {', '.join(known)}{hint}")


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def check_choice(name: str, value: Any, known: Sequence[str]) -> str:
    """One of some names; an error suggests the closest."""
    if isinstance(value, str) and value in known:
        return value
    close = difflib.get_close_matches(str(value), known, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}{hint}")


def check_names(fit_params: Mapping[str, Any], known: Sequence[str], whose: str) -> None:
    """Names in `fit_params` that are known; an error suggests the closest."""
    for name in fit_params:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            names = ", ".join(known) if known else "none"
            raise ValueError(f"fit_params has the unknown {name!r}: {whose} are {names}{hint}")
