"""How much of a training one call of compiled code does."""

from __future__ import annotations

# Between two looks at the keyboard.
_SECONDS_A_CALL = 0.25
# Epochs that are shorter are trained together: each of its own costs some 20 microseconds in Python. What
# an interrupt finds unfinished is not in the history, so they are no more than are worth it.
_SECONDS_TOGETHER = 0.02
_MOST_TOGETHER = 64
# A second on one core, cautiously.
_MULTIPLY_ADDS = 1e10


class Pace:
    """How many steps a call may take: about a quarter of a second.

    Parameters
    ----------
    multiply_adds : int
        Of a step: what the first guess is made of.
    """

    def __init__(self, multiply_adds: int) -> None:
        self._seconds = 1e-6 + multiply_adds / _MULTIPLY_ADDS  # of a member's step

    def steps(self, members: int) -> int:
        """Of the next call."""
        return max(1, int(_SECONDS_A_CALL / (self._seconds * members)))

    def epochs(self, members: int, steps: int) -> int:
        """Of the next call, if it is to have whole epochs of so many steps; at least one."""
        epochs = _SECONDS_TOGETHER / (self._seconds * members * steps)
        return max(1, min(_MOST_TOGETHER, int(epochs)))

    def measured(self, seconds: float, steps: int) -> None:
        """What a call has taken, for so many steps of all members together."""
        # The first call may have compiled: never ten times slower at once.
        self._seconds = min(max(seconds / steps, self._seconds / 10), self._seconds * 10)
