"""Slow, plain NumPy oracles: obviously right, and importing nothing else of fastkb.

======================= =========================================================================
`gram.py`                Gram matrices
`ridge.py`               kernel ridge regression
`bootstrap.py`           bootstrap intervals
`band.py`                bands of percentiles
`confidence.py`          confidence bands
`prediction_error.py`    estimates of prediction error
`networks.py`            networks and their training
`convolution.py`         convolution and pooling
`normalization.py`       normalisation, softmax, embeddings, dropout
`losses.py`              losses of networks, as PyTorch's
`svm.py`                 support vector machines
`streams.py`             random numbers
======================= =========================================================================

Begin with `gram.py`.
"""
