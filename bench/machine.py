"""The machine that figures are taken on: what it is, how busy it is, how many threads all use."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

# Processor time that others may use before the report warns, as a fraction of all cores.
BUSY = 0.05

PACKAGES = ("fastkb", "numba", "llvmlite", "numpy", "scipy", "scikit-learn", "joblib", "torch")


def available_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def equal_threads(n: int) -> Iterator[None]:
    """Run the body with numba, BLAS, OpenMP and torch on `n` threads each."""
    import numba
    import scipy.linalg  # noqa: F401  its own BLAS must be loaded to be limited
    import sklearn.metrics.pairwise  # noqa: F401  and so must scikit-learn's OpenMP
    from threadpoolctl import threadpool_limits

    numba_before = numba.get_num_threads()
    torch = _torch()
    torch_before = torch.get_num_threads() if torch else 0
    numba.set_num_threads(n)
    if torch:
        torch.set_num_threads(n)
    try:
        with threadpool_limits(n):
            yield
    finally:
        numba.set_num_threads(numba_before)
        if torch:
            torch.set_num_threads(torch_before)


def _torch():
    try:
        import torch
    except ImportError:
        return None
    return torch


def describe(threads: int) -> dict[str, str]:
    """Processor, memory, system and versions: nothing that names the host, its users or folders."""
    from fastkb.runtime.cpu import cpu
    from fastkb.runtime.threads import blas_libraries, layer

    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "processor": _processor(),
        "instruction set": f"{cpu().name}, vectors of {cpu().vector_bytes * 8} bits",
        "cores": str(available_cores()),
        "threads": f"{threads} ({layer()})",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "BLAS": "; ".join(blas_libraries()) or "not found",
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"


def load() -> dict[str, float | None]:
    """The load average, and the fraction of processor time in use while this process sleeps."""
    try:
        average = os.getloadavg()[0]
    except (AttributeError, OSError):
        average = None
    return {"load average": average, "busy": _busy_fraction(0.5)}


def _busy_fraction(seconds: float) -> float | None:
    before = _processor_times()
    time.sleep(seconds)
    after = _processor_times()
    if before is None or after is None:
        return None
    total = after[0] - before[0]
    return (after[1] - before[1]) / total if total else 0.0


def _processor_times() -> tuple[int, int] | None:
    """All and busy time of all cores, in clock ticks (time stolen by a hypervisor is busy)."""
    try:
        fields = [int(f) for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    idle = fields[3] + fields[4]
    return sum(fields), sum(fields) - idle


def load_in_words(now: dict[str, float | None]) -> str:
    """One line about :func:`load`, with a warning if somebody else is at work."""
    average, busy = now["load average"], now["busy"]
    words = "load average " + ("unknown" if average is None else f"{average:.2f}")
    if busy is not None:
        words += f", processors {busy:.0%} busy with other work"
        if busy > BUSY:
            words += "\nWARNING: the machine is busy, and these figures are not to be quoted"
    return words


def resident_peak() -> int:
    """The most memory that this process has held at once, in bytes."""
    # Linux's ru_maxrss is no good for a child: it starts from what its parent held when it forked.
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
