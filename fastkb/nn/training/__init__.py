"""Training from epoch to epoch.

===================== ===========================================================================
`fitting.py`           orders, rates, validation, patience, history
`batches.py`            observations all at once, or batch after batch
`pace.py`               how much one call of compiled code does
`masks.py`             seeds of what is drawn in training
`members.py`           many networks side by side
`first_parameters.py`  their first weights, drawn together
===================== ===========================================================================
"""
