"""The machine that figures are taken on: what it is, how busy it is, how many threads all use."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

# Processor time that others may use before the report warns, as a fraction of all cores.
BUSY = 0.05

PACKAGES = (
    "fastkb",
    "numba",
    "llvmlite",
    "numpy",
    "scipy",
    "scikit-learn",
    "joblib",
    "torch",
    "arch",
    "jax",
    "tsbootstrap",
)


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
        "threads": str(threads),
        "threading layer": layer(),
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


def load_average() -> float | None:
    """Processes that ran or waited to run, over the last minute; None where nobody counts them."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


class Usage(NamedTuple):
    """Processor time so far, in seconds, of all cores together."""

    total: float
    busy: float  # a hypervisor's stolen time included
    own: float  # this process and its children that have ended


def usage() -> Usage | None:
    """How the processors have spent their time; None where the system does not tell."""
    try:
        ticks = [int(f) for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        second = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    idle = ticks[3] + ticks[4]
    return Usage(sum(ticks) / second, (sum(ticks) - idle) / second, sum(os.times()[:4]))


def others_fraction(before: Usage | None, after: Usage | None) -> float | None:
    """The fraction of all processor time between the two that others have used."""
    if before is None or after is None or after.total <= before.total:
        return None
    others = (after.busy - before.busy) - (after.own - before.own)
    return max(0.0, others / (after.total - before.total))


def busy_fraction(seconds: float = 0.5) -> float | None:
    """What others use while this process sleeps."""
    before = usage()
    time.sleep(seconds)
    return others_fraction(before, usage())


def busy_in_words(busy: Mapping[str, float | None]) -> str:
    """One line on load average and on the fractions that others used, with a warning if they did."""
    average = busy["load average before"]
    words = "load average " + ("unknown" if average is None else f"{average:.2f}")
    fractions = {
        when: value
        for when, value in busy.items()
        if when in ("before", "during") and value is not None
    }
    for when, value in fractions.items():
        words += f", other work used {value:.0%} of the processors {when}"
    if any(value > BUSY for value in fractions.values()):
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
