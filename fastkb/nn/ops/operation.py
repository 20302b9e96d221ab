"""What an operation is: a layer's class, its rules, and how its tensors are stored.

An operation is one file of this folder. It holds the layer's class, with PyTorch's name, shapes and first
parameters, and beside it the rules: the forward rule, and below it the backward rule. The interpreter
calls the rules of an operation by a small code.

A rule is compiled into the interpreter. It gets a row of the program, which says where everything stands
(:data:`fastkb.nn.program.layout.LAYER`), and flat buffers. Of the batch it computes the observations of
a span, or of the parameters one block, so that threads can share a step.

An operation of another package is one file too: a frozen dataclass derived from :class:`Layer`, with an
:class:`Operation` of its own. An interpreter is then compiled for it, once in each process
(:func:`fastkb.nn.program.interpreter.interpreter`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastkb.runtime import inline
from fastkb.runtime.jit import switch
from fastkb.tile.blocking import NetworkBlocking

#: Names of tensors, as PyTorch has them: weights, and intercepts, which a penalty spares.
WEIGHT, BIAS = "weight", "bias"


class Size(NamedTuple):
    """Elements that a row takes of the buffers."""

    weights: int
    biases: int
    transposed: int


class Piece(NamedTuple):
    """A block of a row's parameters, as its own rules read it, and the runs of the buffer that it is."""

    panel: int
    input: int
    input_stop: int
    begin: int
    end: int
    bias_begin: int
    bias_end: int


class Storage:
    """How a row's tensors stand in the buffers: in C order, and in one block.

    A row is an element of :data:`fastkb.nn.program.layout.LAYER`. Whatever else an operation stores its
    tensors as, padding holds zeros.
    """

    def place(
        self, row: Any, shapes: Mapping[str, tuple[int, ...]], sizes: NetworkBlocking
    ) -> Size:
        """What the row takes; what its rules read of the row beside that is written there."""
        counts = (math.prod(shapes.get(name, (0,))) for name in (WEIGHT, BIAS))
        weights, biases = (-(-count // sizes.nr) * sizes.nr for count in counts)
        return Size(weights, biases, 0)

    def pieces(self, row: Any, sizes: NetworkBlocking) -> Iterator[Piece]:
        """Cut the row's parameters, the same for any number of threads."""
        begin, end, bias_end = (int(row[name]) for name in ("weights", "biases", "biases_end"))
        yield Piece(0, 0, 0, begin, end, end, bias_end)

    def put(
        self, row: Any, name: str, buffer: np.ndarray, tensor: np.ndarray, sizes: NetworkBlocking
    ) -> None:
        """Store a tensor of PyTorch's shape."""
        self.run(row, name, buffer)[: tensor.size] = tensor.ravel()

    def take(
        self, row: Any, name: str, buffer: np.ndarray, shape: Sequence[int], sizes: NetworkBlocking
    ) -> np.ndarray:
        """The tensor, of PyTorch's shape: a copy."""
        return self.run(row, name, buffer)[: math.prod(shape)].reshape(shape).copy()

    @staticmethod
    def run(row: Any, name: str, buffer: np.ndarray) -> np.ndarray:
        """The part of a buffer where a tensor of this name stands: a view."""
        ends = ("weights", "biases") if name == WEIGHT else ("biases", "biases_end")
        begin, end = (int(row[each]) for each in ends)
        return buffer[begin:end]


class Operation(NamedTuple):
    """The rules of one operation, as functions that :func:`fastkb.runtime.inline` takes.

    Attributes
    ----------
    name : str
    forward : callable
        ``(row, parameters, values, span, sizes)``: what the row adds up for some observations, at its
        place `kept`. The activation behind it is no matter of the rule's.
    backward : callable
        ``(row, parameters, transposed, values, deltas, span, sizes)``: from the row's deltas those of
        what it reads. Bit j of ``row.wanted`` says whether those of the j-th value that it reads are
        wanted at all; bit j of ``row.accumulate`` whether they are added to what is there, as where a
        value has several readers.
    gradients : callable
        ``(row, block, gradients, values, deltas, ones, sizes)``: the gradient of a block of the row's
        parameters, from all observations of the batch.
    turn : callable
        ``(row, block, parameters, transposed, sizes)``: what the backward rule wants of a block's new
        parameters, such as their transpose.
    storage : Storage
    hands_on : bool
        Whether what it adds up is its input as it is, so that an activation behind it need not keep it.
    inner_products : bool
        Whether each gradient is the inner product of a column of the inputs and one of the deltas, over
        the batch: then norms bound it, and a large network's need not be looked at.
    """

    name: str
    forward: Callable
    backward: Callable
    gradients: Callable
    turn: Callable
    storage: Storage = Storage()
    hands_on: bool = False
    inner_products: bool = False


class Rules(NamedTuple):
    """The same of a table of operations: each called with the row's code before its arguments."""

    forward: Any
    backward: Any
    gradients: Any
    turn: Any


def nothing(*arguments):
    """The rule of an operation without parameters, or without anything to turn."""


def rules_of(operations: Sequence[Operation]) -> Rules:
    """The chains of a table, in which an operation's code is its place.

    Parameters
    ----------
    operations : sequence of Operation
    """
    return Rules(
        *(
            switch(
                [inline(getattr(one, rule), references=False) for one in operations],
                references=False,
            )
            for rule in Rules._fields
        )
    )


class Row(NamedTuple):
    """A row of a program before it is laid out.

    Attributes
    ----------
    operation : Operation
    reads : tuple of int
        One or two values: 0 is the network's inputs, k + 1 what row k writes.
    outputs : int
        Width of what it writes.
    shapes : mapping of str to tuple of int
        Of its tensors, by the names WEIGHT and BIAS; those that it has.
    numbers : tuple of float
        What its rules read as ``row.numbers``: eight at most, such as the sides of a window.
    work : int
        Multiply-adds of the forward rule for one observation, about.
    activation, parameter, from_output
        The function behind it: its code (0: none), its own number, whether its derivative is computed
        from its output.
    """

    operation: Operation
    reads: tuple[int, ...]
    outputs: int
    shapes: Mapping[str, tuple[int, ...]]
    numbers: tuple[float, ...] = ()
    work: int = 0
    activation: int = 0
    parameter: float = 0.0
    from_output: bool = True


#: Layer classes by the names that files have for them: those of fastkb.nn by their own names, any other
#: with its module. Of two of one name the later one counts.
CLASSES: dict[str, type[Layer]] = {}

_OWN = __name__.removesuffix("ops.operation")


class Layer:
    """Base of all layers.

    A layer that a file can describe is a frozen dataclass, whose fields are plain numbers and texts.
    """

    operation: ClassVar[Operation]

    #: Whether :meth:`draw` calls ``rng.uniform`` alone, and hands on what it gets, or zeros.
    evenly_drawn: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = cls.__module__.startswith(_OWN)
        CLASSES[cls.__name__ if own else f"{cls.__module__}:{cls.__qualname__}"] = cls

    @property
    def widths(self) -> tuple[int, int] | None:
        """Of what it takes and of what it gives; None: any, and the same."""
        return None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of its tensors, by the names WEIGHT and BIAS."""
        return {}

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Its first tensors."""
        return {}

    def rows(self, read: int, width: int, following: int) -> list[Row]:
        """What it becomes: rows of a program, of which the last one gives what the layer gives.

        Parameters
        ----------
        read, width : int
            The value that it takes, see :class:`Row`, and its width.
        following : int
            The value that the first of the rows writes; the next one's is one more, and so on.

        Returns
        -------
        list of Row
            One of them at most has tensors: those of :meth:`shapes`.
        """
        outputs = width if self.widths is None else self.widths[1]
        return [Row(self.operation, (read,), outputs, self.shapes(), work=max(width, outputs))]
