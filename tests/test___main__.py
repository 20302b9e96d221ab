"""``python -m fastkb``."""

import subprocess
import sys

import fastkb


def test_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "fastkb", "--version"], capture_output=True, text=True, check=True
    )
    assert fastkb.__version__ in done.stdout
