"""What is taken for parameters and for groups of them."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.optim.groups import check_values, read_group, read_groups


@pytest.fixture
def net():
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1), rng=0)


def test_an_iterable_is_one_group(net):
    (group,) = read_groups(net.parameters())
    assert group["params"] == list(net.parameters())
    (group,) = read_groups(tuple(net.named_parameters()))
    read = read_group(group)
    assert read["params"] == list(net.parameters())
    assert read["param_names"] == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_groups_are_copies(net):
    given = [{"params": net[0].parameters(), "lr": 0.1}, {"params": net[1].weight}]
    groups = read_groups(given)
    read = [read_group(group) for group in groups]
    assert [len(group["params"]) for group in read] == [2, 1]
    assert read[0]["lr"] == 0.1
    read[0]["lr"] = 0.2
    assert given[0]["lr"] == 0.1


def test_what_is_no_iterable_of_parameters(net):
    for wrong in (net[0].weight, {"a": net[0].weight}, 3, None):
        with pytest.raises(TypeError, match="params must be an iterable of parameters"):
            read_groups(wrong)
    with pytest.raises(ValueError, match="got an empty iterable"):
        read_groups(iter(()))
    with pytest.raises(TypeError, match="all parameters or all dicts, got Parameter at place 1"):
        read_groups([{"params": net[0].parameters()}, net[1].weight])


def test_what_is_no_group(net):
    weight = net[0].weight
    for wrong, message in (
        ([weight], "param_group must be a dict, got list"),
        ({"lr": 0.1}, r"param_group must have 'params', got \['lr'\]"),
        ({"params": {weight}}, "must be in an order that is the same each time, got a set"),
        ({"params": []}, "must have a parameter, and a group has none"),
        ({"params": [np.zeros(3)]}, r"got array\(\[0., 0., 0.\]\) at place 0"),
        ({"params": net}, r"such as net.parameters\(\), got Linear\(.*\) at place 0"),
        ({"params": [("a", weight), net[1].weight]}, "all parameters or all pairs"),
        ({"params": [weight, net[1].weight, net[0].weight]}, r"0\.weight is there twice"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            read_group(wrong)


def test_numbers_are_those_of_python():
    checked = check_values({"lr": np.float32(0.5), "betas": [0, 0.5], "nesterov": False, "own": []})
    assert checked == {"lr": 0.5, "betas": (0.0, 0.5), "nesterov": False, "own": []}
    assert type(checked["lr"]) is float
    with pytest.raises(ValueError, match="lr must be a finite real number"):
        check_values({"lr": np.inf})
