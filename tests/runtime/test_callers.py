import types
import warnings

from fastkb.runtime.callers import stacklevel

SOURCE = """
import warnings
from fastkb.runtime.callers import stacklevel

def warn(depth):
    if depth:
        return warn(depth - 1)
    warnings.warn("from inside", stacklevel=stacklevel())
"""


def test_the_users_line_whatever_lies_between():
    inside = types.ModuleType("fastkb.somewhere")
    exec(compile(SOURCE, "somewhere.py", "exec"), inside.__dict__)
    for depth in (0, 3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            inside.warn(depth)
        assert caught[0].filename == __file__


def test_outside_of_the_package_it_is_the_line_itself():
    assert stacklevel() == 1
