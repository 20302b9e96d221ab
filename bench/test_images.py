"""Networks of images: everybody trains and computes the same, and others do not."""

import dataclasses
import math

import numpy as np
import pytest

from bench import image_trainers, images, registry, trainers
from bench.architectures import LeNet, NormalizedDense, for_jax, from_jax, images_for_jax
from bench.images import ImageForward, ImageStep, RecordedStep
from bench.network import COMPILED, JAX, TORCH
from bench.work import Absent

EVERYBODY = [JAX, TORCH, pytest.param(COMPILED, marks=pytest.mark.slow)]
EPS = float(np.finfo(np.float32).eps)
SMALL = LeNet(side=14)  # whose dense layers take images of 2 x 2
STEP, FORWARD = ImageStep(SMALL, batch=8, steps=3), ImageForward(SMALL, batch=8)
LOOP = RecordedStep(SMALL, batch=8, steps=3)
ARCHITECTURES = {w.architecture for w in registry.IMAGES} | {SMALL}


def present(work, name):
    rival = work.rival(name)
    if isinstance(rival, Absent):
        pytest.skip(rival.reason)
    return rival


def test_names_tell_the_work_the_architecture_and_the_batch():
    names = [work.name for work in registry.works(["image"])]
    assert names == [
        "image-step-lenet-64",
        "image-step-lenet-256",
        "image-loop-lenet-64",
        "image-loop-lenet-256",
        "image-forward-lenet-64",
        "image-forward-lenet-256",
        "image-step-resnet16x2-8-64",
        "image-step-resnet16x2-28-64",
        "image-step-resnet32x3-28-64",
        "image-forward-resnet16x2-28-64",
        "image-step-norm-784-256-256-10-64",
        "image-forward-norm-784-256-256-10-64",
    ]


@pytest.mark.parametrize("name", EVERYBODY)
def test_everybody_trains_the_same(name):
    rival = present(STEP, name)
    ours, theirs = STEP.fastkb().call(), rival.call()
    # Three steps in float32, whose parameters move by 0.1 of their size at most: a hundred roundings.
    assert STEP.disagreement(ours, theirs) <= 100 * EPS / 1e-3
    (again,) = rival.call()
    for key, value in theirs[0].items():
        np.testing.assert_array_equal(again[key], value, err_msg="a second call goes on")
    assert rival.scale == STEP.fastkb().scale == 1 / 3


def test_a_loop_trains_the_same():
    assert LOOP.rivals == (TORCH,)
    ours, rival = LOOP.fastkb().call(), present(LOOP, TORCH)
    assert LOOP.disagreement(ours, rival.call()) <= 100 * EPS / 1e-3
    assert LOOP.disagreement(ours, STEP.fastkb().call()) <= 100 * EPS / 1e-3
    assert rival.scale == LOOP.fastkb().scale == 1 / 3


@pytest.mark.parametrize("name", EVERYBODY)
def test_everybody_computes_the_same_outputs(name):
    rival = present(FORWARD, name)
    ours, theirs = FORWARD.fastkb().call(), rival.call()
    assert ours.shape == theirs.shape == (8, 10)
    # Sums over up to 120 terms, layer by layer.
    assert FORWARD.disagreement(ours, theirs) <= 100 * EPS / 1e-3
    assert FORWARD.disagreement(ours, np.roll(theirs, 1, axis=0)) > 1.0
    assert FORWARD.disagreement(ours, np.full_like(theirs, np.nan)) == math.inf
    assert rival.scale == 1.0


@pytest.mark.parametrize("name", [TORCH, pytest.param(COMPILED, marks=pytest.mark.slow)])
def test_everybody_normalises_the_same(name):
    """Dense layers with batch normalisation, their parameters and running statistics."""
    architecture = NormalizedDense((12, 9, 9, 10))
    step, forward = ImageStep(architecture, batch=8, steps=3), ImageForward(architecture, batch=8)
    for work in (step, forward):
        assert JAX not in work.rivals
        assert work.disagreement(work.fastkb().call(), present(work, name).call()) <= 1.0


@pytest.mark.parametrize("name", EVERYBODY)
def test_another_training_does_not_agree(name):
    """One of fewer steps, with NaN, or without any step."""
    ours = STEP.fastkb().call()
    theirs = present(dataclasses.replace(STEP, steps=2), name).call()
    assert STEP.disagreement(ours, theirs) > 1.0
    theirs[0]["0.bias"] = np.full(6, np.nan)
    assert STEP.disagreement(ours, theirs) == math.inf
    assert STEP.disagreement(ours, [STEP.first]) > 1.0


@pytest.mark.parametrize(
    "maker",
    [
        "jax_one",
        "torch_eager",
        pytest.param("torch_compiled", marks=pytest.mark.slow),
    ],
)
def test_every_form_trains_the_same(monkeypatch, maker):
    """Whichever is the quickest."""
    pytest.importorskip(maker.partition("_")[0])
    if maker == "torch_compiled" and (reason := trainers.why_not_compiled()):
        pytest.skip(reason)
    monkeypatch.setattr(image_trainers, "fastest", lambda forms: lambda: [f() for f in forms])
    X, y = STEP.data
    job = image_trainers.Training(SMALL, X, y, STEP.batch, images.RATE, STEP.first)
    found = getattr(image_trainers, maker)(job)()
    assert len(found) >= 4
    for theirs in found:
        assert STEP.disagreement(STEP.fastkb().call(), theirs) <= 100 * EPS / 1e-3


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda each: each.title)
@pytest.mark.parametrize("channels_last", [False, True])
def test_parameters_and_images_return_from_jax_as_they_were(architecture, channels_last):
    first = architecture.fastkb(0).state_dict()
    there = for_jax(architecture, first, channels_last)
    back = from_jax(architecture, there, channels_last)
    assert list(back) == list(first)
    for name, value in first.items():
        np.testing.assert_array_equal(back[name], value)
    x = np.arange(2 * math.prod(architecture.shape)).reshape(2, *architecture.shape)
    turned = images_for_jax(x, channels_last)
    np.testing.assert_array_equal(
        np.moveaxis(turned, -1, 1) if channels_last and x.ndim > 2 else turned, x
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda each: each.title)
def test_multiply_adds_are_those_that_torch_counts(architecture):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    module, x = architecture.torch(), torch.ones(3, *architecture.shape)
    with FlopCounterMode(display=False) as forward:
        module(x)
    assert forward.get_total_flops() == 2 * 3 * sum(architecture.multiply_adds)
    with FlopCounterMode(display=False) as both:  # x needs no gradient
        module(x).sum().backward()
    products = architecture.multiply_adds
    assert both.get_total_flops() == 2 * 3 * (3 * sum(products) - products[0])


def test_bounds_are_of_the_multiply_adds(ceilings):
    c = ceilings(1e9)
    products, rate = SMALL.multiply_adds, c.flop_rate("float32", "gemm")
    assert products == (12 * 12 * 6 * 9, 4 * 4 * 16 * 6 * 9, 64 * 120, 120 * 84, 84 * 10)
    assert FORWARD.bound(c, None).seconds == 2 * 8 * sum(products) / rate
    assert STEP.bound(c, None).seconds == 2 * 8 * (3 * sum(products) - products[0]) / rate


@pytest.mark.parametrize("work", [STEP, FORWARD], ids=lambda work: work.name)
def test_a_machine_where_nothing_can_be_compiled(monkeypatch, work):
    reason = "torch.compile does not work here: No working C++ compiler found"
    monkeypatch.setattr(trainers, "why_not_compiled", lambda: reason)
    assert work.rival(COMPILED) == Absent(COMPILED, reason)


@pytest.mark.parametrize(("work", "maker"), [(STEP, "jax_one"), (FORWARD, "jax_outputs")])
def test_a_library_that_is_not_installed_is_absent(monkeypatch, work, maker):
    def missing(job):
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    monkeypatch.setattr(image_trainers, maker, missing)
    assert work.rival(JAX) == Absent(JAX, "jax is not installed")
