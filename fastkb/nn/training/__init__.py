"""Training from epoch to epoch.

===================== ===========================================================================
`fitting.py`           orders, rates, validation, patience, history
`masks.py`             seeds of what is drawn in training
`members.py`           many networks side by side
`first_parameters.py`  their first weights, drawn together
===================== ===========================================================================
"""
