"""What the processor is said to offer."""

import pytest

from fastkb.runtime import cpu as module


@pytest.fixture
def described(monkeypatch):
    def describe(machine, features):
        monkeypatch.setattr(module.platform, "machine", lambda: machine)
        monkeypatch.setattr(module, "features", lambda: frozenset(features))
        return module.cpu.__wrapped__()

    return describe


@pytest.mark.parametrize(
    ("machine", "features", "expected"),
    [
        ("x86_64", {"avx2", "fma", "avx512f", "avx512dq"}, (64, 32, True)),
        ("x86_64", {"avx2", "fma", "avx512f"}, (32, 16, True)),
        ("AMD64", {"avx", "avx2", "fma"}, (32, 16, True)),
        ("x86_64", {"avx2"}, (16, 16, False)),
        ("x86_64", set(), (16, 16, False)),
        ("arm64", {"neon"}, (16, 32, True)),
        ("aarch64", set(), (16, 32, True)),
    ],
)
def test_shapes(described, machine, features, expected):
    host = described(machine, features)
    assert (host.vector_bytes, host.registers, host.has_fma) == expected


def test_the_users_choice_is_honoured(monkeypatch):
    monkeypatch.setattr(module.config, "CPU_FEATURES", "+avx,+avx2,-fma,+sse4.2")
    assert module.features.__wrapped__() == {"avx", "avx2", "sse4.2"}
    monkeypatch.setattr(module.config, "CPU_NAME", "generic")
    assert module.features.__wrapped__() == frozenset()
