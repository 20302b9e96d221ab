"""Losses of recorded graphs, and what compiled code is told of them.

================ ================================================================================
`expressions.py`  a loss, as a number
`functions.py`    losses under their names
`criteria.py`     losses as objects
`targets.py`      what compiled code is told of labels, weights and label smoothing
================ ================================================================================

Begin with `expressions.py`.
"""
