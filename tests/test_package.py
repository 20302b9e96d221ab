import pickle
import subprocess
import sys

import pytest

import fastkb


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy():
    heavy = ["numba", "llvmlite", "numpy", "scipy", "sklearn", "matplotlib", "pandas", "tqdm"]
    loaded = run(f"import sys, fastkb; print([m for m in {heavy} if m in sys.modules])")
    assert loaded == "[]"


def test_command_line_answers_help_without_loading_the_compiler():
    code = (
        "import sys\n"
        "from fastkb.cli import main\n"
        "try:\n"
        "    main(['--version'])\n"
        "except SystemExit as done:\n"
        "    assert done.code == 0\n"
        "print([m for m in ('numba', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    assert run(code).splitlines() == [f"fastkb {fastkb.__version__}", "[]"]


@pytest.mark.parametrize("name", fastkb.__all__)
def test_every_public_name_is_there(name):
    assert getattr(fastkb, name) is not None


def test_dir_lists_the_public_names():
    assert dir(fastkb) == sorted(fastkb.__all__)
    assert {"rbf_kernel", "KernelRidge", "bootstrap_band", "__version__"} <= set(dir(fastkb))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'rbf_kernal'"):
        _ = fastkb.rbf_kernal
    with pytest.raises(ImportError, match="rbf_kernal"):
        exec("from fastkb import rbf_kernal", {})


@pytest.mark.parametrize(
    "first",
    [
        "import fastkb.gram.pairwise",
        "from fastkb.gram.pairwise import rbf_kernel",
        "import fastkb.gram",
        "import fastkb; fastkb.rbf_kernel",
        "import fastkb; fastkb.kernels",
    ],
)
def test_gram_is_the_function_whatever_was_imported_first(first):
    code = f"{first}\nimport fastkb\nprint(callable(fastkb.gram), fastkb.gram.__name__)"
    assert run(code) == "True gram"


def test_star_import_gives_the_public_names():
    names = {}
    exec("from fastkb import *", names)
    assert set(fastkb.__all__) <= set(names)


def test_types_are_for_users_checkers_too():
    from importlib.resources import files

    assert (files("fastkb") / "py.typed").is_file()


def test_a_function_that_names_the_package_can_be_sent_to_another_process():
    code = (
        "import joblib, fastkb\n"
        "def here(x):\n"
        "    return fastkb.rbf_kernel([[float(x)]], [[0.0]])[0, 0]\n"
        "print(joblib.Parallel(2)(joblib.delayed(here)(x) for x in (0, 100)))"
    )
    assert run(code) in ("[1.0, 0.0]", "[np.float64(1.0), np.float64(0.0)]")


def test_the_package_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(fastkb)) is fastkb
