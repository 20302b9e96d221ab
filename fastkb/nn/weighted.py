"""Steps with weights, as scikit-learn takes them: the penalty is divided by the weights of the batch.

Members that are trained side by side then have penalties of their own; and as batches may be without any
weight, and learning rates may follow the losses, also rates and numbers of updates. So each step of each
member is a call of :func:`fastkb.nn.training.train_members`, from compiled code.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba.core import types

from fastkb.nn.engine import Engine, data_of, deal
from fastkb.nn.training import Data, Scratch, State, Steps, train_members
from fastkb.nn.updates import Hyper
from fastkb.runtime import jit
from fastkb.runtime.threads import n_threads
from fastkb.runtime.workers import call_each
from fastkb.validation.networks import Observations

_one_step = train_members.dispatcher


class Each(NamedTuple):
    """What differs between members."""

    rates: np.ndarray  # shape: (members,), float64
    updates: np.ndarray  # so far; counted on.  # shape: (members,), int64
    # 1: the loss was not finite, and there are no more steps.  # shape: (members,), int64
    ended: np.ndarray


def _signature(T):
    *arguments, losses = train_members._signature(T)
    whole = types.Array(types.int64, 1, "C")
    each = types.NamedTuple((types.Array(types.float64, 1, "C"), whole, whole), Each)
    return (*arguments, each, whole, losses)


@jit(references=False, signature=_signature)
def train_weighted(state, rows, scratch, data, order, steps, hyper, sizes, each, room, losses):
    """:func:`train_members`, but that the penalty ``steps.l2`` is divided by the weights of each batch.

    Observations without weight are passed over, as if they were not there: more than a third of a
    resample's are. A batch without any weight has a loss of 0, and no update.

    Parameters
    ----------
    state, rows, scratch, data, order, steps, hyper, sizes, losses
        As there; weights must be given. ``steps.done`` and ``hyper.lr`` are those of `each`.
    each : Each
    room : array of int64
        For the observations of a batch.  # shape: (batch,)
    """
    for member in range(len(state.parameters)):
        one = State(
            state.parameters[member : member + 1],
            state.first[member : member + 1],
            state.second[member : member + 1],
        )
        mine = Data(data.inputs, data.targets, data.labels, data.weights[member : member + 1])
        at_rate = Hyper(
            hyper.code, each.rates[member], hyper.momentum, hyper.nesterov, hyper.beta1, hyper.beta2,
            hyper.eps, hyper.weight_decay, hyper.correction1, hyper.correction2,
        )  # fmt: skip
        weights, taken, found = data.weights[member], order[member], losses[member]
        for step in range(len(found)):
            if each.ended[member]:
                break
            whole, count = 0.0, 0
            for k in range(step * steps.batch, min((step + 1) * steps.batch, len(taken))):
                weight = weights[taken[k]]
                whole += weight
                room[count] = taken[k]
                count += weight > 0.0  # (no branch, which could not be predicted)
            if count == 0:
                found[step] = 0.0
                continue
            now = Steps(
                steps.loss, steps.l2 / whole, 0, steps.clip_norm, steps.clip_value, steps.batch,
                each.updates[member],
            )  # fmt: skip
            loss = found[step : step + 1].reshape((1, 1))
            chosen = room[:count].reshape((1, count))
            _one_step(one, rows, scratch, mine, chosen, now, at_rate, sizes, loss)
            if math.isfinite(found[step]):
                each.updates[member] += 1
            else:
                each.ended[member] = 1


class WeightedEngine(Engine):
    """An engine that takes such steps, too."""

    def train_weighted(
        self,
        state: State,
        observations: Observations,
        order: np.ndarray,
        steps: Steps,
        hyper: Hyper,
        each: Each,
    ) -> np.ndarray:
        """As :meth:`Engine.train`, with weights.  # shape: (members, steps)"""
        members, count = order.shape
        sizes = self._sizes(min(steps.batch, count))
        losses = np.zeros((members, math.ceil(count / steps.batch)))
        data = data_of(observations, members)
        shared = members == 1 and self.threads(min(steps.batch, count)) > 1
        spans = deal(members, 1 if shared else n_threads())
        with self._rooms(len(spans), sizes.capacity, True) as rooms:
            if shared:
                self._step_by_step(state, data, order, steps, hyper, each, rooms[0], losses)
                return losses
            call_each(
                train_weighted,
                [
                    (
                        State(*(array[part] for array in state)),
                        self.program.rows,
                        room,
                        data._replace(weights=data.weights[part]),
                        order[part],
                        steps,
                        hyper,
                        sizes,
                        Each(*(array[part] for array in each)),
                        np.empty(steps.batch, np.int64),
                        losses[part],
                    )
                    for room, part in zip(rooms, spans, strict=True)
                ],
            )
        return losses

    def _step_by_step(
        self,
        state: State,
        data: Data,
        order: np.ndarray,
        steps: Steps,
        hyper: Hyper,
        each: Each,
        room: Scratch,
        losses: np.ndarray,
    ) -> None:
        """The same of one large member: all threads share each of its steps."""
        # (Of the same capacity, however few observations a step has: padding stays zero in its place.)
        sizes = self._sizes(min(steps.batch, order.shape[1]))
        for step in range(losses.shape[1]):
            if each.ended[0]:
                return
            chosen = order[0, step * steps.batch : (step + 1) * steps.batch]
            weights = data.weights[0][chosen]
            chosen = chosen[weights > 0.0]
            if not len(chosen):
                continue
            # (One by one, as above.)
            whole = float(np.add.accumulate(weights[weights > 0.0], dtype=np.float64)[-1])
            now = steps._replace(l2=steps.l2 / whole, l2_shared=0, done=int(each.updates[0]))
            at_rate = hyper._replace(lr=float(each.rates[0]))
            arguments = (state, self.program.rows, room, data, chosen[None, :], now, at_rate, sizes)
            self.one(arguments, losses[:, step : step + 1])
            if math.isfinite(losses[0, step]):
                each.updates[0] += 1
            else:
                each.ended[0] = 1
