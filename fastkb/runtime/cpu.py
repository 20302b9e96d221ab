"""What the processor offers to compiled code: features, vector width, registers.

Numba compiles for the host unless ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` say otherwise; the
same two are honoured here, so that kernels and compiler agree on the machine.
"""

from __future__ import annotations

import functools
import platform
from typing import NamedTuple

import llvmlite.binding as llvm
from numba.core import config


class Cpu(NamedTuple):
    """The part of a processor that decides the shape of a micro-kernel."""

    name: str
    vector_bytes: int  # width of the widest vector register
    registers: int  # number of vector registers
    has_fma: bool  # a fused multiply-add instruction


@functools.cache
def features() -> frozenset[str]:
    """The instruction-set features that compiled code may use."""
    if config.CPU_NAME == "generic":
        return frozenset()
    if config.CPU_FEATURES is not None:
        flags = config.CPU_FEATURES.split(",")
        return frozenset(flag[1:] for flag in flags if flag.startswith("+"))
    try:
        return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)
    except RuntimeError:  # LLVM does not know this host
        return frozenset()


@functools.cache
def cpu() -> Cpu:
    """The processor that kernels are shaped for."""
    name = config.CPU_NAME or llvm.get_host_cpu_name()
    have = features()
    if platform.machine().lower() in ("arm64", "aarch64"):
        return Cpu(name, vector_bytes=16, registers=32, has_fma=True)
    if "avx512f" in have and "avx512dq" in have:
        return Cpu(name, vector_bytes=64, registers=32, has_fma=True)
    if "avx2" in have and "fma" in have:
        return Cpu(name, vector_bytes=32, registers=16, has_fma=True)
    return Cpu(name, vector_bytes=16, registers=16, has_fma=False)
