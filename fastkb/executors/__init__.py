"""Floor 0.2: long jobs in parts, on an executor of the user's.

An executor is anything that has a method ``submit``: a pool of processes, a client of Dask.
Results depend neither on the executor nor on how the parts are spread over its workers.

================ ================================================================================
`parts.py`        all parts of a job, in order; what is kept when an executor breaks
`carriers.py`     how a job reaches workers, once, and what they keep of it
================ ================================================================================

Begin with `parts.py`.
"""
