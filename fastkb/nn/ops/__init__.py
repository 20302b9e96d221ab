"""The operations of a network: a file for each.

================ ================================================================================
`operation.py`    what an operation is
`rules.py`        the choice among the rules of a table of them, which the interpreter takes
`graph.py`        values that layers make of others, from the input to the output
`storage.py`      how tensors stand in the flat buffers
`dense.py`        the dense layer: its class, its rules
`activation.py`   element-wise functions
`images/`         convolutions and pooling
`normalization/`  normalisation by a batch, and of each observation
`embedding.py`    rows of a table for whole numbers
`tensors/`        what expressions are made of, from sums and products to new shapes; softmax
`dropout.py`      elements that are zero at random in training
`residual.py`     layers with a way around them
`arrangement.py`  flattening, and the ways between values in rows and in lanes
`layers.py`       the table, and how layers become rows of a program
`losses.py`       losses and their derivatives
================ ================================================================================

Begin with `operation.py`, then `dense.py`.
"""
