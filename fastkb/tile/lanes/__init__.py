"""Values in lanes: each element of an image is a vector of as many observations as a vector has lanes.

So neither the number of channels nor the size of an image wastes a part of a vector, and the edges of an
image need no padding: a window that reaches over one has fewer terms.

=================== =============================================================================
`windows.py`         convolutions: the loop nests, and where images and weights stand
`window_kernel.py`   the micro-kernels that they run
`loops.py`           loops over whole vectors: the largest of several, sums and scales of channels
=================== =============================================================================

Begin with `windows.py`.
"""
