"""What is noted down from epoch to epoch, and when it says that training is over."""

import numpy as np
import pytest

from fastkb.nn.perceptron.descent import make_descent
from fastkb.nn.perceptron.records import Records

PARAMETERS = {
    "solver": "sgd",
    "learning_rate": "constant",
    "learning_rate_init": 0.1,
    "power_t": 0.5,
    "momentum": 0.0,
    "nesterovs_momentum": True,
}


def records(early_stopping=False, verbose=False, **choice):
    model = Records()
    model.early_stopping, model.verbose = early_stopping, verbose
    model.tol, model.n_iter_no_change = 0.25, 2
    model.n_iter_ = model.t_ = 0
    model._optimizer = make_descent({**PARAMETERS, **choice}, 1)
    model._open_records()
    return model


def epochs_until_over(model, values):
    for epoch, value in enumerate(values, 1):
        model._record_loss(value, 10)
        if model.early_stopping:
            model._record_score(-value)
        if model._is_over():
            return epoch
    return None


@pytest.mark.parametrize("early_stopping", [False, True])
def test_training_is_over_after_more_epochs_without_progress_than_allowed(early_stopping):
    # Progress is a quarter at least; the third epoch without any is one too many.
    losses = [8.0, 7.0, 6.9, 6.8, 6.0, 5.75, 5.7, 5.6, 5.55, 0.0]
    model = records(early_stopping)
    assert epochs_until_over(model, losses) == 9
    assert model.n_iter_ == 9
    assert model.t_ == 90
    assert model.loss_ == 5.55
    assert model.loss_curve_ == losses[:9]
    if early_stopping:
        assert model.best_loss_ is None
        assert model.validation_scores_ == [-loss for loss in losses[:9]]
        assert model.best_validation_score_ == -5.55
    else:
        assert model.best_loss_ == 5.55
        assert model.validation_scores_ is None


@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_is_not_a_number_is_no_progress(early_stopping):
    model = records(early_stopping)
    assert epochs_until_over(model, [1.0, *[float("nan")] * 5]) == 4


def test_a_lower_rate_gives_time():
    model = records(learning_rate="adaptive", learning_rate_init=4e-6)
    # Three epochs without progress for the rate above 1e-6, and for the one below.
    assert epochs_until_over(model, [1.0] * 30) == 1 + 3 + 3
    assert model._optimizer.learning_rate == 4e-6 / 5


def test_infinite_patience():
    model = records()
    model.n_iter_no_change = np.inf
    assert epochs_until_over(model, [1.0] * 100) is None


def test_records_are_gone_on_with():
    model = records()
    assert epochs_until_over(model, [3.0, 2.0]) is None
    model._open_records()
    assert epochs_until_over(model, [2.0, 2.0, 2.0]) == 3
    assert model.loss_curve_ == [3.0, 2.0, 2.0, 2.0, 2.0]
    assert model.best_loss_ == 2.0
    model.early_stopping = True
    model._open_records()
    assert model.best_loss_ is None
    assert model.best_validation_score_ == -np.inf


def test_what_is_printed(capsys):
    model = records(early_stopping=True, verbose=True)
    assert epochs_until_over(model, [1.0] * 9) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Iteration 1, loss = 1.00000000", "Validation score: -1.000000"]
    assert lines[-1] == ("No validation score better by tol=0.25 for 2 epochs. Training ends.")
