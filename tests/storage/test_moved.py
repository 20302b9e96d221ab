import importlib
import sys

import pytest

from fastkb.storage import moved
from fastkb.storage.moved import MOVED, first_name, install


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_the_new_module(old):
    new = importlib.import_module(MOVED[old])
    assert importlib.import_module(old) is new
    assert new.__spec__.name == MOVED[old]
    assert first_name(MOVED[old]) == old


def test_names_are_moved_once():
    assert len(set(MOVED.values())) == len(MOVED)
    assert not set(MOVED) & set(MOVED.values())


def test_names_that_never_were_are_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"fastkb\.nn\.nothing"):
        importlib.import_module("fastkb.nn.nothing")
    assert first_name("fastkb.nn.nothing") == "fastkb.nn.nothing"


def test_installing_twice_changes_nothing():
    install()
    assert sum(isinstance(finder, moved._Mover) for finder in sys.meta_path) == 1
