"""Machine code: made once, and kept on disk.

================ ================================================================================
`late.py`         code is optimised where it ends up, not on the way
`cache.py`        one file for each compiled function
`claims.py`       which of several processes compiles it
================ ================================================================================

Begin with `cache.py`.
"""
