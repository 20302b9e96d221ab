"""``pytest bench/`` from the root of the checkout, with or without ``python -m`` before it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
