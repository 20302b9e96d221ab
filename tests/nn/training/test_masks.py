"""Seeds of masks: of each member, of each optimiser, the same in any company."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.training import members as members_module
from fastkb.nn.training.masks import mask_seeds

KEY = np.array([1, 2, 3, 2**32 - 1], np.uint32)


def test_members_have_seeds_of_their_own_in_any_company():
    seeds = mask_seeds(KEY, 0, 0, 1000)
    assert seeds.dtype == np.int64
    assert len(set(seeds.tolist())) == 1000
    np.testing.assert_array_equal(mask_seeds(KEY, 0, 7, 5), seeds[7:12])


def test_keys_and_epochs_have_seeds_of_their_own():
    found = [mask_seeds(KEY, epoch, 0, 3) for epoch in (0, 1, 2, 2**32 - 1)]
    found += [mask_seeds(KEY + np.uint32(place), 0, 0, 3) for place in (1, 2)]
    assert len(set(np.concatenate(found).tolist())) == 3 * len(found)
    assert mask_seeds(KEY, 2**40, 0, 1).shape == (1,)


def test_each_member_is_trained_with_its_seed(monkeypatch):
    """With another seed each has other parameters; the first one's do not depend on the second one's."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def states():
        ensemble = nn.bootstrap_fit(network, X, y, n_resamples=3, epochs=2, rng=0)
        return [ensemble.state_dict(b)["0.weight"] for b in range(3)]

    before = states()
    for other in range(3):
        change = np.arange(3) == other
        monkeypatch.setattr(
            members_module, "mask_seeds", lambda *a, change=change: mask_seeds(*a) ^ change
        )
        for b, (one, two) in enumerate(zip(before, states(), strict=True)):
            assert np.array_equal(one, two) == (b != other)


@pytest.mark.parametrize("count", [0, 1])
def test_there_may_be_few(count):
    assert mask_seeds(KEY, 3, 4, count).shape == (count,)
