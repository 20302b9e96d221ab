"""Steps with weights, as scikit-learn takes them: the penalty is divided by the weights of the batch.

Members that are trained side by side then have penalties of their own; and as batches may be without any
weight, and learning rates may follow the losses, also rates and numbers of updates. So each step of each
member is a call of :func:`fastkb.nn.program.epochs.train_members`, from compiled code.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba.core import types

from fastkb.nn.checks import Observations
from fastkb.nn.optim.updates import Hyper
from fastkb.nn.program.engine import Engine, batch_sizes, data_of, deal, some_of
from fastkb.nn.program.epochs import train_members
from fastkb.nn.program.step import Data, Run, State, Steps, types_of
from fastkb.runtime import jit
from fastkb.runtime.threads import n_threads
from fastkb.runtime.workers import call_each

_one_step = train_members.dispatcher


class Each(NamedTuple):
    """What differs between members."""

    rates: np.ndarray  # shape: (members,), float64
    updates: np.ndarray  # so far; counted on.  # shape: (members,), int64
    # 1: the loss was not finite, and there are no more steps.  # shape: (members,), int64
    ended: np.ndarray


def _signature(T):
    whole = types.Array(types.int64, 1, "C")
    each = types.NamedTuple((types.Array(types.float64, 1, "C"), whole, whole), Each)
    return types_of(T)["run"], each, whole


@jit(references=False, signature=_signature)
def train_weighted(run, each, room):
    """:func:`train_members`, but that the penalty ``steps.l2`` is divided by the weights of each batch.

    Observations without weight are passed over, as if they were not there: more than a third of a
    resample's are. A batch without any weight has a loss of 0, and no update.

    Parameters
    ----------
    run : Run
        Weights must be given. ``steps.done`` and ``hyper.lr`` are those of `each`.
    each : Each
    room : array of int64
        For the observations of a batch.  # shape: (batch,)
    """
    state, rows, scratch, data, order, steps, hyper, sizes, losses = run
    for member in range(len(state.parameters)):
        one = State(
            state.parameters[member : member + 1],
            state.first[member : member + 1],
            state.second[member : member + 1],
        )
        mine = Data(data.inputs, data.targets, data.labels, data.weights[member : member + 1])
        at_rate = Hyper(
            hyper.code, each.rates[member], hyper.momentum, hyper.nesterov, hyper.beta1, hyper.beta2,
            hyper.eps, hyper.weight_decay, hyper.correction1, hyper.correction2, hyper.eps_first,
        )  # fmt: skip
        weights, taken, found = data.weights[member], order[member], losses[member]
        epoch = steps.epoch if steps.epoch > 0 else len(taken)
        begin, edge = 0, epoch
        for step in range(len(found)):
            if each.ended[member]:
                break
            whole, count = 0.0, 0
            stop = min(begin + steps.batch, edge)
            for k in range(begin, stop):
                weight = weights[taken[k]]
                whole += weight
                room[count] = taken[k]
                count += weight > 0.0  # (no branch, which could not be predicted)
            begin = stop
            if begin == edge:
                edge += epoch
            if count == 0:
                found[step] = 0.0
                continue
            now = Steps(
                steps.loss, steps.l2 / whole, 0, steps.clip_norm, steps.clip_value, steps.batch,
                each.updates[member], 0,
            )  # fmt: skip
            loss = found[step : step + 1].reshape((1, 1))
            chosen = room[:count].reshape((1, count))
            _one_step(Run(one, rows, scratch, mine, chosen, now, at_rate, sizes, loss))
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
        batches = batch_sizes(count, steps.batch, steps.epoch)
        sizes = self._sizes(int(batches[0]))
        losses = np.zeros((members, len(batches)))
        data = data_of(observations, members)
        shared = members == 1 and self.threads(int(batches[0])) > 1
        spans = deal(members, 1 if shared else n_threads())
        with self._rooms(len(spans), sizes.capacity, True) as rooms:
            run = Run(state, self.program.rows, rooms[0], data, order, steps, hyper, sizes, losses)
            if shared:
                self._step_by_step(run, batches, each)
                return losses
            call_each(
                train_weighted,
                [
                    (
                        some_of(run, part, room),
                        Each(*(array[part] for array in each)),
                        np.empty(steps.batch, np.int64),
                    )
                    for room, part in zip(rooms, spans, strict=True)
                ],
            )
        return losses

    def _step_by_step(self, run: Run, batches: np.ndarray, each: Each) -> None:
        """The same of one large member: all threads share each of its steps."""
        # (Of the same capacity, however few observations a step has: padding stays zero in its place.)
        (order,), (weights,), steps = run.order, run.data.weights, run.steps
        ends = np.cumsum(batches)
        for step, (end, size) in enumerate(zip(ends.tolist(), batches.tolist(), strict=True)):
            if each.ended[0]:
                return
            chosen = order[end - size : end]
            chosen = chosen[weights[chosen] > 0.0]
            if not len(chosen):
                continue
            # (One by one, as above.)
            whole = float(np.add.accumulate(weights[chosen], dtype=np.float64)[-1])
            now = run._replace(
                order=chosen[None, :],
                steps=steps._replace(
                    l2=steps.l2 / whole, l2_shared=0, done=int(each.updates[0]), epoch=0
                ),
                hyper=run.hyper._replace(lr=float(each.rates[0])),
                losses=run.losses[:, step : step + 1],
            )
            self.one(now)
            if math.isfinite(run.losses[0, step]):
                each.updates[0] += 1
            else:
                each.ended[0] = 1
