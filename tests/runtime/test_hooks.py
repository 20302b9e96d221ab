import pytest

from fastkb.runtime.hooks import HOOKS, hook


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_leads_to_a_function_of_its_name(name):
    assert callable(hook(name))
    assert hook(name).__name__ == name


def test_other_names_have_no_hook():
    with pytest.raises(KeyError):
        hook("plot_everything")
