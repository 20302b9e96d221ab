"""The one product, over parts of matrices that stand in any of the ways that rooms have."""

import functools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.runtime import jit
from fastkb.tile.blocking import blocking, network_blocking
from fastkb.tile.multiply import (
    OF_FORM,
    Operand,
    Part,
    multiply_layers,
    multiply_panels,
    multiply_rows,
)

FLOATS = ["float32", "float64"]
# nest -> its blocking, and rows of a micro-tile where they are not the blocking's
NESTS = {
    "panels": (multiply_panels, blocking, None),
    "layers": (multiply_layers, network_blocking, None),
    "rows": (multiply_rows, network_blocking, 1),
}


@functools.cache
def compiled(nest):
    multiply = NESTS[nest][0]

    @jit(cache=False, references=nest == "panels")
    def call(a, b, base, c, depth, part, from_zero, weights):
        multiply(a, b, base, c, depth, part, from_zero, weights)

    return call


def up(count, unit):
    return -(-count // unit) * unit


class Product:
    """c = base + a b, with all matrices where a layer's stand: b in panels, padded with zeros."""

    def __init__(self, nest, dtype, shape, depth, seed, packed):
        _, table, rows = NESTS[nest]
        sizes = table(dtype)
        self.nest, self.shape, self.depth = nest, shape, depth
        self.mr, self.nr = rows or sizes.mr, sizes.nr
        self.kc = sizes.kc
        self.rows, self.columns = up(shape[0], self.mr), up(shape[1], self.nr)
        rng = np.random.default_rng(seed)
        a, b, base = np.zeros((self.rows, depth)), np.zeros((depth, self.columns)), None
        a[: shape[0]] = rng.standard_normal((shape[0], depth))
        b[:, : shape[1]] = rng.standard_normal((depth, shape[1]))
        base = np.zeros((self.rows, self.columns))
        base[: shape[0], : shape[1]] = rng.standard_normal(shape)
        self.a, self.b, self.base = (array.astype(dtype) for array in (a, b, base))
        panels = self.b.reshape(depth, -1, self.nr).transpose(1, 0, 2).ravel()
        self.second = Operand(panels, 0, 0, self.nr, depth * self.nr)
        if packed:
            tiles = self.a.reshape(-1, self.mr, depth).transpose(0, 2, 1).ravel()
            self.first = Operand(tiles, 0, 1, self.mr, self.mr * depth)
        else:
            self.first = Operand(self.a.ravel(), 0, depth, 1, self.mr * depth)

    def operand(self, matrix):
        return Operand(matrix.ravel(), 0, self.columns, 0, self.nr)

    def whole(self):
        return Part(0, self.rows, 0, self.columns // self.nr, *self.shape)

    def run(self, part, into=None, base=None):
        c = np.full_like(self.base, np.nan) if into is None else into
        target = self.operand(c)
        start = target if base is None else self.operand(base)
        compiled(self.nest)(
            self.first, self.second, start, target, self.depth, part, base is None, target.data,
        )  # fmt: skip
        return target.data.reshape(c.shape)

    def check(self, found, base=None):
        n, m = self.shape
        before = np.zeros_like(self.base) if base is None else base
        a, b, before = (x.astype(np.longdouble) for x in (self.a, self.b, before))
        bound = (self.depth + 2) * np.finfo(self.a.dtype).eps * (abs(before) + abs(a) @ abs(b))
        assert (abs(found - before - a @ b) <= bound)[:n, :m].all()


side = st.integers(1, 70)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(NESTS)),
    st.sampled_from(FLOATS),
    st.tuples(side, side),
    st.sampled_from([1, 2, 31, 255, 256, 257, 600]),
    st.booleans(),
    st.booleans(),
)
def test_products(nest, dtype, shape, depth, packed, with_base):
    product = Product(nest, dtype, shape, depth, 0, packed)
    base = product.base if with_base else None
    product.check(product.run(product.whole(), base=base), base)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(NESTS)), st.sampled_from(FLOATS), st.tuples(side, side), st.data())
def test_a_part_has_the_bits_of_the_whole_and_touches_nothing_else(nest, dtype, shape, data):
    product = Product(nest, dtype, shape, 300, 1, True)
    whole = product.run(product.whole())
    tiles, panels = product.rows // product.mr, product.columns // product.nr
    top, left = data.draw(st.integers(0, tiles - 1)), data.draw(st.integers(0, panels - 1))
    bottom = data.draw(st.integers(top + 1, tiles))
    right = data.draw(st.integers(left + 1, panels))
    part = Part(top * product.mr, bottom * product.mr, left, right, *shape)
    into = np.full_like(product.base, np.nan)
    found = product.run(part, into)
    inside = np.zeros(found.shape, bool)
    inside[part.row : part.row_stop, left * product.nr : right * product.nr] = True
    n, m = shape
    real = np.zeros(found.shape, bool)
    real[:n, :m] = True
    np.testing.assert_array_equal(found[inside & real], whole[inside & real])
    assert np.isnan(found[~inside]).all()


def test_edges_of_layers_are_left_alone():
    """Where one vector holds the last panel, or half a micro-tile the last rows, no more is computed."""
    sizes = network_blocking("float64")
    shape = sizes.mr + sizes.mr // 2, sizes.nr + 1
    product = Product("layers", "float64", shape, 5, 2, False)
    found = product.run(product.whole())
    product.check(found)
    assert np.isnan(found[sizes.mr + sizes.mr // 2 :, : sizes.nr]).all()
    assert np.isnan(found[: sizes.mr, sizes.nr + sizes.width :]).all()


def test_every_form_has_its_nest():
    from fastkb.scalar.kernels import Form

    assert len(OF_FORM) == len(Form)
