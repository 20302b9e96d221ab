"""``python -m fastkb`` is the ``fastkb`` command."""

import sys

from fastkb.cli import main

if __name__ == "__main__":
    sys.exit(main())
