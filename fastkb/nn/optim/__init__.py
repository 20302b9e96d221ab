"""Optimisers and schedules of learning rates.

================ ================================================================================
`optimizers.py`   the classes, with PyTorch's names and parameters
`updates.py`      their rules, compiled
`schedules.py`    how a rate changes from epoch to epoch
`checks.py`       their parameters
================ ================================================================================
"""
