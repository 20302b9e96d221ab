"""Rates of a scheduler, step by step."""

import numpy as np

from fastkb import nn, optim


def optimizer_of(*rates, name="SGD", **options):
    """An optimiser with a group for each rate."""
    layers = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in rates), rng=0)
    groups = [{"params": p, "lr": lr} for p, lr in zip(layers.parameters(), rates, strict=True)]
    return getattr(optim, name)(groups, **options)


def torch_optimizer_of(torch, *rates, name="SGD", **options):
    """The same of torch."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in rates]
    found = getattr(torch.optim, name)(groups, **options)
    found._opt_called = True  # so that it does not warn of a step that comes too early
    return found


def walk(scheduler, steps, measures=None):
    """The rates at the beginning and after each step, as they stand in the groups.

    # shape: (steps + 1, groups)
    """
    found = []
    for step in range(steps + 1):
        rates = [group["lr"] for group in scheduler.optimizer.param_groups]
        assert list(scheduler.get_last_lr()) == rates
        found.append(rates)
        if step < steps:
            scheduler.step(*([] if measures is None else [measures[step]]))
    return np.array(found)
