"""Floor 0: compilation, threads, memory, and what the machine is.

It stands on Numba and NumPy alone; nothing else in the package compiles, starts threads or imports
``numba.cuda``.

================ ================================================================================
`jit.py`          the only place that compiles
`compiled/`       machine code: made once, and kept on disk
`cpu.py`          what the processor offers
`cuda.py`         the shim around ``numba.cuda``
`threads.py`      threads of compiled loops
`workers.py`      threads of Python that are kept
`atomics.py`      atomic integers of threads
`memory.py`       results: aligned, and checked against what is free
`pages.py`        results on pages that are used again
`stack.py`        small arrays of compiled code
`progress.py`     how far a long job is
`callers.py`      the line that a warning points to
`hooks.py`        the calls upwards
================ ================================================================================

Begin with `jit.py`, then `threads.py`.
"""

from numba import prange

from fastkb.runtime.jit import inline, jit, matrix, vector

__all__ = ["inline", "jit", "matrix", "prange", "vector"]
