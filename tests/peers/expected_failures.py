"""Cases of the peers' tests that fail on our functions, and why that is meant.

suite -> {node id without its file: reason}. A case that fails and does not stand here fails the
run, and so does one that stands here and passes. A key that ends in ``[*]`` stands for all cases of
that test, each of which must then fail.
"""

DENSE = (
    "linear_kernel has no dense_output: sparse rows in, a dense Gram matrix out, for every kernel"
)

EXPECTED_FAILURES = {
    "pairwise": {
        "test_pairwise_similarity_sparse_output[csr_matrix-linear-linear_kernel]": DENSE,
        "test_pairwise_similarity_sparse_output[csr_array-linear-linear_kernel]": DENSE,
    },
    "kernel_ridge": {},
    "mlp": {
        "test_gradient": (
            "calls a private method; tests/nn/perceptron/test_objective.py checks our gradients"
        ),
        "test_mlp_vs_poisson_glm_equivalent[*]": (
            "loss='poisson' is refused by name: the engine has no exponential output"
        ),
    },
}
