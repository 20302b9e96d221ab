"""Sequential minimal optimisation in working sets: how the problem of a machine is solved.

==================== ==================================================================================
`solver.py`           rounds of working sets, shrinking, two precisions
`candidates.py`       which coefficients violate the conditions, and are chosen
`pairs.py`            pairs of coefficients moved on a kernel matrix at hand
`newton.py`           all free coefficients moved at once, where pairs would take long
`conjugate.py`        many free coefficients moved together, with pairs in between
`gradient.py`         what they do to the gradient of all rows
`rows.py`             kernel rows, kept within a number of bytes
`several.py`          many small problems at once
==================== ==================================================================================

Begin with `solver.py`, then `pairs.py`.
"""
