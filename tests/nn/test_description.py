"""What describes itself is made again; what anybody else may have written is refused, with a reason."""

import json

import numpy as np
import pytest

import fastkb.testing  # noqa: F401 - defines layers, which are none of fastkb.nn's
from fastkb import nn
from fastkb.nn.description import OPTIMIZERS, SCHEDULES, describe, layer_classes, make
from fastkb.nn.ops.operation import Layer

THINGS = {
    "LAYERS": [
        nn.Linear(3, 5), nn.Linear(3, 5, False, "he"), nn.Linear(1, 1, initialization="glorot"),
        nn.Identity(), nn.ReLU(), nn.LeakyReLU(), nn.LeakyReLU(0.3), nn.ELU(), nn.ELU(0.1 + 0.2),
        nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.GELU(), nn.Sign(),
        nn.Conv2d(1, 2, 3), nn.Conv2d(2, 4, (3, 2), 2, (1, 0), 1, 2, False, "he"),
        nn.MaxPool2d(2), nn.MaxPool2d((3, 2), 2, 1, 1, True), nn.AvgPool2d(2),
        nn.AvgPool2d(2, 1, 1, True, False), nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((2, 3)),
        nn.Flatten(), nn.BatchNorm2d(3), nn.BatchNorm2d(3, 0.1, None, False),
        nn.BatchNorm1d(2, momentum=0.5), nn.LayerNorm(3), nn.LayerNorm((2, 3), 0.1, False, False),
        nn.Dropout(), nn.Dropout(1), nn.Embedding(3, 2),
        nn.Conv1d(1, 2, 3), nn.Conv1d(2, 4, 3, 2, 1, 2, 2, False, "he"),
        nn.MaxPool1d(2), nn.MaxPool1d(3, 2, 1, 1, True), nn.AvgPool1d(2),
        nn.AvgPool1d(2, 1, 1, True, False),
        nn.Softmax(), nn.Softmax(2), nn.LogSoftmax(-3),
        nn.Residual(nn.Tanh()),
        nn.Residual(nn.Residual(nn.ELU(0.3), shortcut=nn.Tanh()), shortcut=nn.Conv2d(1, 2, (1, 3))),
    ],
    "SCHEDULES": [
        nn.Constant(), nn.Step(3), nn.Step(np.int64(3), 0.7), nn.Cosine(5, 1e-300), nn.WarmUp(4),
        nn.WarmUp(1, nn.WarmUp(2, nn.Cosine(9), 0.5), 1 / 3), nn.InverseScaling(2),
        nn.ReduceOnPlateau(0.1, 0, 1e-9, 1e-7),
    ],
    "OPTIMIZERS": [
        nn.SGD(), nn.SGD(0.1, 0.9, True, clip_norm=2.0), nn.Adagrad(1 / 3), nn.RMSprop(0.1, 0.2, 0.3),
        nn.Adam(betas=[0.1, 0.2], schedule="reduce_on_plateau"), nn.AdamW(weight_decay=0.0),
        nn.LAMB(schedule=nn.WarmUp(4, nn.Step(2)), clip_value=0.1),
    ],
}  # fmt: skip
# Those of fastkb.nn: other modules and tests define layers of their own.
OWN = {name: kind for name, kind in layer_classes().items() if ":" not in name}
KNOWN = {"LAYERS": OWN, "OPTIMIZERS": OPTIMIZERS, "SCHEDULES": SCHEDULES}
CASES = [(family, thing) for family, things in THINGS.items() for thing in things]


@pytest.mark.parametrize(("family", "thing"), CASES, ids=[repr(thing) for _, thing in CASES])
def test_what_is_made_is_what_was_described(family, thing):
    text = json.dumps(describe("it", thing, KNOWN[family]))
    made = make("it", json.loads(text), KNOWN[family])
    assert made == thing
    assert type(made) is type(thing)
    assert repr(made) == repr(thing).replace("np.int64(3)", "3")


@pytest.mark.parametrize("family", KNOWN)
def test_every_class_is_described(family):
    assert {type(thing) for thing in THINGS[family]} == set(KNOWN[family].values())
    public = {
        "LAYERS": [
            each
            for each in nn.__all__
            if isinstance(vars(nn)[each], type) and issubclass(vars(nn)[each], Layer)
        ],
        "OPTIMIZERS": [each for each in nn.__all__ if hasattr(getattr(nn, each), "hyper")],
        "SCHEDULES": [
            each
            for each in nn.__all__
            if hasattr(getattr(nn, each), "rate") and not hasattr(getattr(nn, each), "hyper")
        ],
    }
    assert sorted(KNOWN[family]) == sorted(public[family])


class ReLU(nn.ReLU):
    """Another one of the same name."""


class Halved:
    def rate(self, base, epoch, losses=()):
        return base / 2**epoch


@pytest.mark.parametrize(
    ("family", "thing", "message"),
    [
        (
            "LAYERS",
            ReLU(),
            "it must be one of fastkb.nn's own to be saved: .*Linear.*ReLU",
        ),
        ("LAYERS", nn.SGD(), "it must be one of fastkb.nn's own"),
        ("OPTIMIZERS", nn.Adam(schedule=Halved()), "schedule of it must be .*Step.*Halved object"),
        ("SCHEDULES", nn.WarmUp(2, then=Halved()), "then of it must be one of fastkb.nn's own"),
        (
            "OPTIMIZERS",
            nn.SGD(schedule=nn.WarmUp(2, Halved())),
            "then of schedule of it must be one of fastkb.nn's own",
        ),
    ],
)
def test_what_is_not_ours_is_not_described(family, thing, message):
    with pytest.raises(TypeError, match=message):
        describe("it", thing, KNOWN[family])


def linear(**changes):
    arguments = {"in_features": 2, "out_features": 3, "bias": True, "initialization": "torch"}
    return {"name": "Linear", "arguments": {**arguments, **changes}}


SGD = describe("it", nn.SGD(), OPTIMIZERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "it must have the entries name, arguments, got None"),
        ([], r"it must have the entries name, arguments, got \[\]"),
        ({"name": "ReLU"}, "it must have the entries name, arguments, got name"),
        ({"name": "ReLU", "arguments": {}, "more": 1}, "got name, arguments, more"),
        ({"name": 3, "arguments": {}}, "'name' of it must be of type str, got 3"),
        ({"name": "ReLU", "arguments": []}, r"'arguments' of it must be of type dict, got \[\]"),
        ({"name": "Linera", "arguments": {}}, "got 'Linera'; did you mean 'Linear'"),
        ({"name": "exec", "arguments": {}}, "the name of it must be one of .*Linear, .*got 'exec'"),
        ({"name": "__class__", "arguments": {}}, "got '__class__'"),
        ({"name": "SGD", "arguments": {}}, "the name of it must be one of .*Linear"),
        ({"name": "ReLU", "arguments": {"slope": 1}}, "it: .*unexpected keyword argument 'slope'"),
        ({"name": "Linear", "arguments": {"in_features": 2}}, "it: .*missing .*out_features"),
        ({"name": "LeakyReLU", "arguments": {}}, "must have the arguments of LeakyReLU"),
        ({"name": "ELU", "arguments": {"alpha": -1.0}}, "it: alpha must be"),
        ({"name": "ELU", "arguments": {"alpha": float("nan")}}, "it: alpha must be"),
        (linear(bias="no"), "it: bias must be True or False"),
        (linear(in_features=0), "it: in_features must be a whole number of at least 1, got 0"),
        (linear(in_features=2.5), "it: in_features must be a whole number of at least 1, got 2.5"),
        (linear(in_features=[2]), "it: in_features must be"),
        (linear(in_features={"name": "Step", "arguments": {}}), "it: in_features must be"),
        (linear(initialization={}), "it: initialization must be one of torch"),
    ],
)
def test_what_is_no_layer(text, message):
    with pytest.raises(ValueError, match=message):
        make("it", text, OWN)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0}, "it: lr must be a finite real number above 0"),
        ({"lr": None}, "it: lr must be"),
        ({"nesterov": True}, "it: nesterov=True needs momentum"),
        ({"schedule": "constant"}, "schedule of it must have the entries name"),
        ({"schedule": {"name": "Stop", "arguments": {}}}, "did you mean 'Step'"),
        (
            {"schedule": {"name": "Cosine", "arguments": {"epochs": 0}}},
            "schedule of it: epochs must",
        ),
        ({"schedule": SGD}, "the name of schedule of it must be one of Constant"),
        ({"_rule": 3}, "unexpected keyword argument '_rule'"),
        ({"momentum": [0.5]}, "it: momentum must be"),
    ],
)
def test_what_is_no_optimizer(changes, message):
    text = {"name": "SGD", "arguments": {**SGD["arguments"], **changes}}
    with pytest.raises(ValueError, match=message):
        make("it", text, OPTIMIZERS)


def test_an_argument_that_is_left_out_is_no_default():
    text = {"name": "SGD", "arguments": {k: v for k, v in SGD["arguments"].items() if k != "lr"}}
    with pytest.raises(ValueError, match=r"it must have the arguments of SGD.*lr=0.01"):
        make("it", text, OPTIMIZERS)
