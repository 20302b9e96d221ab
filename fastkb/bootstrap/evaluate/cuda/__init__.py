"""Compiled statistics of resamples that are drawn on a device.

==================== ============================================================================
`statistic.py`        a statistic whose resamples are drawn and evaluated there
`resamples.py`        which resamples one launch draws, and where their rows begin
`rows.py`             how a block of threads goes through one row
`sums.py`             means, sums, variances and standard deviations of rows
`order.py`            order statistics and extremes of rows
`trimmed.py`          trimmed means of rows
`plan.py`             blocks of threads, and what a launch computes
`checks.py`           what is served, and the error for everything else
==================== ============================================================================

Begin with `rows.py`.
"""
