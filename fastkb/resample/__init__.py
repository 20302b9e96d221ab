"""Floor 3.2: which rows a resample holds, or which weights, or which responses.

Resample b depends on the seed and on b alone. So results depend neither on threads nor on batches.

====================== ==========================================================================
`scheme.py`             what every scheme says of itself
`schemes.py`            the public names, :mod:`fastkb.schemes`
`row_schemes.py`        what schemes that draw rows have in common: indices, or runs
`index_schemes.py`      rows that are drawn: strata, clusters, blocks, fewer rows than there are
`runs.py`               stretches of neighbouring rows: drawn, as rows, counted
`members.py`            resamples of many series, each with draws of its own
`index_blocks.py`       many resamples' rows at once, for compiled code
`weight_schemes.py`     weights instead of counts: the Bayesian bootstrap
`response_schemes.py`   new responses around a fit: residuals, the wild bootstrap
`block_length.py`       how long blocks should be
`checks.py`             lengths, labels, fits and leverages
====================== ==========================================================================

Begin with `scheme.py`.
"""
