"""The rules of the house, read off the source text: who imports whom, and what stands where."""

import ast
import inspect
from pathlib import Path
from typing import NamedTuple

import pytest

import fastkb

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fastkb"

# A room imports only from lower floors, and from itself.
FLOORS = {
    "_version": -1,
    "runtime": 0,
    "checks": 0.4,
    "storage": 0.5,
    "scalar": 1,
    "tile": 2,
    "random": 2,
    "linalg": 2.2,  # its loops run on the micro-kernel of tile
    "gram": 3,
    "resample": 3,
    "ridge": 4,
    "svm": 4,
    "nn": 4,
    "bootstrap": 5,
    "bands": 6,
    "search": 6.5,
    "plot": 7,
    "testing": 7,
    "cli": 8,
    "__main__": 9,
    "reference": 0,
}


class Source(NamedTuple):
    path: str  # relative to the package
    tree: ast.Module

    @property
    def room(self):
        return self.path.split("/")[0].removesuffix(".py")


def read_sources():
    return [
        Source(path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


SOURCES = read_sources()
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.path)


def imported_modules(tree):
    """Every absolute dotted name that the module imports; for ``from a import b``: ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func
            name = (
                function.attr
                if isinstance(function, ast.Attribute)
                else getattr(function, "id", "")
            )
            if name in ("import_module", "__import__"):
                yield str(node.args[0].value)


def attributes_of_the_package(tree):
    """Public names used as ``fastkb.name`` in code: they load their room as an import does."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "fastkb"
        ):
            yield f"fastkb.{node.attr}"


def room_of(name):
    """The room that ``fastkb.…`` belongs to; public names belong to the room they come from."""
    first = name.split(".")[1]
    where = fastkb._PUBLIC.get(first)
    if first in FLOORS and (PACKAGE / first).exists() and name.count(".") > 1:
        return first
    if where is not None:
        return where.split(".")[1]
    return first


def rooms_used(tree):
    names = [*imported_modules(tree), *attributes_of_the_package(tree)]
    return {room_of(name) for name in names if name.startswith("fastkb.")} - {"__version__"}


def test_every_room_has_a_floor():
    assert {source.room for source in SOURCES} - {"__init__"} <= set(FLOORS)


@each_source
def test_no_import_upwards(source):
    if source.room == "__init__":
        return  # names the rooms for everybody else
    wrong = {
        room
        for room in rooms_used(source.tree) - {source.room}
        if FLOORS[room] >= FLOORS[source.room]
    }
    assert not wrong, f"{source.path} imports {sorted(wrong)}, which stand higher or beside it"


@pytest.mark.parametrize(
    ("code", "rooms"),
    [
        ("import fastkb.tile.cpu", {"tile"}),
        ("from fastkb import rbf_kernel", {"gram"}),
        ("from fastkb import gram", {"gram"}),
        ("from fastkb.gram import pairwise", {"gram"}),
        ("def f():\n    import fastkb\n    return fastkb.bootstrap_band", {"bands"}),
        ("def f():\n    return importlib.import_module('fastkb.plot')", {"plot"}),
        ("import numpy, numba.core", set()),
    ],
)
def test_the_reader_of_imports_sees(code, rooms):
    assert rooms_used(ast.parse(code)) == rooms


@each_source
def test_reference_is_independent(source):
    used = rooms_used(source.tree) - {source.room}
    if source.room == "reference":
        assert not used
        assert not any(name.startswith("numba") for name in imported_modules(source.tree))
    elif source.room not in ("testing", "__init__"):
        assert "reference" not in used, "an oracle used by the code it checks is no oracle"


@each_source
def test_only_the_shim_imports_numba_cuda(source):
    wanted = [
        n for n in imported_modules(source.tree) if n.startswith(("numba.cuda", "numba_cuda"))
    ]
    assert not wanted or source.path == "runtime/cuda.py", wanted


COMPILERS = {"njit", "jit", "vectorize", "guvectorize", "generated_jit", "cfunc", "stencil"}


@each_source
def test_only_one_file_compiles(source):
    found = [
        node.lineno
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in COMPILERS
        and isinstance(node.value, ast.Name)
        and node.value.id in ("numba", "nb")
    ]
    found += [n for n in imported_modules(source.tree) if n in {f"numba.{c}" for c in COMPILERS}]
    assert not found or source.path == "runtime/jit.py", found


# --- tests/ mirrors fastkb/ ---------------------------------------------------------------------

# fastkb/ file -> why it has no test file of its own
WITHOUT_TESTS = {
    "_version.py": "one constant",
}
# tests/ file or folder -> what it tests instead of one module
ABOUT_THE_WHOLE = {
    "test_architecture.py": "this file",
    "test_doctests.py": "the examples in all docstrings",
    "test_package.py": "fastkb/__init__.py",
    "test_readme.py": "README.md",
    "cli/test_main.py": "fastkb/cli/__init__.py",
    "earlier": "files of earlier versions",
    "nn/test_gradients.py": "the gradients of whole programs",
    "peers": "the peers' own tests, run on our functions",
}


def has_code(source):
    return any(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in source.tree.body)


@pytest.mark.parametrize(
    "source",
    [s for s in SOURCES if not s.path.endswith("__init__.py") and has_code(s)],
    ids=lambda s: s.path,
)
def test_every_module_has_its_test_file(source):
    if source.path in WITHOUT_TESTS:
        return
    folder, _, name = source.path.rpartition("/")
    assert (ROOT / "tests" / folder / f"test_{name}").exists()


def test_every_test_file_has_its_module():
    orphans = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        relative = path.relative_to(ROOT / "tests")
        if relative.as_posix() in ABOUT_THE_WHOLE or relative.parts[0] in ABOUT_THE_WHOLE:
            continue
        module = PACKAGE / relative.with_name(relative.name.removeprefix("test_"))
        if not module.exists():
            orphans.append(relative.as_posix())
    assert not orphans


# --- documentation ------------------------------------------------------------------------------


@each_source
def test_public_functions_and_classes_have_docstrings(source):
    bare = [
        node.name
        for node in source.tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not bare
    if has_code(source):
        assert ast.get_docstring(source.tree), "the module says nothing of itself"


each_public_name = pytest.mark.parametrize(
    "name", [name for name in fastkb.__all__ if name != "__version__"]
)


@each_public_name
def test_public_names_and_their_methods_are_documented(name):
    thing = getattr(fastkb, name)
    assert thing.__doc__
    assert thing.__doc__.strip()
    if inspect.ismodule(thing):
        members = {
            member: value
            for member, value in vars(thing).items()
            if getattr(value, "__module__", None) == thing.__name__ and not member.startswith("_")
        }
        assert all(inspect.getdoc(value) for value in members.values()), members
    if inspect.isclass(thing):
        bare = [
            member
            for member, value in vars(thing).items()
            if not member.startswith("_")
            and (inspect.isfunction(value) or isinstance(value, property))
            and not inspect.getdoc(getattr(thing, member))
        ]
        assert not bare


@each_public_name
def test_public_functions_show_parameters_and_an_example(name):
    thing = getattr(fastkb, name)
    if inspect.ismodule(thing):
        return
    assert "Parameters\n" in thing.__doc__, "numpydoc: say what the arguments are"
    assert ">>> " in thing.__doc__, "show an example that runs"
