"""Multi-layer perceptrons with scikit-learn's interface: where files of earlier versions find both."""

from fastkb.nn.perceptron.classifier import MLPClassifier
from fastkb.nn.perceptron.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
