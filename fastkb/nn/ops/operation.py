"""What an operation is: a layer's class, its rules, and how its tensors are stored.

An operation is one file of this folder. It holds the layer's class, with PyTorch's name, shapes and first
parameters, and beside it the rules: the forward rule, and below it the backward rule. The interpreter
calls the rules of an operation by a small code.

A rule is compiled into the interpreter. It gets a row of the program, which says where everything stands
(:data:`fastkb.nn.program.layout.LAYER`), and flat buffers. Of the batch it computes the observations of
a span, or of the parameters one block, so that threads can share a step.

An operation of another package is one file too: a frozen dataclass derived from :class:`Layer`, with an
:class:`Operation` of its own. An interpreter is then compiled for it, once in each process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np

from fastkb.nn.ops.storage import Storage

#: How a value stands in the buffers. In rows, one for each observation; in lanes, see
#: :mod:`fastkb.tile.lanes.windows`; an operation that takes any writes what it reads.
ROWS, LANES, ANY = "rows", "lanes", "any"

#: How rules take bands.
ELEMENTS, WINDOWS = "elements", "windows"


#: A shape of which not all sizes are known before there are data; None: nothing is known.
Shape = tuple[int | None, ...] | None


def shown(shape: tuple[int | None, ...]) -> str:
    """A shape in words, with a question mark where a size is not known yet."""
    inner = ", ".join("?" if size is None else str(size) for size in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


class Across(NamedTuple):
    """What an operation does that needs all observations of a batch before any of them goes on.

    It reads one value. What all threads read stands at ``sizes.shared + row.shared`` of the values.

    Attributes
    ----------
    reduce : callable
        ``(row, values, deltas, span, sizes)``: of some observations, what :attr:`combine` makes
        statistics of; at ``row.extra`` of the values.
    combine : callable
        ``(row, parameters, values, deltas, sizes)``: the batch's statistics, before the forward rule.
    reduce_back, combine_back : callable
        The same of the deltas, before the backward rule; at ``row.extra`` of the deltas.
    settle : callable
        ``(row, parameters, values, sizes)``: what becomes of the row's buffers after an update.
    """

    reduce: Callable
    combine: Callable
    reduce_back: Callable
    combine_back: Callable
    settle: Callable


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
    across : Across, optional
        What it does between observations of a batch.
    closed : bool
        Whether a function behind it is a row of its own, as the backward rule reads what it gives.
    draws, independent : bool
        Whether it draws numbers in training; whether it gives the same whatever it reads, and its
        backward rule is called where it has tensors.
    bands : {"", "elements", "windows"}
        Whether its rules take a band of what stands in lanes: of both what it reads and what it writes,
        element by element; or forward of what it writes and backward of what it reads. See
        :mod:`fastkb.nn.program.bands`.
    takes_over : bool
        Whether what it writes may stand in the place of one of the values that it reads, if its factor is
        1: then the deltas are the same.
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
    across: Across | None = None
    closed: bool = False
    draws: bool = False
    independent: bool = False
    bands: str = ""
    takes_over: bool = False


def nothing(*arguments):
    """The rule of an operation without parameters, or without anything to turn."""


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
        Of its tensors, by the names WEIGHT and BIAS, or OWN; those that it has.
    numbers : tuple of float
        What its rules read as ``row.numbers``: eight at most.
    window : tuple of int
        What its rules read as ``row.window``: 24 at most, such as sizes of images and of a window.
    kept : int
        Elements for each observation that the forward rule leaves for the backward rule, at
        ``row.extra``.
    shared : int
        Elements that all observations share, see :class:`Across`.
    buffers : mapping of str to tuple of int
        Shapes of what it keeps beside its parameters, and is not trained.
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
    shared: int = 0
    buffers: Mapping[str, tuple[int, ...]] = {}
    work: int = 0
    activation: int = 0
    parameter: float = 0.0
    from_output: bool = True
    shape: tuple[int, ...] = ()  # of what it writes, for each observation; empty: (outputs,)
    layer: str = ""  # name of the layer that its tensors are of
    lanes: bool = False  # whether what it writes stands in lanes


class Node:
    """A value of a network: what a layer gives for the values that it reads.

    Attributes
    ----------
    layer : Layer or None
        None: the value is the network's input.
    reads : tuple of Node
    shape : tuple of int
        Of the value, without the observations.
    name : str
        The layer's name within the network, of which its tensors have theirs.
    settled : bool
        Whether running statistics have followed it already.
    """

    __slots__ = ("layer", "name", "reads", "settled", "shape")

    def __init__(
        self, layer: Layer | None, reads: tuple[Node, ...], shape: tuple[int, ...], name: str = ""
    ) -> None:
        self.layer, self.reads, self.shape, self.name = layer, reads, shape, name
        self.settled = False


#: Layer classes by the names that files have for them: those of fastkb.nn by their own names, any other
#: with its module. Of two of one name the later one counts.
CLASSES: dict[str, type[Layer]] = {}

_OWN = __name__.removesuffix("ops.operation")

#: What is done when a layer is called, which :mod:`fastkb.nn.recording` knows.
calls: dict[str, Callable[..., Any]] = {}


class Layer:
    """Base of all layers.

    A layer that a file can describe is a frozen dataclass, whose fields are plain numbers and texts.
    """

    operation: ClassVar[Operation]

    #: Whether a file can describe it, if it is a dataclass: not what expressions alone are made of.
    described: ClassVar[bool] = True

    #: Whether :meth:`check_batch` refuses anything.
    needs_a_batch: ClassVar[bool] = False

    #: Whether :meth:`draw` calls ``rng.uniform`` alone, and hands on what it gets, or zeros.
    evenly_drawn: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = cls.__module__.startswith(_OWN)
        if cls.described:
            CLASSES[cls.__name__ if own else f"{cls.__module__}:{cls.__qualname__}"] = cls

    def __call__(self, *values: Any) -> Any:
        """Record what a layer without parameters gives for arrays or tensors."""
        return calls["alone"](self, values)

    @property
    def parts(self) -> dict[str, Layer]:
        """The layers that it is made of, by their names within it; none of one that has rows."""
        return {}

    @property
    def widths(self) -> tuple[int, int] | None:
        """Of rows that it takes and gives; None: of any width, and the same, or it takes no rows."""
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
                else f"{'images' if len(shape) == 3 else 'shape'} {shown(shape)}: put Flatten() between"
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

    def check_batch(self, shape: tuple[int, ...], observations: int) -> None:
        """Refuse a batch of so many observations of a shape, where training could make nothing of it.

        Raises
        ------
        ValueError
        """

    def check_values(self, values: np.ndarray) -> None:
        """Refuse inputs of a network whose first layer this is, such as numbers that are not whole.

        Parameters
        ----------
        values : ndarray
            Finite, and of a shape that it takes, behind the axis of the observations.

        Raises
        ------
        ValueError
        """

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of its tensors, by the names WEIGHT and BIAS, or OWN."""
        return {}

    def buffers(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what it keeps beside its tensors, and is not trained, by PyTorch's names."""
        return {}

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Its first tensors, and buffers that are not zero."""
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

    def evaluated(self) -> Layer:
        """The layer that stands in its place where nothing is trained."""
        return self

    def record(self, value: Node, name: str) -> Node:
        """What it gives for a value, under its name in the network."""
        return Node(self, (value,), self.gives(value.shape), name)


class Join(Layer):
    """Base of layers that read several values."""

    def joined(self, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
        """:meth:`shape_of` of the values' shapes."""
        raise NotImplementedError

    def joining(
        self, reads: tuple[int, ...], shapes: tuple[tuple[int, ...], ...], following: int
    ) -> list[Row]:
        """:meth:`rows` of several values."""
        raise NotImplementedError

    def record_all(self, values: tuple[Node, ...]) -> Node:
        """What it gives for these values."""
        return Node(self, values, self.joined(tuple(value.shape for value in values)))
