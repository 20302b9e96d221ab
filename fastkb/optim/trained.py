"""What an optimiser trains of one network: where the tensors stand, and the optimiser's state of them.

State is kept as the network keeps its parameters: in flat buffers, of which compiled code takes spans.
Which spans these are is found out when other tensors have derivatives than in the step before, or when
the network was put together anew; a step that is like the one before looks nothing up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.program.store import Store
from fastkb.nn.program.updating import square_of_spans
from fastkb.runtime.memory import zeros


@dataclass
class Run:
    """Tensors of one group that have been through as many steps: one compiled call."""

    group: int
    ends: np.ndarray  # of their spans.  # shape: (count, 2)
    names: list[str]
    steps: int


class Kept(NamedTuple):
    """An optimiser's state of one tensor."""

    steps: int
    moments: tuple[np.ndarray | None, ...]


class Trained:
    """The tensors of one network that an optimiser trains.

    Parameters
    ----------
    network : Network
    apart : bool
        Whether the rule tells tensors apart, so that neighbours are not one span.

    Attributes
    ----------
    groups : dict of str to int
        The names of the tensors, and the parameter group of each.
    runs : list of Run
        What the next step is made of.
    """

    def __init__(self, network: Any, *, apart: bool) -> None:
        self.network, self._apart = network, apart
        self.groups: dict[str, int] = {}
        self.runs: list[Run] = []
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._starts: dict[str, float] = {}
        # How many steps each has been through, but for those of `runs`.
        self._steps: dict[str, int] = {}
        # Of what stands in the network where these say, and has derivatives where these say.
        self._store: Store | None = None
        self._there: frozenset[str] = frozenset()
        self._present: set[str] | None = None
        self._moments: list[np.ndarray] = []
        self._work = np.zeros(0)

    def add(self, name: str, shape: tuple[int, ...], group: int, start: float) -> None:
        """Train one more tensor, whose second state begins with `start`; :meth:`added` comes after it."""
        self.groups[name], self._shapes[name], self._starts[name] = group, shape, start

    def added(self) -> None:
        """Give those that were added a state, where others have one."""
        self._settle()
        if self._store is not None:
            self._move(self._store)

    # --- a step ---------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether a step has something to do, which `runs` then holds."""
        network = self.network
        if network._parent is not None:
            self.check_whole()
        present = network._gradients.present
        if not present:
            return False
        if present != self._present or network._store is not self._store:
            self._plan(present)
        return bool(self.runs)

    def check_whole(self) -> None:
        """Refuse a network that is a part of another one."""
        if self.network._root() is not self.network:
            raise ValueError(
                f"the {type(self.network).__name__} of this optimiser has become a part of another "
                "network, which has its parameters: make an optimiser of that one's"
            )

    def plan_anew(self) -> None:
        """Let the next step look up which tensors go together."""
        self._present = None

    def _plan(self, present: set[str]) -> None:
        store = self.network._store
        self._settle()
        if store is not self._store:
            self._move(store)
        together: dict[tuple[int, int], list[str]] = {}
        for name, group in self.groups.items():
            if name in present and name in self._there:
                together.setdefault((group, self._steps.get(name, 0)), []).append(name)
        self.runs = [
            Run(group, store.spans(set(names), apart=self._apart), names, steps)
            for (group, steps), names in together.items()
        ]
        self._present = set(present)

    def _settle(self) -> None:
        """Count the steps of each tensor by itself."""
        for run in self.runs:
            self._steps.update(dict.fromkeys(run.names, run.steps))
        self.runs, self._present = [], None

    def check(self) -> None:
        """Refuse derivatives that are not finite."""
        gradients = self.network._gradients.buffer
        for run in self.runs:
            # Squares may overflow where they are finite.
            if not math.isfinite(square_of_spans(gradients, run.ends)):
                self._check_each(gradients)

    def _check_each(self, gradients: np.ndarray) -> None:
        assert self._store is not None
        taken = {name for run in self.runs for name in run.names}
        for name in self.groups:
            if name in taken and not np.isfinite(self._store.take_one(name, gradients)).all():
                raise FloatingPointError(
                    f"derivatives with respect to {name} are not finite, and nothing was changed: a "
                    "smaller learning rate may help"
                )

    @property
    def parameters(self) -> np.ndarray:
        """The flat buffer that a step changes."""
        found: np.ndarray = self.network._state.parameters[0]
        return found

    @property
    def gradients(self) -> np.ndarray:
        """The flat buffer of derivatives."""
        found: np.ndarray = self.network._gradients.buffer
        return found

    def copied_gradients(self) -> np.ndarray:
        """A copy of it, in a buffer that is kept for the next one."""
        gradients = self.gradients
        if self._work.shape != gradients.shape or self._work.dtype != gradients.dtype:
            self._work = np.empty_like(gradients)
        np.copyto(self._work, gradients)
        return self._work

    def moments(self, used: tuple[bool, bool, bool]) -> tuple[np.ndarray, ...]:
        """The three states in flat buffers, of which one that is not used yet may have no element."""
        for place, wanted in enumerate(used):
            if wanted and not len(self._moments[place]):
                self._moments[place] = self._blank(place)
        return tuple(self._moments)

    # --- derivatives ----------------------------------------------------------------------------

    def forget_gradients(self) -> None:
        """There are no derivatives of these tensors."""
        self.network._gradients.present.difference_update(self.groups)

    def zero_gradients(self) -> None:
        """The derivatives of these tensors that there are become 0."""
        if self.ready():
            for run in self.runs:
                for begin, end in run.ends:
                    self.gradients[begin:end] = 0.0

    # --- the state ------------------------------------------------------------------------------

    def _blank(self, place: int) -> np.ndarray:
        """The state of tensors that have been through no step."""
        assert self._store is not None
        store = self._store
        found = zeros((store.parameters,), store.dtype, "an optimiser's state")
        for name, start in self._starts.items() if place == 1 else ():
            if start != 0.0 and name in self._there:
                begin, end = store.ends(name)
                found[begin:end] = start
        return found

    def _move(self, store: Store) -> None:
        """Go on with a network that has been put together anew; its tensors are known by their names."""
        before, self._store = self._store, store
        moments, self._moments = self._moments, [np.zeros(0, store.dtype)] * 3
        shapes = store.shapes()
        self._there = frozenset(n for n, shape in self._shapes.items() if shapes.get(n) == shape)
        self._steps = {name: n for name, n in self._steps.items() if name in self._there}
        for place, array in enumerate(moments):
            if len(array):
                assert before is not None
                self._moments[place] = self._blank(place)
                for name in self._steps:
                    store.put(name, before.take_one(name, array), self._moments[place])

    def kept(self, name: str) -> Kept:
        """The state of one tensor: copies."""
        self._settle()
        steps = self._steps.get(name, 0)
        if self._store is None or not steps:
            return Kept(0, (None, None, None))
        store = self._store
        found = (store.take_one(name, a) if len(a) else None for a in self._moments)
        return Kept(steps, tuple(found))

    def restore(self, kept: Mapping[str, Kept]) -> None:
        """Have the state of tensors by their names; of others there is none."""
        self._settle()
        self._steps = {name: each.steps for name, each in kept.items()}
        self._moments = []
        if not kept and self._store is None:
            return
        arrays = [array for each in kept.values() for array in each.moments if array is not None]
        kind = np.result_type(*arrays) if arrays else np.float64
        store, _, _ = self.network._ready(np.dtype("f4" if kind == np.float32 else "f8"))
        self._move(store)
        for name in self._steps:
            for place, array in enumerate(kept[name].moments):
                if array is not None:
                    self.moments((place == 0, place == 1, place == 2))
                    store.put(name, array, self._moments[place])
