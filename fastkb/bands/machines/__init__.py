"""Bands of support vector machines: all replicates on one kernel matrix.

======================= =========================================================================
`machine_refits.py`      the replicates, solved side by side
======================= =========================================================================
"""
