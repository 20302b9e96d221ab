"""Settings that all tests share."""

from hypothesis import HealthCheck, settings

# The same examples every time: a failure seen once is seen again. A first call compiles for
# seconds, so neither a deadline nor a slow first example says anything.
settings.register_profile(
    "fastkb",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fastkb")


def pytest_collection_modifyitems(items):
    """Slow tests come first: of several processes none is left with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
