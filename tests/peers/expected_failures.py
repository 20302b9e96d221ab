"""Cases of the peers' tests that fail on our functions, and why that is meant.

suite -> {node id without its file: reason}. A case that fails and does not stand here fails the
run, and so does one that stands here and passes. A key that ends in ``[*]`` stands for all cases of
that test, each of which must then fail. Cases of the second list may do either.
"""

DENSE = (
    "linear_kernel has no dense_output: sparse rows in, a dense Gram matrix out, for every kernel"
)

PROBABILITY = (
    "probability is deprecated there and not offered here: True is refused, and there are no probA_ "
    "and probB_"
)

EXPECTED_FAILURES = {
    "pairwise": {
        "test_pairwise_similarity_sparse_output[csr_matrix-linear-linear_kernel]": DENSE,
        "test_pairwise_similarity_sparse_output[csr_array-linear-linear_kernel]": DENSE,
    },
    "kernel_ridge": {},
    "svm": {
        "test_probability[*]": PROBABILITY,
        "test_hasattr_predict_proba[*]": PROBABILITY,
        "test_probability_raises_futurewarning[*]": PROBABILITY,
        "test_svc_nusvc_probA_probB_deprecated[*]": PROBABILITY,
        "test_svr_errors": (
            "a kernel whose matrix has the wrong shape is refused in fit, and there only in predict"
        ),
    },
    "svm_sparse": {
        "test_svc[*]": f"{PROBABILITY}; tests/svm/estimators/ compares sparse and dense rows",
        "test_unsorted_indices[*]": PROBABILITY,
        "test_sparse_svc_clone_with_callable_kernel[*]": PROBABILITY,
    },
    "mlp": {
        "test_gradient": (
            "calls a private method; tests/nn/perceptron/test_objective.py checks our gradients"
        ),
        "test_mlp_vs_poisson_glm_equivalent[*]": (
            "loss='poisson' is refused by name: the engine has no exponential output"
        ),
    },
}

EQUAL_PAIRS = (
    "compares six decimals of two fits at tol=1e-3: which of equal pairs is moved first hangs on the "
    "last bit of the kernel, which NumPy's product has as ours on some processors only"
)

# Cases that fail on some processors, with the reason.
PROCESSOR_DEPENDENT = {
    "svm": {"test_precomputed": EQUAL_PAIRS, "test_svc_clone_with_callable_kernel": EQUAL_PAIRS}
}
