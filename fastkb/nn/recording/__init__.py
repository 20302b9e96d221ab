"""What a network's forward computes, recorded: tensors, and the modules whose code makes them.

================ ================================================================================
`tensor.py`       :class:`Tensor`: a value that is computed when it is asked for
`run.py`          a recorded graph as a program: values, losses, gradients
`module.py`       :class:`Module`: a network whose forward is Python
`composite.py`    a module as a layer, for compiled programs
`holder.py`       its own parameters and buffers; `lists.py`: modules whose parts are numbered
`member.py`       a layer with its parameters, as an attribute of a module
`parameter.py`    :class:`Parameter`; `standing.py`: one as an operand, the same for all observations
`operators.py`    what a tensor can be asked to give
`losses/`         losses: as numbers, under their names, and as objects
================ ================================================================================

Begin with `tensor.py`, then `module.py`.
"""
