"""The error of a user's statistic, with a word on where it failed."""

from __future__ import annotations


def statistic_error(error: Exception, where: str) -> Exception:
    """What to raise for an error of the statistic: a ValueError, and of the error's own class as well.

    SciPy lets the statistic's own error through; code that expects it catches this one as well.

    Parameters
    ----------
    error : Exception
    where : str
        What the statistic was called with.

    Examples
    --------
    >>> from fastkb.bootstrap.statistic_error import statistic_error
    >>> made = statistic_error(ZeroDivisionError("division by zero"), "the data")
    >>> isinstance(made, ZeroDivisionError), isinstance(made, ValueError), str(made)
    (True, True, 'statistic failed on the data: ZeroDivisionError: division by zero')
    """
    message = f"statistic failed on {where}: {type(error).__name__}: {error}"
    return _of_both_kinds(type(error), message)


def _of_both_kinds(kind: type[Exception], message: str) -> Exception:
    bases = (kind,) if issubclass(kind, ValueError) else (kind, ValueError)
    try:
        made = type(kind.__name__, bases, {"__reduce__": _reduced, "__module__": kind.__module__})
        return made(message)
    except (
        Exception
    ):  # kinds that do not go together with ValueError, or that are not made of a text
        return ValueError(message)


def _reduced(error: Exception) -> tuple:
    """How the error is pickled: its class is found nowhere by name."""
    return _of_both_kinds, (type(error).__bases__[0], error.args[0])
