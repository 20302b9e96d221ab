"""What fastkb runs on: the text of ``fastkb info``."""

from __future__ import annotations

import os

from fastkb._version import __version__


def describe() -> dict[str, str]:
    """Version, processor, threads, BLAS, cache folder and CUDA state, in words."""
    import llvmlite
    import numba
    import numpy
    import scipy
    import sklearn

    from fastkb.runtime.compiled.cache import cache_folder
    from fastkb.runtime.cpu import cpu, features
    from fastkb.runtime.threads import blas_libraries, layer, load_tbb, n_threads
    from fastkb.tile.blocking import blocking

    host = cpu()
    known = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl", "neon", "sve")
    sizes = {name: blocking(name) for name in ("float64", "float32")}
    folder = cache_folder()
    return {
        "fastkb": __version__,
        "numba": f"{numba.__version__} (llvmlite {llvmlite.__version__})",
        "numpy, scipy": f"{numpy.__version__}, {scipy.__version__}",
        "scikit-learn": sklearn.__version__,
        "processor": f"{host.name}, {os.cpu_count()} cores",
        "features in use": " ".join(name for name in known if name in features()) or "none known",
        "vector width": f"{host.vector_bytes * 8} bits, {host.registers} registers",
        "micro-kernel": ", ".join(f"{s.mr} x {s.nr} {name}" for name, s in sizes.items()),
        "threading layer": f"{layer()}, {n_threads()} threads",
        "tbb library": load_tbb() or "not found",
        "BLAS": "; ".join(blas_libraries()) or "not found",
        "cache folder": str(folder) if folder else "none is writable: compiled anew each time",
        "CUDA": _cuda_state(),
    }


def _cuda_state() -> str:
    from fastkb.runtime import cuda

    return cuda.state()
