"""Slow, plain NumPy oracles: obviously right, and importing nothing else of fastkb."""
