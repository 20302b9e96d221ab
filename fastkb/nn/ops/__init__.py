"""The operations of a network: a file for each.

================ ================================================================================
`operation.py`    what an operation is, and the chain that the interpreter takes from a table of them
`dense.py`        the dense layer: its class, its rules
`activation.py`   element-wise functions
`layers.py`       the table, and how layers become rows of a program
`losses.py`       losses and their derivatives
================ ================================================================================

Begin with `operation.py`, then `dense.py`.
"""
