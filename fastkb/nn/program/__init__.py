"""A network as a program that compiled code runs for whole epochs.

================ ================================================================================
`layout.py`       a row for each layer, with its places in flat buffers
`passes.py`       forward and backward rules of layers
`step.py`         a step of training, in parts
`schedule.py`     phases and their tasks, for one thread and for several
`engine.py`       from layers to the interpreter: buffers and calls
================ ================================================================================

Begin with `layout.py`.
"""

# (Pickles of version 0.1.0 look for it here.)
from fastkb.nn.program.layout import Program

__all__ = ["Program"]
