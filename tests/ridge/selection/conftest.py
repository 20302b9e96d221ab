"""What the tests of this folder share."""

import pytest

from fastkb.runtime.threads import limit_blas


@pytest.fixture(autouse=True)
def one_thread():
    """As in a sweep: eigenvectors on several threads wait for each other on a busy machine."""
    with limit_blas():
        yield
