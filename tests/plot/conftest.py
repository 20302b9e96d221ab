"""What the tests of pictures share."""

import builtins

import pytest


@pytest.fixture
def no_matplotlib(monkeypatch):
    """As where matplotlib is not installed."""
    real = builtins.__import__

    def refusing(name, *arguments, **options):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refusing)
