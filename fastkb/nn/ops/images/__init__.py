"""The layers of images, and of sequences as images of one row; their values stand in lanes.

==================== =============================================================================
`convolution.py`      the convolution: its classes, its rules
`taps.py`             how its weights stand
`pooling.py`          the largest value or the mean of windows
`pooling_rules.py`    their rules
`sizes.py`            sizes of windows' sides, shapes of images and sequences, counts of windows
==================== =============================================================================

Begin with `convolution.py`, and with :mod:`fastkb.tile.lanes` for how images stand.
"""
