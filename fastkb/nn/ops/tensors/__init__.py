"""What expressions of values are made of, and softmax.

Values have any shape; axes are counted without the observations, which no operation here mixes. All but
:class:`Softmax` and :class:`LogSoftmax` are no layers that users write or that files describe: graphs of
values are built of them.

================= ===============================================================================
`joins.py`         two values: sums with factors, products, quotients; one behind the other
`functions.py`     the table of functions of one number
`reduction.py`     sums and means over axes, and the way back to a larger shape
`reshape.py`       the same elements in another shape or order, or some of them
`strided.py`       the rules of both: walks through a value by strides
`softmax.py`       softmax and its logarithm
`own.py`           parameters and buffers of a module's own
`shapes.py`        layers whose shapes are known, checks of axes, runs of elements
================= ===============================================================================

Begin with `joins.py`, then `strided.py`.
"""
