"""What a work is: something to compute, those who compute it, and when their results agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from bench.bounds import Bound
    from bench.ceilings import Ceilings

FASTKB = "fastkb"


@dataclass(frozen=True)
class Contender:
    """One library's way to do a work, ready to be called: data converted, workers started."""

    name: str
    call: Callable[[], Any]
    # What a measured time is multiplied by: a rival that needs minutes does a part of the work.
    scale: float = 1.0
    part: str = ""  # which part, in words


class Absent(NamedTuple):
    """A rival that cannot run here."""

    name: str
    reason: str


class Work(Protocol):
    """One row of the report."""

    @property
    def name(self) -> str:
        """Short and unique: what ``--only`` selects by."""

    @property
    def group(self) -> str:
        """The table that it stands in."""

    @property
    def title(self) -> str:
        """What is computed, in words."""

    @property
    def rivals(self) -> tuple[str, ...]:
        """The names of the rivals, whether they are installed or not."""

    def fastkb(self) -> Contender:
        """Fastkb's way."""

    def rival(self, name: str) -> Contender | Absent:
        """A rival's way."""

    def disagreement(self, ours: Any, theirs: Any) -> float:
        """The largest difference of two results, in tolerances: at most 1 is agreement."""

    def facts(self, ours: Any) -> Any:
        """The little that the bound must know of fastkb's result."""

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        """The least time that this machine needs for the work, from its measured ceilings."""
