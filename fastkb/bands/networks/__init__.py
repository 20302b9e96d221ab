"""Bands of networks: the replicates are trained side by side.

======================== ========================================================================
`network_band.py`         a :class:`fastkb.nn.Sequential`
`perceptron_refits.py`    scikit-learn's perceptrons, ours
`ensemble_band.py`        an ensemble that is already trained
======================== ========================================================================
"""
