import numpy as np
import pytest

from fastkb.tile.blocking import cuda_blocking
from fastkb.tile.cuda_layout import SHARED_BYTES, layout, place


@pytest.mark.parametrize("down", [1, 2, 3, 4, 7, 10])
def test_tiles_of_the_upper_triangle_are_each_visited_once(down):
    places = [place(t, down, down, 1) for t in range(down * (down + 1) // 2)]
    assert sorted(places) == [(i, j) for i in range(down) for j in range(i, down)]
    assert [place(t, 3, down, 0) for t in range(3 * down)] == [
        (i, j) for i in range(3) for j in range(down)
    ]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_table_can_be_laid_out(kind):
    dtype = np.dtype(kind)
    plan = layout(cuda_blocking(dtype.name), dtype)
    assert plan.memory * dtype.itemsize <= SHARED_BYTES
    assert plan.stride * dtype.itemsize % 16 == 0


@pytest.mark.parametrize("field", ["tile", "side", "kc"])
def test_sizes_that_cannot_be_laid_out_are_refused(field):
    sizes = cuda_blocking("float64")
    with pytest.raises(ValueError, match="do not divide"):
        layout(sizes._replace(**{field: 7}), np.dtype(np.float64))
    with pytest.raises(ValueError, match="shared memory"):
        layout(sizes._replace(tile=256, kc=16), np.dtype(np.float64))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_no_bank_of_shared_memory_is_asked_twice(kind):
    item = np.dtype(kind).itemsize
    plan = layout(cuda_blocking(np.dtype(kind).name), np.dtype(kind))
    thread = np.arange(plan.side**2)
    offsets = {  # of each thread's first element, and how many it moves at once
        "store": (thread % plan.kc * plan.stride + thread // plan.kc, 1),
        "x": (thread // plan.side * plan.vector, plan.vector),
        "y": (thread % plan.side * plan.vector, plan.vector),
        "stage": (
            thread // plan.side * plan.vector * plan.stride + thread % plan.side * plan.vector,
            plan.vector,
        ),
        "write": (thread // plan.tile * plan.stride + thread % plan.tile, 1),
        "mirror": (
            thread % plan.span * plan.stride + thread // plan.span * plan.vector,
            plan.vector,
        ),
    }
    for name, (first, count) in offsets.items():
        words = (first[:, None] * item + np.arange(0, count * item, 4)) // 4
        # 128 bytes at a time: 32, 16 or 8 threads, by the size of what each moves.
        for together in words.reshape(-1, 128 // (count * item), count * item // 4):
            wanted = np.unique(together)
            assert len(np.unique(wanted % 32)) == len(wanted), name
