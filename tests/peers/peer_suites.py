"""Which of the peers' own test modules run on our functions, and what takes the place of what.

A new drop-in adds a row here, and in ``expected_failures.py`` what it means to do otherwise.
"""

from typing import NamedTuple


class Suite(NamedTuple):
    """One test module of an installed package."""

    module: str
    # A name of the test module -> our "module:attribute". "svm.SVC" is an attribute of an imported
    # module: the test module then sees a copy of that module, and nobody else does.
    replacements: dict[str, str]
    # Fewer cases run than this means that the peer's tests have moved and prove nothing any more.
    at_least: int
    # Only tests under one of these prefixes of the node id, such as a class.
    under: str | tuple[str, ...] = ""


KERNELS = (
    "laplacian_kernel",
    "linear_kernel",
    "pairwise_kernels",
    "polynomial_kernel",
    "rbf_kernel",
    "sigmoid_kernel",
)

MACHINES = ("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM")

SUITES = {
    "pairwise": Suite(
        "sklearn.metrics.tests.test_pairwise",
        # PAIRWISE_KERNEL_FUNCTIONS stays the peer's: test_pairwise_kernels compares against it.
        {name: f"fastkb:{name}" for name in KERNELS},
        at_least=40,  # 47 with scikit-learn 1.9.1, and 150 of other array libraries are skipped
    ),
    "kernel_ridge": Suite(
        "sklearn.tests.test_kernel_ridge",
        {"KernelRidge": "fastkb:KernelRidge", "pairwise_kernels": "fastkb:pairwise_kernels"},
        at_least=10,
    ),
    "mlp": Suite(
        "sklearn.neural_network.tests.test_mlp",
        {"MLPClassifier": "fastkb:MLPClassifier", "MLPRegressor": "fastkb:MLPRegressor"},
        at_least=55,  # 59 with scikit-learn 1.9.1
    ),
    "svm": Suite(
        "sklearn.svm.tests.test_svm",
        # OneVsRestClassifier and the linear machines stay the peer's.
        {
            **{f"svm.{name}": f"fastkb:{name}" for name in MACHINES},
            **{name: f"fastkb:{name}" for name in ("SVR", "NuSVR", "OneClassSVM")},
        },
        at_least=70,  # with scikit-learn 1.9.1
    ),
    "svm_sparse": Suite(
        "sklearn.svm.tests.test_sparse",
        {f"svm.{name}": f"fastkb:{name}" for name in ("SVC", "OneClassSVM")},
        at_least=100,
    ),
    "bootstrap": Suite(
        "scipy.stats.tests.test_resampling",
        {"bootstrap": "fastkb:bootstrap", "stats.bootstrap": "fastkb:bootstrap"},
        at_least=40,
        under=(
            "TestBootstrap",
            "test_bootstrap",
            "test_re_bootstrap",
        ),  # SciPy before 1.16: functions
    ),
}
