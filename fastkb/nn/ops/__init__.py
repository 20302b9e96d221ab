"""The operations of a network: a file for each.

================ ================================================================================
`operation.py`    what an operation is, and the chain that the interpreter takes from a table of them
`dense.py`        the dense layer: its class, its rules
`activation.py`   element-wise functions
`convolution.py`  convolutions; `taps.py` says how their weights stand
`pooling.py`      the largest value or the mean of windows; `pooling_rules.py` has their rules
`arrangement.py`  flattening, and the ways between values in rows and in lanes
`images.py`       what the layers of images share: sizes, shapes, windows
`layers.py`       the table, and how layers become rows of a program
`losses.py`       losses and their derivatives
================ ================================================================================

Begin with `operation.py`, then `dense.py`.
"""
