"""``python -m bench gpu``: what runs on a GPU, checked against the CPU first and then timed by events.

Rows come one by one and are kept as they come, so that a run which is cut short has kept what it knows.
Each row has a prediction, from its bytes, gathers and multiply-adds over the rates of a device: those
that the maker states before a device was there, and those that the run has measured afterwards.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.gpu_works import WORKS, GpuWork, Needs
from bench.kept import RESULTS
from fastkb.runtime import cuda as runtime

cuda = runtime.module()

_PREFIX = "device-"
_FEWEST, _MOST = 5, 50  # timed calls of one contender
_SHARE = 0.1  # of the minutes, for one row at most


class Rates(NamedTuple):
    """What a device does in a second."""

    name: str
    bytes: float  # read or written in device memory
    gathers: float  # random reads of four bytes within the second-level cache
    multiply_adds: float  # of float32

    def seconds(self, needs: Needs) -> float:
        """The least time for a work: that of its scarcest resource."""
        return max(
            needs.bytes / self.bytes,
            needs.gathers / self.gathers,
            needs.multiply_adds / self.multiply_adds,
        )


#: The data sheet's bandwidth and float32 rate. It states no rate of gathers: a sector of 32 bytes for
#: each, at 5.5 TB/s from the second-level cache, is assumed.
H200 = Rates("NVIDIA H200", 4.8e12, 5.5e12 / 32, 67e12 / 2)


def gpu(minutes: float = 6.0, save: bool = False, predict: bool = False) -> int:
    """Run all rows, or print what is predicted; the exit status is 1 if a result disagreed."""
    if predict:
        print(table())
        return 0
    runtime.load()
    kept: dict[str, Any] = {"device": _device(), "date": f"{datetime.date.today()}", "rows": {}}
    rates = measured_rates(kept["device"]["name"])
    kept["rates"] = rates._asdict()
    agreed = True
    for row in rows(WORKS, rates, time.perf_counter() + 60.0 * minutes, minutes):
        agreed &= row["disagreement"] <= 1.0
        kept["rows"][row["name"]] = row
        print(in_words(row), flush=True)
        if save:
            _write(kept)
    return 0 if agreed else 1


def rows(
    works: Sequence[GpuWork], rates: Rates, end: float, minutes: float
) -> Iterator[dict[str, Any]]:
    """The figures of one work after the other, until the time is over."""
    for work in works:
        if time.perf_counter() >= end:
            return
        disagreement = work.disagreement()
        row: dict[str, Any] = {
            "name": work.name,
            "title": work.title,
            "predicted": rates.seconds(work.needs),
            "disagreement": disagreement,
            "seconds": {},
            "absent": {},
        }
        if disagreement <= 1.0:
            for name, make in {"fastkb": work.fastkb, **work.rivals()}.items():
                try:
                    row["seconds"][name] = timed(make(), 60.0 * minutes * _SHARE)
                except ImportError as error:
                    row["absent"][name] = f"{error.name} is not installed"
                except Exception as error:  # of a rival; fastkb's own ends the run
                    if name == "fastkb":
                        raise
                    row["absent"][name] = f"{type(error).__name__}: {error}"[:200]
        yield row


def timed(call: Callable[[], Any], budget: float) -> list[float]:
    """Seconds of some calls on the device, by events before and after; the first call is not timed."""
    call()
    cuda.synchronize()
    found: list[float] = []
    start = time.perf_counter()
    while len(found) < _FEWEST or (len(found) < _MOST and time.perf_counter() - start < budget / 4):
        before, after = cuda.event(), cuda.event()
        before.record()
        result = call()
        after.record()
        after.synchronize()
        found.append(before.elapsed_time(after) / 1e3)
        del result
    return found


def in_words(row: dict[str, Any]) -> str:
    """One row in one line."""
    if row["disagreement"] > 1.0:
        return f"{row['name']:36} DISAGREES with the CPU by {row['disagreement']:.3g} tolerances"
    ours = float(np.median(row["seconds"]["fastkb"]))
    parts = [f"{row['name']:36} {ours * 1e3:10.3f} ms, predicted {row['predicted'] * 1e3:.3f}"]
    for name, seconds in row["seconds"].items():
        if name != "fastkb":
            parts.append(f"{name} {float(np.median(seconds)) / ours:.1f} x")
    parts += [f"{name} absent ({reason})" for name, reason in row["absent"].items()]
    return ", ".join(parts)


# --- rates of the device --------------------------------------------------------------------------

_THREADS = 256
_BLOCKS = 4096
_ELEMENTS = 2**28
_TABLE = 2**20


def _fill(out, number):
    for i in range(cuda.grid(1), out.shape[0], cuda.gridsize(1)):
        out[i] = number


def _gather(table, out, steps):
    """Each thread reads at places of its own, by a linear congruence, and adds up."""
    place = np.uint64(cuda.grid(1))  # Numba's product of two 32-bit numbers has 64 bits
    total = np.float32(0.0)
    mask = np.uint64(table.shape[0] - 1)
    for _ in range(steps):
        place = place * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        total += table[(place >> np.uint64(33)) & mask]
    out[cuda.grid(1)] = total


def _multiply(out, steps):
    """Eight sums that do not wait for each other."""
    a = b = c = d = e = f = g = h = np.float32(cuda.grid(1))
    x, y = np.float32(0.999), np.float32(0.001)
    for _ in range(steps):
        a, b, c, d = a * x + y, b * x + y, c * x + y, d * x + y
        e, f, g, h = e * x + y, f * x + y, g * x + y, h * x + y
    out[cuda.grid(1)] = a + b + c + d + e + f + g + h


def measured_rates(
    name: str, elements: int = _ELEMENTS, blocks: int = _BLOCKS, steps: int = 1024
) -> Rates:
    """The rates of the current device, each by a kernel that does nothing else."""
    kernels = [runtime.kernel(each, _THREADS, 1) for each in (_fill, _gather, _multiply)]
    out = cuda.device_array(elements, np.float32)
    table = cuda.to_device(np.ones(min(_TABLE, elements), np.float32))
    threads = blocks * _THREADS
    sums = cuda.device_array(threads, np.float32)

    def best(kernel: Any, *arguments: Any) -> float:
        return min(timed(lambda: runtime.launch(kernel, blocks, _THREADS, 0, *arguments), 2.0))

    return Rates(
        name,
        4.0 * elements / best(kernels[0], out, np.float32(1.0)),
        float(threads * steps) / best(kernels[1], table, sums, steps),
        float(8 * threads * steps) / best(kernels[2], sums, steps),
    )


def _device() -> dict[str, str]:
    found = cuda.get_current_device()
    name = found.name.decode() if isinstance(found.name, bytes) else str(found.name)
    driver = cuda.cudadrv.driver.driver.get_version()
    return {"name": name, "driver": ".".join(map(str, driver)), "cores": f"{os.cpu_count()}"}


# --- what is kept ---------------------------------------------------------------------------------


def _write(kept: dict[str, Any]) -> None:
    """One file for each device, which appears whole or not at all."""
    slug = re.sub(r"[^a-z0-9]+", "-", kept["device"]["name"].lower()).strip("-")
    path = RESULTS / f"{_PREFIX}{slug}.json"
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, path)


def all_devices() -> list[dict[str, Any]]:
    """The kept figures of every device."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob(f"{_PREFIX}*"))]


def table() -> str:
    """What is predicted for an H200 beside what was measured, as Markdown."""
    devices = all_devices()
    names = [f"{each['device']['name']}, {each['date']}" for each in devices] or ["measured"]
    lines = [
        f"| work | predicted, {H200.name} | {' | '.join(names)} |",
        "|---|---|" + "---|" * len(names),
    ]
    for work in WORKS:
        found = [_cell(each["rows"].get(work.name)) for each in devices] or ["not measured"]
        predicted = H200.seconds(work.needs)
        lines.append(f"| {work.title} | {predicted * 1e3:.3g} ms | {' | '.join(found)} |")
    return "\n".join(lines)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or not row["seconds"]:
        return "not measured"
    ours = float(np.median(row["seconds"]["fastkb"]))
    rivals = [
        f"{name} {float(np.median(seconds)) / ours:.1f} ×"
        for name, seconds in row["seconds"].items()
        if name != "fastkb"
    ]
    return ", ".join([f"{ours * 1e3:.3g} ms", *rivals])
