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


#: The largest of the x, and which of the `numbers` belongs to it: the first of equal ones.
largest_of = lanes_loop("largest_of", _largest)
#: For each of the `numbers`: x where y is that number, and zero elsewhere.
where_equal = lanes_loop("where_equal", _where_equal)
