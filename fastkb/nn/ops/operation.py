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
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np

from fastkb.runtime import inline
from fastkb.runtime.jit import switch
from fastkb.tile.blocking import NetworkBlocking

#: Names of tensors, as PyTorch has them: weights, and intercepts, which a penalty spares.
WEIGHT, BIAS = "weight", "bias"


#: How a value stands in the buffers. In rows: one for each observation. In lanes: see
#: :mod:`fastkb.tile.lanes.windows`. An operation that takes any writes what it reads.
ROWS, LANES, ANY = "rows", "lanes", "any"


class Size(NamedTuple):
    """Elements that a row takes of the buffers."""

    weights: int
    biases: int
    transposed: int


#: A shape of which not all sizes are known before there are data; None: nothing is known.
Shape = tuple[int | None, ...] | None


def shown(shape: tuple[int | None, ...]) -> str:
    """A shape in words, with a question mark where a size is not known yet."""
    inner = ", ".join("?" if size is None else str(size) for size in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


class Piece(NamedTuple):
    """A block of a row's parameters, as its own rules read it, and the runs of the buffer that it is."""

    panel: int
    input: int  # of a convolution: rows of taps
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

    def room(self, row: Any, sizes: NetworkBlocking) -> int:
        """Elements that a thread needs for itself while it computes the gradient of a block."""
        return 0

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
        ``(row, block, gradients, values, deltas, ones, room, sizes)``: the gradient of a block of the
        row's parameters, from all observations of the batch. `room` is the thread's own, as long as
        :meth:`Storage.room` says.
    turn : callable
        ``(row, block, parameters, transposed, sizes)``: what the backward rule wants of a block's new
        parameters, such as their transpose.
    storage : Storage
    hands_on : bool
        Whether what it adds up is its input as it is, so that an activation behind it need not keep it.
    inner_products : bool
        Whether each gradient is the inner product of a column of the inputs and one of the deltas, over
        the batch: then norms bound it, and a large network's need not be looked at.
    reads, writes : {"any", "rows", "lanes"}
        How what it reads has to stand, and how what it writes stands.
    """

    name: str
    forward: Callable
    backward: Callable
    gradients: Callable
    turn: Callable
    storage: Storage = Storage()
    hands_on: bool = False
    inner_products: bool = False
    reads: str = ROWS
    writes: str = ROWS


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
        Elements of what it writes, for each observation.
    shapes : mapping of str to tuple of int
        Of its tensors, by the names WEIGHT and BIAS; those that it has.
    numbers : tuple of float
        What its rules read as ``row.numbers``: eight at most.
    window : tuple of int
        What its rules read as ``row.window``: 24 at most, such as sizes of images and of a window.
    kept : int
        Elements for each observation that the forward rule leaves for the backward rule, at
        ``row.extra``.
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
    window: tuple[int, ...] = ()
    kept: int = 0
    work: int = 0
    activation: int = 0
    parameter: float = 0.0
    from_output: bool = True
    shape: tuple[int, ...] = ()  # of what it writes, for each observation; empty: (outputs,)
    layer: int = -1  # place of the layer that its tensors are of
    lanes: bool = False  # whether what it writes stands in lanes


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
        """Of what it takes and of what it gives; None: any, and the same, or images."""
        return None

    def shape_of(self, shape: Shape) -> Shape:
        """The shape of what it gives, without the observations.

        Parameters
        ----------
        shape : tuple of int or None
            Of what it takes: (width,), or (channels, height, width) of images. Sizes that are not known
            are None, and so is a shape of which nothing is known.

        Raises
        ------
        ValueError
            If it does not take such a shape.
        """
        if self.widths is None:
            return shape
        inputs, outputs = self.widths
        if shape is not None and shape not in ((None,), (inputs,)):
            given = (
                f"{shape[0]}"
                if len(shape) == 1
                else f"images {shown(shape)}: put Flatten() between"
            )
            raise ValueError(f"takes {inputs} inputs, and gets {given}")
        return (outputs,)

    def gives(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """:meth:`shape_of` where all is known."""
        return cast("tuple[int, ...]", self.shape_of(shape))

    @property
    def takes(self) -> Shape:
        """The shape of what it takes, as far as it is known; (): any; None: that of the next layer."""
        return None if self.widths is None else (self.widths[0],)

    @property
    def smallest(self) -> tuple[int, ...]:
        """The smallest shape that it takes."""
        return (1,) if self.widths is None else (self.widths[0],)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of its tensors, by the names WEIGHT and BIAS."""
        return {}

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Its first tensors."""
        return {}

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        """What it becomes: rows of a program, of which the last one gives what the layer gives.

        Parameters
        ----------
        read : int
            The value that it takes, see :class:`Row`.
        shape : tuple of int
            Of that value, without the observations.
        following : int
            The value that the first of the rows writes; the next one's is one more, and so on.

        Returns
        -------
        list of Row
            One of them at most has tensors: those of :meth:`shapes`.
        """
        outputs = math.prod(self.gives(shape))
        work = max(math.prod(shape), outputs)
        return [Row(self.operation, (read,), outputs, self.shapes(), work=work)]


def input_shape(layers: Sequence[Layer]) -> tuple[int | None, ...]:
    """The shape that a network takes, as far as it is known, without the observations; (): any."""
    return next((layer.takes for layer in layers if layer.takes is not None), ())


def known_shape(layers: Sequence[Layer], shape: tuple[int, ...]) -> tuple[int, ...]:
    """:func:`output_shape` where all is known."""
    return cast("tuple[int, ...]", output_shape(layers, shape))


def output_shape(layers: Sequence[Layer], shape: Shape = None) -> Shape:
    """The shape that a network gives for what it takes.

    Raises
    ------
    ValueError
        If a layer does not take what stands before it, naming the layer.
    """
    for place, layer in enumerate(layers):
        try:
            shape = layer.shape_of(shape)
        except ValueError as error:
            raise ValueError(f"layer {place}, {layer!r}, {error}") from None
    return shape
