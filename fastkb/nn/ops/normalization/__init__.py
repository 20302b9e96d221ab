"""Values that are centred and scaled.

================ ================================================================================
`batch.py`        by mean and variance over a batch, channel by channel; `batch_rules.py`: its rules
`layer.py`        by those of each observation
================ ================================================================================
"""
