"""The layers of images, whose values stand in lanes.

==================== =============================================================================
`convolution.py`      the convolution: its class, its rules
`taps.py`             how its weights stand
`pooling.py`          the largest value or the mean of windows
`pooling_rules.py`    their rules
`sizes.py`            sizes that are numbers or pairs, shapes of images, counts of windows
==================== =============================================================================

Begin with `convolution.py`, and with :mod:`fastkb.tile.lanes` for how images stand.
"""
