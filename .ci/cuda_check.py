"""Compile every CUDA kernel to machine code without a device, and compare what it needs with limits.

The kernels and their limits stand in ``tests/cuda_kernels.py``. A row is printed for each as it is done:
registers, shared memory, spills. None may spill or use a stack, and none for float32 may hold an
instruction of double precision.

    python .ci/cuda_check.py                    for compute capability 9.0
    python .ci/cuda_check.py sm_80 sm_120       for others
    python .ci/cuda_check.py --install          installs the extra cuda-check first (about 1 GB)
    python .ci/cuda_check.py --seconds 240      breaks off what has not ended by then, and says so

Where the compilers are not there, nothing is checked, and the last line says so.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOUBLE = re.compile(r"\.f64|\.b64\s+%fd")


class Needs(NamedTuple):
    """What the assembler says of a kernel."""

    registers: int
    shared: int
    spilled: int  # bytes, of the stack too
    double: bool  # whether it has instructions of double precision
    kernel: bool  # whether it is a kernel, and no function for others to call


def registry():
    """The module ``tests/cuda_kernels.py``."""
    place = ROOT / "tests" / "cuda_kernels.py"
    spec = importlib.util.spec_from_file_location("cuda_kernels", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assembler():
    """The path of ptxas, from its wheel or from the path; None if there is none."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("nvidia-cuda-nvcc") or []:
            if file.name in ("ptxas", "ptxas.exe"):
                return str(file.locate())
    return shutil.which("ptxas")


def why_not():
    """What is missing here to compile kernels; empty if nothing is."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
        return "the simulator does not compile (NUMBA_ENABLE_CUDASIM is set)"
    if importlib.util.find_spec("numba_cuda") is None:
        return "the package numba-cuda is not installed"
    if assembler() is None:
        return "there is no ptxas: the package nvidia-cuda-nvcc is not installed"
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError, OSError) as error:
        reason = str(error).partition(":")[0]
        return f"NVIDIA's runtime compiler does not load ({reason}): numba-cuda[cu13] brings it"
    return ""


def needs(ptx, report):
    """What a kernel needs, read off its PTX and the assembler's report on it."""
    registers = [int(found) for found in re.findall(r"Used (\d+) registers", report)]
    shared = [int(found) for found in re.findall(r"(\d+) bytes smem", report)]
    spilled = re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", report)
    return Needs(
        registers=max(registers, default=0),
        shared=max(shared, default=0),
        spilled=max(map(int, spilled), default=0),
        double=bool(DOUBLE.search(ptx)),
        kernel=".entry" in ptx,
    )


def problems(entry, found):
    """What is not as the registry says, in words."""
    said = []
    if not found.kernel:
        said.append("is no kernel")
    if not 0 < found.registers <= entry.registers:
        said.append(f"{found.registers} registers, expected at most {entry.registers}")
    if found.shared > entry.shared:
        said.append(f"{found.shared} bytes of shared memory, expected at most {entry.shared}")
    if found.spilled:
        said.append(f"spills {found.spilled} bytes")
    if found.double and entry.kind != "float64":
        said.append("double precision in float32")
    return said


def build(entry, architecture):
    """Compile one kernel for an architecture such as "sm_90"."""
    from numba.cuda import dispatcher

    from fastkb.runtime import cuda as runtime

    capability = int(architecture.removeprefix("sm_"))
    version = divmod(capability, 10)
    # Device functions ask the device which code they are for.
    device = type("Device", (), {"compute_capability": version})
    before, dispatcher.get_current_device = dispatcher.get_current_device, lambda: device
    try:
        kernel = entry.make()
        ptx, _ = runtime.module().compile(
            kernel.py_func,
            entry.signature,
            device=False,
            abi="numba",
            cc=version,
            output="ptx",
            launch_bounds=kernel.targetoptions["launch_bounds"],
        )
    finally:
        dispatcher.get_current_device = before
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        command = [assembler(), f"-arch={architecture}", "-v", str(source), "-o", f"{source}.cubin"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ptxas: {done.stderr}")
    return needs(ptx, done.stderr)


def _build_one(number, architecture):
    """In a process of its own: an exception comes back as its text."""
    entry = registry().entries()[number]
    try:
        return build(entry, architecture), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def check(architecture, until):
    """Compile all; how many were done, how many there are, and the failures' names."""
    entries = registry().entries()
    print(f"{architecture}: {len(entries)} kernels")
    print(f"{'kernel':<46} {'type':<8} {'registers':>9} {'shared':>7} {'spilled':>8}")
    failed, done = [], 0
    pool = ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn"))
    try:
        waiting = {pool.submit(_build_one, i, architecture): i for i in range(len(entries))}
        for future in as_completed(waiting, timeout=max(0.0, until - time.monotonic())):
            entry, (found, error) = entries[waiting[future]], future.result()
            said = [error] if found is None else problems(entry, found)
            numbers = ("-",) * 3 if found is None else found[:3]
            row = (
                f"{entry.name:<46} {entry.kind:<8} {numbers[0]:>9} {numbers[1]:>7} {numbers[2]:>8}"
            )
            print(row + "".join(f"  FAILED: {what}" for what in said), flush=True)
            done += 1
            if said:
                failed.append(f"{entry.name} {entry.kind}")
    except TimeoutError:
        pass
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return done, len(entries), failed


def install(until):
    """Install the compilers beside the package; why that failed, or nothing."""
    command = [sys.executable, *["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]]
    try:
        done = subprocess.run(
            [*command, "--only-binary", "numba-cuda,nvidia-cuda-nvcc", f"{ROOT}[cuda-check]"],
            capture_output=True,
            text=True,
            check=False,
            timeout=max(0.0, until - time.monotonic()),
        )
    except subprocess.TimeoutExpired:
        return "its packages could not be installed in the time given"
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return (errors or ["pip failed"])[-1] if done.returncode else ""


def main():
    """Check the architectures asked for; 1 if a kernel is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("architectures", nargs="*", default=["sm_90"], metavar="sm_NN")
    parser.add_argument("--install", action="store_true", help="install the compilers first")
    parser.add_argument("--seconds", type=float, default=3600.0, help="at most so long")
    given = parser.parse_args()
    until = time.monotonic() + given.seconds
    reason = install(until) if given.install else ""
    reason = reason or why_not()
    if reason:
        print(f"skipped: CUDA kernels were not compiled: {reason}")
        return 0
    bad = []
    for architecture in given.architectures:
        done, count, failed = check(architecture, until)
        bad += failed
        word = "FAILED" if failed else "ran" if done == count else "skipped"
        late = "" if done == count else "; the rest would take too long here"
        print(f"{word}: {done} of {count} CUDA kernels compiled for {architecture}{late}")
        for name in failed:
            print(f"  {name}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
