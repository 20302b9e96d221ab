"""Floor 0: compilation, threads, memory, and what the machine is."""

from numba import prange

from fastkb.runtime.jit import inline, jit, matrix, vector

__all__ = ["inline", "jit", "matrix", "prange", "vector"]
