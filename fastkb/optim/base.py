"""What all optimisers have in common: parameter groups, steps, and what is saved of both."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

from fastkb.nn.optim.updates import Hyper
from fastkb.nn.program.updating import LAMB, Spans, update_spans
from fastkb.optim.groups import check_values, read_group, read_groups
from fastkb.optim.saving import Entry, read_state
from fastkb.optim.trained import Trained


class _Checked(NamedTuple):
    """A group's numbers as they were checked, and what they were checked from."""

    key: tuple[Any, ...]
    values: SimpleNamespace


class Optimizer:
    """Base of optimisers: what changes the parameters of networks by their derivatives.

    Parameters
    ----------
    params : iterable of Parameter, of pairs (name, Parameter), or of dict
        What is trained, as ``net.parameters()``. Each dict is a group: its "params", and other values for
        some of `defaults`.
    defaults : dict
        What groups have that say nothing else, by its names.

    Attributes
    ----------
    param_groups : list of dict
        The groups. Their numbers, such as "lr", may be changed between steps.
    defaults : dict

    Raises
    ------
    TypeError, ValueError
        For what is no parameter, for a parameter that is there twice, and for numbers out of their range.

    Notes
    -----
    A parameter is known by its network and its name. Layers may be added to a network later: state goes
    on where a tensor of the name and shape is.

    Examples
    --------
    >>> import numpy as np
    >>> import fastkb.nn as nn
    >>> import fastkb.nn.functional as F
    >>> import fastkb.optim as optim
    >>> X = np.linspace(-1.0, 1.0, 20)[:, None]
    >>> net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1), rng=0)
    >>> optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    >>> for step in range(100):
    ...     optimizer.zero_grad()
    ...     loss = F.mse_loss(net(X), X**2)
    ...     loss.backward()
    ...     optimizer.step()
    >>> loss.item() < 0.01
    True
    """

    #: torch's names of the three states. The first may be the momentum's, and this and the third missing.
    _names: ClassVar[tuple[str | None, str | None, str | None]] = (None, None, None)
    #: Whether steps are counted in what is saved.
    _counted = True
    #: Whether the rule tells tensors apart.
    _apart = False
    #: Whether weight decay is the rule's own, and not added to the derivatives.
    _decoupled = False

    def __init__(self, params: Any, defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        check_values(self.defaults)
        self._begin()
        for group in read_groups(params):
            self.add_param_group(group)

    def _begin(self) -> None:
        self.param_groups: list[dict[str, Any]] = []
        self._trained: list[Trained] = []
        self._checked: list[_Checked] = []
        self._key = itemgetter(*self.defaults)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for place, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {place}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

    # --- parameter groups -----------------------------------------------------------------------

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Train more parameters.

        Parameters
        ----------
        param_group : dict
            "params": a parameter or an iterable of some; and what shall differ from `defaults`.
        """
        given = read_group(param_group)
        group = {"params": given.pop("params"), **self.defaults, **given}
        named = "param_names" in group
        if any(("param_names" in each) != named for each in self.param_groups):
            raise ValueError("param_group must have names of its parameters where the others do")
        values = check_values({name: group[name] for name in self.defaults})
        parts = {id(each.network): each for each in self._trained}
        for parameter in group["params"]:
            known = parts.get(id(parameter._network))
            if known is not None and parameter._name in known.groups:
                raise ValueError(f"{parameter._name} is in another parameter group")
        # Nothing has been changed until here.
        group.update(values)
        place, start = len(self.param_groups), values.get("initial_accumulator_value", 0.0)
        for parameter in group["params"]:
            network = parameter._network
            if id(network) not in parts:
                parts[id(network)] = Trained(network, apart=self._apart)
                self._trained.append(parts[id(network)])
            parts[id(network)].add(parameter._name, parameter.shape, place, start)
        for network in {id(each._network) for each in group["params"]}:
            parts[network].added()
        self.param_groups.append(group)
        self._checked.append(_Checked(self._key_of(group), SimpleNamespace(**values)))

    def _key_of(self, group: Mapping[str, Any]) -> tuple[Any, ...]:
        """What is looked at in each step: whether a group is as it was."""
        return list(group["params"]), self._key(group)

    def _values(self) -> list[SimpleNamespace]:
        """The groups' numbers, checked where they have changed."""
        if len(self.param_groups) != len(self._checked):
            raise ValueError(
                f"param_groups has {len(self.param_groups)} groups, of which {len(self._checked)} are "
                "known: add one by add_param_group"
            )
        for place, group in enumerate(self.param_groups):
            params, numbers = self._checked[place].key
            if params != group["params"]:
                raise ValueError(
                    f"'params' of param_groups[{place}] must stay as they were: add others by "
                    "add_param_group"
                )
            if numbers != self._key(group):
                values = check_values({name: group[name] for name in self.defaults})
                group.update(values)
                self._checked[place] = _Checked(self._key_of(group), SimpleNamespace(**values))
        return [each.values for each in self._checked]

    # --- steps ----------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the derivatives of the parameters that are trained here.

        Parameters
        ----------
        set_to_none : bool, default True
            Whether there are none afterwards: such parameters stay as they are in a step. False: those
            that there are become 0.
        """
        for trained in self._trained:
            if set_to_none:
                trained.forget_gradients()
            else:
                trained.zero_gradients()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters that have derivatives; others stay, and so does their state.

        Parameters
        ----------
        closure : callable, optional
            Called before: it clears derivatives, computes the loss, calls its ``backward``, and gives it.

        Returns
        -------
        loss
            What `closure` gave; else None.

        Raises
        ------
        FloatingPointError
            For derivatives that are not finite, naming the first parameter. Nothing is changed.
        TypeError, ValueError
            For numbers of a group that are out of their range. Nothing is changed.
        """
        loss = None if closure is None else closure()
        values = self._values()
        todo = [trained for trained in self._trained if trained.ready()]
        for trained in todo:
            trained.check()
        for trained in todo:
            self._update(trained, values)
        return loss

    def _update(self, trained: Trained, values: list[SimpleNamespace]) -> None:
        parameters, gradients, copied = trained.parameters, trained.gradients, None
        runs = trained.runs
        for run in runs:
            own, steps = values[run.group], run.steps
            l2, factor = self._spans(own, steps)
            hyper = self._hyper(own, steps + 1)
            if l2 != 0.0 or factor != 1.0 or hyper.code == LAMB:
                # The rule changes them, and they are the user's.
                copied = trained.copied_gradients() if copied is None else copied
            used = self._uses_first(own), self._names[1] is not None, self._uses_third(own)
            update_spans(
                parameters, Spans(run.ends, l2, factor), gradients if copied is None else copied,
                trained.moments(used), hyper,
            )  # fmt: skip
            run.steps = self._after(own, steps)
            if steps == 0 and len(runs) > 1:
                trained.plan_anew()  # what begins later may now go with others
        trained.network._version += 1

    # --- the rule -------------------------------------------------------------------------------

    def _hyper(self, values: SimpleNamespace, step: int) -> Hyper:
        """The numbers of a tensor's step 1, 2, …"""
        raise NotImplementedError(f"{type(self).__name__} must define step")

    def _spans(self, values: SimpleNamespace, steps: int) -> tuple[float, float]:
        """`l2` and `factor` of :class:`fastkb.nn.program.updating.Spans`."""
        sign = -1.0 if values.maximize else 1.0
        return 0.0 if self._decoupled else sign * values.weight_decay, sign

    def _uses_first(self, values: SimpleNamespace) -> bool:
        """Whether there is a first state."""
        return self._names[0] is not None

    def _uses_third(self, values: SimpleNamespace) -> bool:
        """Whether there is a third state."""
        return False

    def _after(self, values: SimpleNamespace, steps: int) -> int:
        """The number of steps after another one, as far as the rule cares."""
        return steps + 1

    # --- what is saved --------------------------------------------------------------------------

    def _places(self) -> list[tuple[Trained, Any]]:
        """The parameters in torch's order, each with what is trained of its network."""
        for each in self._trained:
            each.check_whole()
        parts = {id(each.network): each for each in self._trained}
        return [
            (parts[id(parameter._network)], parameter)
            for group in self.param_groups
            for parameter in group["params"]
        ]

    def state_dict(self) -> dict[str, Any]:
        """What steps go on from, but for the parameters: copies, in torch's form.

        Returns
        -------
        dict
            "state": by the places of parameters, dicts of "step" and arrays such as "exp_avg";
            "param_groups": the groups, with places of parameters in "params".
        """
        state, groups, begin = {}, [], 0
        thirds = [self._uses_third(SimpleNamespace(**group)) for group in self.param_groups]
        for place, (trained, parameter) in enumerate(self._places()):
            steps, arrays = trained.kept(parameter._name)
            if not thirds[trained.groups[parameter._name]]:
                arrays = *arrays[:2], None
            entry: dict[str, Any] = {"step": steps} if self._counted else {}
            for name, array in zip(self._names, arrays, strict=True):
                if name is not None and array is not None:
                    entry[name] = array
            if steps:
                state[place] = entry
        for group in self.param_groups:
            end = begin + len(group["params"])
            packed = {name: each for name, each in group.items() if name != "params"}
            groups.append({**copy.deepcopy(packed), "params": list(range(begin, end))})
            begin = end
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave, or that of PyTorch's optimiser of the name.

        Parameters
        ----------
        state_dict : dict
            Of an optimiser with as many parameters in each group. Their names do not matter.

        Raises
        ------
        TypeError, ValueError
            For what does not fit. Nothing is changed then.
        """
        sizes = [len(group["params"]) for group in self.param_groups]
        places = self._places()
        wanted = Entry(
            self._names,
            self._counted,
            [parameter.shape for _, parameter in places],
            lambda group: self._uses_third(SimpleNamespace(**group)),
        )
        groups, kept = read_state(state_dict, wanted, sizes, tuple(self.defaults))
        for trained in self._trained:
            trained.check_whole()
        for trained in self._trained:
            trained.restore(
                {
                    parameter._name: kept[place]
                    for place, (own, parameter) in enumerate(places)
                    if own is trained and place in kept
                }
            )
        for group, saved in zip(self.param_groups, groups, strict=True):
            own = {k: v for k, v in group.items() if k in ("params", "param_names")}
            group.clear()
            group.update({**own, **saved})

    def __getstate__(self) -> dict[str, Any]:
        """Of pickles: with the networks, whose parameters these are."""
        others = {
            name: value
            for name, value in vars(self).items()
            if name not in ("param_groups", "defaults", "_trained", "_checked", "_key")
        }
        return {
            "others": others,
            "defaults": self.defaults,
            "param_groups": self.param_groups,
            "state_dict": self.state_dict(),
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state["others"])
        self.defaults = dict(state["defaults"])
        self._begin()
        for group in state["param_groups"]:
            self.add_param_group(group)
        self.load_state_dict(state["state_dict"])
