"""A network as a program that compiled code runs for whole epochs.

================ ================================================================================
`layout.py`       a row for each operation, with its places in flat buffers
`store.py`        where the parameters stand, whatever the size of images
`passes.py`       what all rows have in common: the function behind an operation
`bands.py`        rows forward and back, band by band where values stand in lanes
`step.py`         a step of training, in parts
`updating.py`     the optimiser's step, of blocks and of tensors
`parts.py`        what some observations pass at a time
`schedule.py`     phases and their tasks, for one thread and for several
`interpreter.py`  the compiled functions, for this package's operations and for others
`engine.py`       from layers to the interpreter: buffers and calls
================ ================================================================================

Begin with `layout.py`.
"""

# Pickles of version 0.1.0 look for it here.
from fastkb.nn.earlier import Program

__all__ = ["Program"]
