"""How many steps and epochs a call takes, by what earlier ones have taken."""

from fastkb.nn.training.pace import Pace


def test_a_call_is_about_a_quarter_of_a_second():
    pace = Pace(10**8)  # 10 ms a step, cautiously
    assert 20 <= pace.steps(1) <= 30
    assert pace.steps(10) == pace.steps(1) // 10
    assert Pace(10**12).steps(1) == 1


def test_short_epochs_are_taken_together():
    pace = Pace(0)
    assert pace.epochs(1, 10) == 64
    assert pace.epochs(1, 10**6) == 1
    assert Pace(10**12).epochs(1, 1) == 1


def test_it_follows_what_was_measured_but_not_at_once():
    pace = Pace(10**8)
    before = pace.steps(1)
    pace.measured(1000.0, 1)  # the compiler was at work
    assert pace.steps(1) in (before // 10, before // 10 + 1)
    for _ in range(5):
        pace.measured(1e-6 * 100, 100)
    assert pace.steps(1) > 1000 * before
