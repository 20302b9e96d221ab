"""The micro-kernels of windows: sums of products with a vector of observations on one side, or on both.

They stand beside :mod:`fastkb.tile.micro_kernel`, whose b is a panel of columns: here each column is one
vector, at any distance from the next, and terms come in runs.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastkb.scalar.bits import multiply_add
from fastkb.tile.blocking import blocking
from fastkb.tile.vector import data_of, load_vector, splat, store_vector, vector_type

_INDEX = ir.IntType(64)

#: What the sums of a micro-tile start from: nothing, what stands at their place, a number for each row.
FROM_ZERO, FROM_THERE, FROM_BASE = 0, 1, 2

#: Columns of a micro-tile, at most.
ACROSS = 3

# Rows of a micro-tile, as shares of the blocking's.
_SHARES = (1.0, 0.75, 0.5)

_ARGUMENTS = (
    "a", "a_start", "a_row", "a_run", "a_step", "b", "b_start", "b_column", "b_run", "b_step", "runs",
    "depth", "first", "base", "base_start", "c", "c_start", "c_row", "c_column", "used", "height",
    "across",
)  # fmt: skip


def heights(mr: int) -> list[int]:
    """Rows that a micro-tile may have, of the blocking's."""
    return [max(1, int(share * mr)) for share in _SHARES]


class _Tile:
    """Emits a micro-tile of given size: all of the sums are in vector registers.

    Parameters
    ----------
    builder, given, data
        The arguments by their names, and the addresses of those that are arrays.
    vector : llvmlite.ir.VectorType
    align : int
        Bytes.
    size : (int, int)
        Rows and columns.
    by_lanes : bool
    """

    def __init__(
        self, builder: Any, given: Any, data: Any, vector: Any, align: int,
        size: tuple[int, int], by_lanes: bool,
    ) -> None:  # fmt: skip
        self._builder, self._given, self._data = builder, given, data
        self._vector, self._align, self._by_lanes = vector, align, by_lanes
        self._rows, self._across = size
        self._tile = [(i, j) for i in range(self._rows) for j in range(self._across)]

    def _at(self, start: Any, *distances: tuple[str, Any]) -> Any:
        for stride, count in distances:
            start = self._builder.add(start, self._builder.mul(self._given[stride], count))
        return start

    def _load(self, name: str, place: Any) -> Any:
        return load_vector(self._builder, self._data[name], place, self._vector, self._align)

    def _number(self, name: str, place: Any) -> Any:
        found = self._builder.load(self._builder.gep(self._data[name], [place]))
        return splat(self._builder, found, self._vector)

    def _place(self, i: int, j: int) -> Any:
        return self._at(self._given["c_start"], ("c_row", _INDEX(i)), ("c_column", _INDEX(j)))

    def _firsts(self) -> list[Any]:
        """What the sums start from."""
        builder, given = self._builder, self._given
        before = builder.block
        there, base, check = (builder.append_basic_block() for _ in range(3))
        kinds = builder.switch(given["first"], check)
        kinds.add_case(_INDEX(FROM_THERE), there)
        kinds.add_case(_INDEX(FROM_BASE), base)
        builder.position_at_end(there)
        theirs = [self._load("c", self._place(i, j)) for i, j in self._tile]
        builder.branch(check)
        builder.position_at_end(base)
        places = [builder.add(given["base_start"], _INDEX(i)) for i in range(self._rows)]
        numbers = [self._number("base", place) for place in places]
        builder.branch(check)
        builder.position_at_end(check)
        zero = ir.Constant(self._vector, [0.0] * self._vector.count)
        firsts = []
        for one, (i, _) in zip(theirs, self._tile, strict=True):
            start = builder.phi(self._vector)
            for value, block in ((zero, before), (one, there), (numbers[i], base)):
                start.add_incoming(value, block)
            firsts.append(start)
        return firsts

    def _products(self, sums: list[Any], a_run: Any, b_run: Any, k: Any) -> list[Any]:
        """The sums with one term more."""
        a_term, b_term = self._at(a_run, ("a_step", k)), self._at(b_run, ("b_step", k))
        columns = [
            self._load("b", self._at(b_term, ("b_column", _INDEX(j)))) for j in range(self._across)
        ]
        results: list[Any] = []
        for i in range(self._rows):
            read = self._load if self._by_lanes else self._number
            row = read("a", self._at(a_term, ("a_row", _INDEX(i))))
            for column in columns:
                results.append(multiply_add(self._builder, row, column, sums[len(results)]))
        return results

    def emit(self) -> None:
        """The whole: starts, runs of terms, and what is written."""
        builder, given = self._builder, self._given
        zero = ir.Constant(self._vector, [0.0] * self._vector.count)
        # Sums by lanes are added to what is there in the end: then the memory is not waited for.
        firsts = [zero for _ in self._tile] if self._by_lanes else self._firsts()
        check = builder.block
        run, term, end, after = (builder.append_basic_block() for _ in range(4))
        some = builder.and_(
            builder.icmp_signed("<", _INDEX(0), given["runs"]),
            builder.icmp_signed("<", _INDEX(0), given["depth"]),
        )
        builder.cbranch(some, run, after)

        builder.position_at_end(run)
        r = builder.phi(_INDEX)
        r.add_incoming(_INDEX(0), check)
        outer = [builder.phi(self._vector) for _ in firsts]
        a_run, b_run = (self._at(given[f"{one}_start"], (f"{one}_run", r)) for one in "ab")
        builder.branch(term)

        builder.position_at_end(term)
        k = builder.phi(_INDEX)
        k.add_incoming(_INDEX(0), run)
        inner = [builder.phi(self._vector) for _ in firsts]
        results = self._products(inner, a_run, b_run, k)
        following = builder.add(k, _INDEX(1))
        k.add_incoming(following, term)
        builder.cbranch(builder.icmp_signed("<", following, given["depth"]), term, end)

        builder.position_at_end(end)
        further = builder.add(r, _INDEX(1))
        r.add_incoming(further, end)
        builder.cbranch(builder.icmp_signed("<", further, given["runs"]), run, after)
        for each in zip(inner, outer, firsts, results, strict=True):
            one, whole, start, result = each
            one.add_incoming(whole, run)
            one.add_incoming(result, term)
            whole.add_incoming(start, check)
            whole.add_incoming(result, end)

        builder.position_at_end(after)
        lasts = []
        for start, result in zip(firsts, results, strict=True):
            last = builder.phi(self._vector)
            last.add_incoming(start, check)
            last.add_incoming(result, end)
            lasts.append(last)
        self._write(self._added(lasts) if self._by_lanes else lasts)

    def _added(self, lasts: list[Any]) -> list[Any]:
        """With what is there, if the sums start from it."""
        builder, before = self._builder, self._builder.block
        there, done = (builder.append_basic_block() for _ in range(2))
        starts = builder.icmp_signed("==", self._given["first"], _INDEX(FROM_THERE))
        builder.cbranch(starts, there, done)
        builder.position_at_end(there)
        totals = [
            builder.fadd(last, self._load("c", self._place(i, j)))
            for last, (i, j) in zip(lasts, self._tile, strict=True)
        ]
        builder.branch(done)
        builder.position_at_end(done)
        found = []
        for last, total in zip(lasts, totals, strict=True):
            value = builder.phi(self._vector)
            value.add_incoming(last, before)
            value.add_incoming(total, there)
            found.append(value)
        return found

    def _write(self, lasts: list[Any]) -> None:
        """The first rows, as many as are used."""
        builder = self._builder
        done = builder.append_basic_block()
        for i in range(self._rows):
            if i > 0:
                write = builder.append_basic_block()
                more = builder.icmp_signed("<", _INDEX(i), self._given["used"])
                builder.cbranch(more, write, done)
                builder.position_at_end(write)
            for j in range(self._across):
                last = lasts[i * self._across + j]
                store_vector(builder, last, self._data["c"], self._place(i, j), self._align)
        builder.branch(done)
        builder.position_at_end(done)


def _window_kernel(name: str, *, by_lanes: bool) -> Any:
    """A micro-kernel: sums of products over runs of terms.

    An intrinsic ``(a, a_start, a_row, a_run, a_step, b, b_start, b_column, b_run, b_step, runs, depth,
    first, base, base_start, c, c_start, c_row, c_column, used, height, across)``:

        c[i, j] = first ⊕ Σ over runs r and terms k of a[i, r, k] · b[j, r, k]

    for `height` rows i, one of :func:`heights`, and `across` columns j, :data:`ACROSS` at most. Each
    c[i, j] and b[j, r, k] is a vector. Element [i, r, k] of a stands at a_start + i·a_row + r·a_run +
    k·a_step, that of b at b_start + j·b_column + r·b_run + k·b_step, c[i, j] at c_start + i·c_row +
    j·c_column, base[i] at base_start + i. `first` is one of the constants above, not FROM_BASE with
    `by_lanes`. The first `used` rows of c are written; what sums start from is read for all rows.

    Parameters
    ----------
    name : str
        Of the intrinsic.
    by_lanes : bool
        Whether the elements of a are vectors too, whose lanes are added up apart; else they are numbers.
    """

    def typer(
        typing_context, a, a_start, a_row, a_run, a_step, b, b_start, b_column, b_run, b_step, runs,
        depth, first, base, base_start, c, c_start, c_row, c_column, used, height, across,
    ):  # fmt: skip
        vector = vector_type(c)
        align, mr = c.dtype.bitwidth // 8, blocking(str(c.dtype)).mr
        sizes = [(rows, columns) for rows in heights(mr) for columns in range(ACROSS, 0, -1)]

        def codegen(context, builder, signature, arguments):
            given = dict(zip(_ARGUMENTS, arguments, strict=True))
            data = {
                k: data_of(context, builder, signature.args[_ARGUMENTS.index(k)], given[k])
                for k in ("a", "b", "base", "c")
            }
            for rows, columns in sizes:
                wanted = builder.and_(
                    builder.icmp_signed("==", _INDEX(rows), given["height"]),
                    builder.icmp_signed("==", _INDEX(columns), given["across"]),
                )
                with builder.if_then(wanted):
                    size = rows, columns
                    _Tile(builder, given, data, vector, align, size, by_lanes).emit()
            return context.get_dummy_value()

        index = types.intp
        signature = types.void(a, *[index] * 4, b, *[index] * 7, base, index, c, *[index] * 6)
        return signature, codegen

    typer.__name__ = name
    return intrinsic(typer)


#: Numbers times vectors: what a convolution gives.
numbers_by_vectors = _window_kernel("numbers_by_vectors", by_lanes=False)
#: Vectors times vectors: the gradient of its weights.
vectors_by_vectors = _window_kernel("vectors_by_vectors", by_lanes=True)
