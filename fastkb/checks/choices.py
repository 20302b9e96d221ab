"""Checks of names: an error suggests the closest one that is known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastkb.checks.numbers import wrong


def check_choice(name: str, value: Any, known: Iterable[str], or_else: str = "") -> str:
    """One of the `known` names, as it is written.

    `or_else` says in the error what else than a name the argument may be.
    """
    known = list(known)
    if isinstance(value, str) and value in known:
        return value
    expected = f"one of {', '.join(known)}" if len(known) > 1 else repr(known[0])
    raise wrong(f"{name} must be {expected}{or_else}, got {value!r}{closest(value, known)}")


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
    return check_choice(what, name, known)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def check_names(fit_params: Mapping[str, Any], known: Sequence[str], whose: str) -> None:
    """Names in `fit_params` that are known; an error suggests the closest."""
    for name in fit_params:
        if name not in known:
            names = ", ".join(known) if known else "none"
            raise ValueError(
                f"fit_params has the unknown {name!r}: {whose} are {names}{closest(name, known)}"
            )


def closest(name: Any, known: Iterable[str]) -> str:
    """The end of a message, which suggests the known name that is closest; empty if none is close."""
    close = closest_names(str(name), known)
    return f"; did you mean {close[0]!r}?" if close else ""


def closest_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three names that resemble this one in any case, the closest first."""
    plain = {_plain(each): each for each in reversed(list(known))}
    return [plain[each] for each in difflib.get_close_matches(_plain(name), plain, 3, 0.5)]
