"""Support vector machines under scikit-learn's names.

==================== ==================================================================================
`machine.py`          what all machines share: data, support vectors, values
`classification.py`   several classes as pairs of them
`one_vs_one.py`       where the coefficients of a pair stand
`svc.py`              :class:`~fastkb.svm.estimators.svc.SVC`, :class:`~fastkb.svm.estimators.svc.NuSVC`
`single.py`           machines of one function
`regression.py`       :class:`~fastkb.svm.estimators.regression.SVR` and
                      :class:`~fastkb.svm.estimators.regression.NuSVR`
`resampled.py`        fits to weighted rows on one kernel matrix, for bands
`one_class.py`        :class:`~fastkb.svm.estimators.one_class.OneClassSVM`
==================== ==================================================================================

Begin with `machine.py`.
"""
