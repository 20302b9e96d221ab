"""Kernels as an algebra: the base of all kernel objects, sums, products, multiples and length scales.

Sums and products of positive semidefinite kernels are positive semidefinite; so are positive multiples
(Schölkopf and Smola 2002, Learning with Kernels, section 13.1; the product is Schur's theorem).
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import check_number
from fastkb.gram import evaluate, lazy, units
from fastkb.gram.checks import check_length_scales, check_matrices, check_out
from fastkb.gram.engine import takes_room
from fastkb.gram.evaluate import Work
from fastkb.scalar.kernels import Kernel as Row
from fastkb.tile.sinks import Into, Sink


class Kernel:
    r"""Base of the kernel objects, and of kernels of one's own.

    Kernels are added and multiplied (``k1 + k2``, ``k1 * k2``, ``2.0 * k``), given a length scale for
    each column (``k.scaled([0.5, 2.0])``), evaluated (``k(X, Y)``, ``k.diag(X)``), and taken wherever a
    kernel is named: :func:`fastkb.gram`, ``pairwise_kernels(metric=)``, ``KernelRidge(kernel=)``, bands.

    **A kernel of one's own** is a subclass that says of which sum over the columns it is a function, and
    the function:

    ========================= ====================================================================
    attribute                 meaning
    ========================= ====================================================================
    ``form``                  what t is: ``"sqeuclidean"``, :math:`\|x - x'\|^2`;
                              ``"manhattan"``, :math:`\|x - x'\|_1`; or ``"linear"``, :math:`x^T x'`
    ``function(self, t)``     K, for an array t: by NumPy, element by element
    ``positive_semidefinite`` whether it is so for all data; False where that is not known
    ``unit_diagonal``         whether K(x, x) is exactly 1
    ========================= ====================================================================

    The sums are the engine's, and the function runs in NumPy on one thread: some times slower than the
    kernels of the package, and on the CPU alone. Make it a frozen dataclass, and it can be compared,
    hashed and pickled. :func:`fastkb.testing.check_kernel` tests what it claims.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np, fastkb
    >>> @dataclass(frozen=True)
    ... class Cauchy(fastkb.kernels.Kernel):
    ...     width: float = 1.0
    ...     form = "sqeuclidean"
    ...     positive_semidefinite = True
    ...     unit_diagonal = True
    ...
    ...     def function(self, t):
    ...         return 1.0 / (1.0 + t / self.width**2)
    >>> x = np.array([[0.0], [1.0]])
    >>> (2.0 * Cauchy() + fastkb.kernels.Linear())(x)
    array([[2., 1.],
           [1., 3.]])
    """

    # Tells a kernel object from a callable of two rows, without importing this module.
    _is_fastkb_kernel = True
    # NumPy's numbers leave multiplication to us.
    __array_ufunc__ = None

    form: ClassVar[str] = ""
    positive_semidefinite: ClassVar[bool] = False
    unit_diagonal: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.form:
            check_choice(f"form of {cls.__name__}", cls.form, tuple(evaluate.FORMS))

    def function(self, t: np.ndarray) -> np.ndarray:
        """K as a function of t, for a subclass with a `form`."""
        raise TypeError(f"{type(self).__name__} has form={self.form!r}, and no function(self, t)")

    @property
    def row(self) -> Row:
        """The kernel's row of :data:`fastkb.scalar.kernels.KERNELS`, if it has one."""
        raise TypeError(f"{type(self).__name__} has no row of the table, no form and no function")

    @property
    def parameters(self) -> tuple[float, ...]:
        """What the row's scalar function reads, in its order."""
        return ()

    @property
    def scaled_parameters(self) -> tuple[tuple[float, ...], int]:
        """The same with a factor of the first apart, a power of two: it may be out of a float's range."""
        return self.parameters, 0

    @property
    def is_positive_semidefinite(self) -> bool:
        """Whether no Gram matrix can have a negative eigenvalue; False if that is not known."""
        if self.form:
            return self.positive_semidefinite
        return self.row.is_positive_semidefinite(*self.parameters)

    @property
    def has_unit_diagonal(self) -> bool:
        """Whether K(x, x) is exactly 1 for every x."""
        return self.unit_diagonal if self.form else self.row.unit_diagonal

    def __call__(self, X: Any, Y: Any = None, *, out: np.ndarray | None = None) -> np.ndarray:
        """The Gram matrix: see :func:`fastkb.gram`."""
        if lazy.is_lazy(X, Y):
            return lazy.gram_of_blocks(self, X, Y, out)
        X, Y = check_matrices(X, Y)
        if out is not None:
            check_out(out, (len(X), len(X if Y is None else Y)), X.dtype, X, Y)
        return evaluate.gram(self, X, Y, out)

    def diag(self, X: Any) -> np.ndarray:
        """K(x, x) for each row of X, without the Gram matrix.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, d)

        Returns
        -------
        ndarray of shape (n,)
            float32 if X is, else float64. Where the kernel's diagonal is 1, the bits of
            ``np.diagonal(k(X))``; else these within rounding errors.
        """
        return evaluate.diagonal(self, check_matrices(X)[0])

    def scaled(self, length_scales: Any) -> Kernel:
        r"""The kernel of :math:`x / \ell`, with a length scale for each column.

        Parameters
        ----------
        length_scales : array-like of shape (d,)
            ℓ > 0. Distances are those of :math:`(x_j - x'_j) / \ell_j`: the differences come first, and
            nothing cancels.

        Returns
        -------
        Kernel

        Examples
        --------
        >>> import fastkb
        >>> k = fastkb.kernels.RBF(sigma=1.0).scaled([1.0, 10.0])
        >>> k([[0.0, 0.0]], [[1.0, 10.0]]).round(3)
        array([[0.368]])
        """
        return Scaled(self, length_scales)

    def __add__(self, other: Any) -> Kernel:
        return Sum((self, other)) if isinstance(other, Kernel) else NotImplemented

    def __mul__(self, other: Any) -> Kernel:
        return Product((self, other)) if isinstance(other, Kernel) else self.__rmul__(other)

    def __rmul__(self, other: Any) -> Kernel:
        number = isinstance(other, Real)
        return Multiple(other, self) if number else NotImplemented

    def _write(self, work: Work, lengths: np.ndarray | None, into: Into) -> None:
        """Write this kernel of the rows divided by `lengths`, as `into` says."""
        if self._buffers(into.sink, work.d):
            work.through_buffer(self, lengths, into)
        elif self.form:
            work.write_formula(self, lengths, into)
        else:
            work.write_row(self.row, *self.scaled_parameters, lengths, into)

    def _buffers(self, sink: Sink, d: int) -> int:
        """How many arrays of the result's size :meth:`_write` needs beside the result."""
        if self.form:
            return int(sink != Sink.STORE)
        return int(takes_room(self.row, sink, d))


class _OfSeveral(Kernel):
    """What is made of several kernels, which meet in the result by one sink."""

    name: ClassVar[str]  # of the field that holds them
    meet: ClassVar[Sink]
    against: ClassVar[Sink]  # the sink by which the whole cannot be written part by part

    def __post_init__(self) -> None:
        flat: list[Kernel] = []  # (a + b) + c is the sum of three terms
        for part in self.parts:
            flat += part.parts if isinstance(part, type(self)) else [_checked(self.name, part)]
        if len(flat) < 2:
            raise ValueError(f"{self.name} must be two kernels or more; got {len(flat)}")
        object.__setattr__(self, self.name, tuple(flat))

    @property
    def parts(self) -> tuple[Kernel, ...]:
        """The kernels."""
        return getattr(self, self.name)

    @property
    def is_positive_semidefinite(self) -> bool:
        """Whether all parts are."""
        return all(part.is_positive_semidefinite for part in self.parts)

    def _write(self, work: Work, lengths: np.ndarray | None, into: Into) -> None:
        if into.sink == self.against:
            work.through_buffer(self, lengths, into)
        else:
            evaluate.write_in_order(self.parts, work, lengths, into, self.meet)

    def _buffers(self, sink: Sink, d: int) -> int:
        if sink == self.against:
            return 1 + self._buffers(Sink.STORE, d)
        return evaluate.buffers_in_order(self.parts, sink, self.meet, d)


@dataclass(frozen=True, repr=False)
class Sum(_OfSeveral):
    r""":math:`K_1 + K_2 + \dots`, as ``k1 + k2`` makes it.

    Each term is added to the result in place. A term that is a product takes a second matrix of the
    result's size, unless it is the only one: that one is written first.

    Parameters
    ----------
    terms : tuple of Kernel
        Two or more.

    Examples
    --------
    >>> from fastkb import kernels
    >>> (kernels.Linear() + kernels.RBF())([[0.0], [1.0]]).round(3).tolist()
    [[1.0, 0.607], [0.607, 2.0]]
    """

    name, meet, against = "terms", Sink.ADD, Sink.MULTIPLY

    terms: tuple[Kernel, ...]

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.terms))

    @property
    def has_unit_diagonal(self) -> bool:
        """False: that of k1 + k2 is 2 at most."""
        return False


@dataclass(frozen=True, repr=False)
class Product(_OfSeveral):
    r""":math:`K_1 K_2 \cdots`, element by element, as ``k1 * k2`` makes it.

    Each factor is multiplied into the result in place. A factor that is a sum takes a second matrix of
    the result's size, unless it is the only one: that one is written first.

    Parameters
    ----------
    factors : tuple of Kernel
        Two or more.

    Examples
    --------
    >>> from fastkb import kernels
    >>> (kernels.Linear() * kernels.RBF())([[1.0], [2.0]]).round(3).tolist()
    [[1.0, 1.213], [1.213, 4.0]]
    """

    name, meet, against = "factors", Sink.MULTIPLY, Sink.ADD

    factors: tuple[Kernel, ...]

    def __repr__(self) -> str:
        first, *others = self.factors  # a number in front of the first stands where it is read
        return " * ".join(
            [_in_brackets(first, Sum), *(_in_brackets(k, Sum, Multiple) for k in others)]
        )

    @property
    def has_unit_diagonal(self) -> bool:
        """Whether all factors have."""
        return all(factor.has_unit_diagonal for factor in self.factors)


class _OfOne(Kernel):
    """What is made of one kernel, and is positive semidefinite if that is."""

    kernel: Kernel

    @property
    def is_positive_semidefinite(self) -> bool:
        """Whether the kernel is."""
        return self.kernel.is_positive_semidefinite

    def _buffers(self, sink: Sink, d: int) -> int:
        return self.kernel._buffers(sink, d)


@dataclass(frozen=True, repr=False)
class Multiple(_OfOne):
    r""":math:`c K`, as ``c * k`` makes it.

    Parameters
    ----------
    factor : float
        c > 0: a negative multiple of a kernel is none.
    kernel : Kernel

    Examples
    --------
    >>> from fastkb import kernels
    >>> (2.0 * kernels.RBF())([[0.0], [1.0]]).round(3).tolist()
    [[2.0, 1.213], [1.213, 2.0]]
    """

    factor: float
    kernel: Kernel

    def __post_init__(self) -> None:
        factor = check_number("factor", self.factor, minimum=0, open_below=True)
        kernel = _checked("kernel", self.kernel)
        if isinstance(kernel, Multiple):
            factor, kernel = factor * kernel.factor, kernel.kernel
            check_number("factor", factor, minimum=0, open_below=True)
        object.__setattr__(self, "factor", factor)
        object.__setattr__(self, "kernel", kernel)

    def __repr__(self) -> str:
        return f"{self.factor!r} * {_in_brackets(self.kernel, Sum, Product)}"

    @property
    def has_unit_diagonal(self) -> bool:
        """Whether the kernel has, and c is 1."""
        return self.factor == 1.0 and self.kernel.has_unit_diagonal

    def _write(self, work: Work, lengths: np.ndarray | None, into: Into) -> None:
        # A finite number: engine and NumPy take it into the element type.
        factor = min(into.factor * self.factor, float(np.finfo(np.float64).max))
        self.kernel._write(work, lengths, into._replace(factor=factor))


@dataclass(frozen=True, repr=False)
class Scaled(_OfOne):
    r""":math:`K(x / \ell, x' / \ell)`, as :meth:`Kernel.scaled` makes it.

    Parameters
    ----------
    kernel : Kernel
    length_scales : array-like of shape (d,)
        ℓ > 0, one for each column.

    Examples
    --------
    >>> from fastkb import kernels
    >>> kernels.RBF().scaled([2.0])([[0.0], [2.0]]).round(3).tolist()
    [[1.0, 0.607], [0.607, 1.0]]
    """

    kernel: Kernel
    length_scales: tuple[float, ...]

    def __post_init__(self) -> None:
        _checked("kernel", self.kernel)
        scales = check_length_scales(self.length_scales)
        object.__setattr__(self, "length_scales", scales)

    def __repr__(self) -> str:
        return (
            f"{_in_brackets(self.kernel, Sum, Product, Multiple)}.scaled({[*self.length_scales]})"
        )

    @property
    def has_unit_diagonal(self) -> bool:
        """Whether the kernel has."""
        return self.kernel.has_unit_diagonal

    def _write(self, work: Work, lengths: np.ndarray | None, into: Into) -> None:
        if len(self.length_scales) != work.d:
            raise ValueError(
                f"length_scales has {len(self.length_scales)} numbers, and X has {work.d} columns: "
                "expected one for each"
            )
        own = np.array(self.length_scales)
        if lengths is not None:
            own = units.multiplied(own, lengths)
        self.kernel._write(work, own, into)


def _checked(name: str, value: Any) -> Kernel:
    if not isinstance(value, Kernel):
        raise TypeError(f"{name} must be an object of fastkb.kernels; got {value!r}")
    return value


def _in_brackets(kernel: Kernel, *kinds: type) -> str:
    return f"({kernel!r})" if isinstance(kernel, kinds) else repr(kernel)
