"""Loops over whole vectors, for values whose length is always a whole number of them.

LLVM compiles a plain loop for any length and any overlap: of a few vectors most of its time goes into
checks, a remainder that there is not, and vectors of half the size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastkb.scalar.bits import multiply_add
from fastkb.tile.vector import data_of, load_vector, splat, store_vector, vector_type

_INDEX = ir.IntType(64)


def lanes_loop(name: str, formula: Callable) -> Any:
    """An intrinsic ``(x, x_places, y, y_places, z, z_places, numbers, count)``.

    For each k below `count`, a multiple of a vector's elements:

        z[z_places + k] = formula(x[x_places + k], y[y_places + k], numbers)

    Parameters
    ----------
    name : str
        Of the intrinsic.
    formula : callable
        ``(builder, x, y, numbers)``, each a list of vectors: what is written, one for each of `z_places`.

    Notes
    -----
    x, y and z are flat arrays of one element type, places are tuples of whole numbers, and numbers are a
    tuple of floats of that type.
    """

    def typer(typing_context, x, x_places, y, y_places, z, z_places, numbers, count):
        vector = vector_type(z)
        align = z.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            data = [data_of(context, builder, signature.args[k], arguments[k]) for k in (0, 2, 4)]
            places = [cgutils.unpack_tuple(builder, arguments[k]) for k in (1, 3, 5)]
            scalars = [
                splat(builder, each, vector) for each in cgutils.unpack_tuple(builder, arguments[6])
            ]
            with cgutils.for_range_slice(
                builder, _INDEX(0), arguments[7], _INDEX(vector.count)
            ) as (k, _):
                read = [
                    [
                        load_vector(builder, array, builder.add(place, k), vector, align)
                        for place in some
                    ]
                    for array, some in zip(data[:2], places[:2], strict=True)
                ]
                written = formula(builder, *read, scalars)
                for value, place in zip(written, places[2], strict=True):
                    store_vector(builder, value, data[2], builder.add(place, k), align)
            return context.get_dummy_value()

        return (
            types.void(x, x_places, y, y_places, z, z_places, numbers, types.intp),
            codegen,
        )

    typer.__name__ = name
    return intrinsic(typer)


def _largest(builder: Any, x: list[Any], y: list[Any], numbers: list[Any]) -> list[Any]:
    """The largest, and its number; NaN counts as larger than anything."""
    value, number = x[0], numbers[0]
    for other, its in zip(x[1:], numbers[1:], strict=True):
        larger = builder.fcmp_unordered(">", other, value)
        is_number = builder.fcmp_ordered("ord", value, value)
        larger = builder.and_(larger, is_number)
        value = builder.select(larger, other, value)
        number = builder.select(larger, its, number)
    return [value, number]


def _where_equal(builder: Any, x: list[Any], y: list[Any], numbers: list[Any]) -> list[Any]:
    """For each number: x where y is that number, and zero elsewhere."""
    zero = ir.Constant(x[0].type, [0.0] * x[0].type.count)
    return [
        builder.select(builder.fcmp_ordered("==", y[0], number), x[0], zero) for number in numbers
    ]


def _same(builder: Any, x: list[Any], y: list[Any], numbers: list[Any]) -> list[Any]:
    return x


#: z = x.
copy_vectors = lanes_loop("copy_vectors", _same)
#: The largest of the x, and which of the `numbers` belongs to it: the first of equal ones.
largest_of = lanes_loop("largest_of", _largest)
#: For each of the `numbers`: x where y is that number, and zero elsewhere.
where_equal = lanes_loop("where_equal", _where_equal)


def channel_loop(name: str, formula: Callable, *, sums: bool = False) -> Any:
    """An intrinsic ``(x, x_places, y, y_places, numbers, number_places, z, z_places, sizes)``.

    Over all positions p and channels c of images, each of whose elements is a vector; `sizes` says how
    many positions and channels there are:

        z[z_places, p, c] = formula(x[x_places, p, c], y[y_places, p, c], numbers[number_places + c])

    With `sums` the vectors of z are one for each channel, and the formula gets those that are there as
    well: what it gives takes their place.

    Parameters
    ----------
    name : str
        Of the intrinsic.
    formula : callable
        ``(builder, x, y, numbers)``, or with `sums` ``(builder, x, y, numbers, z)``: lists of vectors.
    sums : bool
    """

    def typer(
        typing_context, x, x_places, y, y_places, numbers, number_places, z, z_places, sizes
    ):  # fmt: skip
        vector = vector_type(z)
        align = z.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            xs, ys, ns, zs = (
                (
                    data_of(context, builder, signature.args[k], arguments[k]),
                    cgutils.unpack_tuple(builder, arguments[k + 1]),
                )
                for k in (0, 2, 4, 6)
            )
            positions, channels = cgutils.unpack_tuple(builder, arguments[8])
            row = builder.mul(channels, _INDEX(vector.count))

            def vectors(some, distance):
                data, places = some
                return [
                    load_vector(builder, data, builder.add(place, distance), vector, align)
                    for place in places
                ]

            with cgutils.for_range(builder, positions) as outer:
                first = builder.mul(outer.index, row)
                with cgutils.for_range(builder, channels) as inner:
                    own = builder.mul(inner.index, _INDEX(vector.count))
                    here = builder.add(first, own)
                    scalars = [
                        splat(
                            builder,
                            builder.load(builder.gep(ns[0], [builder.add(place, inner.index)])),
                            vector,
                        )
                        for place in ns[1]
                    ]
                    to = own if sums else here
                    known = [vectors(zs, own)] if sums else []
                    written = formula(
                        builder, vectors(xs, here), vectors(ys, here), scalars, *known
                    )
                    for value, place in zip(written, zs[1], strict=True):
                        store_vector(builder, value, zs[0], builder.add(place, to), align)
            return context.get_dummy_value()

        return (
            types.void(x, x_places, y, y_places, numbers, number_places, z, z_places, sizes),
            codegen,
        )

    typer.__name__ = name
    return intrinsic(typer)


def _sum(builder: Any, x: list[Any], y: list[Any], numbers: list[Any], z: list[Any]) -> list[Any]:
    return [builder.fadd(z[0], x[0])]


def _squares(
    builder: Any, x: list[Any], y: list[Any], numbers: list[Any], z: list[Any]
) -> list[Any]:
    """Of the distances to a mean, which stays."""
    mean, total = z
    distance = builder.fsub(x[0], mean)
    return [mean, multiply_add(builder, distance, distance, total)]


def _normalized(builder: Any, x: list[Any], y: list[Any], numbers: list[Any]) -> list[Any]:
    """(x - mean) · scale + shift"""
    mean, scale, shift = numbers
    return [multiply_add(builder, builder.fsub(x[0], mean), scale, shift)]


def _products(
    builder: Any, x: list[Any], y: list[Any], numbers: list[Any], z: list[Any]
) -> list[Any]:
    """Σ x, and Σ x (y - mean)"""
    distance = builder.fsub(y[0], numbers[0])
    return [builder.fadd(z[0], x[0]), multiply_add(builder, x[0], distance, z[1])]


def _denormalized(builder: Any, x: list[Any], y: list[Any], numbers: list[Any]) -> list[Any]:
    """scale · (x - sum - (y - mean) · product)"""
    mean, scale, total, product = numbers
    distance = builder.fsub(y[0], mean)
    part = builder.fsub(builder.fsub(x[0], total), builder.fmul(distance, product))
    return [builder.fmul(scale, part)]


def _denormalized_more(builder: Any, x: list[Any], y: list[Any], numbers: list[Any]) -> list[Any]:
    """The same, added to the second of x."""
    (part,) = _denormalized(builder, x[:1], y, numbers)
    return [builder.fadd(x[1], part)]


#: Sums over positions, lane by lane: z ← z + x.
sum_channels = channel_loop("sum_channels", _sum, sums=True)
#: With z of a mean and a sum: the sum of squared distances of x to the mean.
square_channels = channel_loop("square_channels", _squares, sums=True)
#: z = (x - mean) · scale + shift, by channel.
normalize_channels = channel_loop("normalize_channels", _normalized)
#: With z of two sums: those of x, and of x · (y - mean).
multiply_channels = channel_loop("multiply_channels", _products, sums=True)
#: z = scale · (x - sum - (y - mean) · product), by channel.
denormalize_channels = channel_loop("denormalize_channels", _denormalized)
#: The same, added to the second of x.
denormalize_more_channels = channel_loop("denormalize_more_channels", _denormalized_more)
