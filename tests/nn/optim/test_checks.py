"""Bad parameters of optimisers and schedules: one clear error, which names them."""

import pytest

from fastkb.nn.optim import checks as validation


@pytest.mark.parametrize("betas", [(0, 0.5), [0, 0.5]])
def test_betas(betas):
    assert validation.check_betas("betas", betas) == (0.0, 0.5)


@pytest.mark.parametrize("betas", [0.9, (0.9,), (0.9, 0.9, 0.9), "ab", None, (0.9, "0.9")])
def test_betas_that_are_no_pair_of_numbers(betas):
    with pytest.raises(TypeError, match="betas"):
        validation.check_betas("betas", betas)


def test_parameters_together():
    given = {"lr": 1, "momentum": 0.5, "nesterov": True}
    assert validation.check_parameters(given) == {"lr": 1.0, "momentum": 0.5, "nesterov": True}
    with pytest.raises(ValueError, match="nesterov=True needs momentum above 0"):
        validation.check_parameters({"nesterov": True, "momentum": 0})


class _Thing:
    def rate(self):
        pass

    def hyper(self):
        pass


def test_instances():
    thing = _Thing()
    assert validation.check_schedule("then", thing) is thing
    assert validation.check_optimizer(thing) is thing
    with pytest.raises(TypeError, match=r"then must be a schedule of .* write _Thing\(…\)"):
        validation.check_schedule("then", _Thing)
    with pytest.raises(TypeError, match="optimizer must be an optimiser or the name of one, got 1"):
        validation.check_optimizer(1)


def test_losses():
    assert validation.check_losses([3.0, 2.0, 1.0], 2) == [3.0, 2.0]
    with pytest.raises(ValueError, match="epoch=4 finished epochs, got 3"):
        validation.check_losses([3.0, 2.0, 1.0], 4)


def test_shares_that_are_kept():
    assert validation.check_kept("x", 0) == 0.0
    with pytest.raises(ValueError, match="x must be a number from 0 to below 1, got 1"):
        validation.check_kept("x", 1)


def test_limits():
    assert validation.check_limit("x", None) is None
    assert validation.check_limit("x", 3) == 3.0
    with pytest.raises(ValueError, match="x must be a finite real number above 0"):
        validation.check_limit("x", 0)


def test_optimizers_of_loops_are_not_those_of_fit():
    class Looping:
        param_groups = ()

    with pytest.raises(TypeError, match=r"fit takes those of fastkb\.nn, such as nn\.Adam"):
        validation.check_optimizer(Looping())
