"""The rules of the house, read off the source text: who imports whom, and what stands where."""

import ast
import inspect
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import fastkb

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fastkb"

# A room imports only from lower floors, and from itself.
FLOORS = {
    "_version": -1,
    "runtime": 0,
    "executors": 0.2,
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
    "optim": 4.5,
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
        return  # names the rooms for all other modules
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


# --- sizes --------------------------------------------------------------------------------------

MOST_LINES = 400
MOST_FILES = 14
MOST_ARGUMENTS = 8
# The typers of intrinsics name each argument of the compiled function that they type, as Numba takes no
# tuple there. They stand in these files alone, and their first argument is `typing_context`.
TYPERS = (
    "tile/vector.py", "tile/micro_kernel.py", "tile/lanes/window_kernel.py", "tile/lanes/loops.py",
)  # fmt: skip


@each_source
def test_no_file_is_long(source):
    n = len((PACKAGE / source.path).read_text(encoding="utf-8").splitlines())
    assert n <= MOST_LINES, f"{n} lines: split it by subject"


def test_no_folder_is_crowded():
    counts = Counter(source.path.rpartition("/")[0] for source in SOURCES)
    assert {folder: n for folder, n in counts.items() if n > MOST_FILES} == {}


def public_names():
    """Names that users call, and classes whose methods they call."""
    names = set(fastkb.__all__)
    rooms = (fastkb.nn, fastkb.plot, fastkb.schemes, fastkb.statistics, fastkb.kernels)
    for room in (*rooms, fastkb.optim, fastkb.optim.lr_scheduler):
        names |= set(room.__all__)
    return names


def functions(tree, within=()):
    """Every function, also inside of others, as (names of what it stands in and its own, node)."""
    for node in ast.iter_child_nodes(tree):
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        path = (*within, node.name) if named else within
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield path, node
        yield from functions(node, path)


def crowded_functions(tree, public, typers=False):
    """Functions of too many arguments, but public ones and the methods of public classes.

    With `typers` those of intrinsics may have as many as they need.
    """
    for path, node in functions(tree):
        given = node.args
        n = len([*given.posonlyargs, *given.args, *given.kwonlyargs])
        n += (given.vararg is not None) + (given.kwarg is not None)
        is_typer = typers and given.args and given.args[0].arg == "typing_context"
        if n > MOST_ARGUMENTS and path[0] not in public and not is_typer:
            yield ".".join(path)


@each_source
def test_no_function_takes_many_arguments(source):
    found = list(crowded_functions(source.tree, public_names(), typers=source.path in TYPERS))
    assert not found, "pass a NamedTuple that has a name in the field"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f(a, b, c, d, e, f, g, h): pass", []),
        ("def f(a, b, c, d, e, f, g, h, *, i): pass", ["f"]),
        ("def f(a, /, b, c, d, e, f, g, *h, **i): pass", ["f"]),
        ("def g():\n def f(a, b, c, d, e, f, g, h, i): pass", ["g.f"]),
        ("class C:\n def f(self, a, b, c, d, e, f, g, h): pass", ["C.f"]),
        ("class Public:\n def f(self, a, b, c, d, e, f, g, h): pass", []),
    ],
)
def test_the_counter_of_arguments_sees(code, found):
    assert list(crowded_functions(ast.parse(code), {"Public"})) == found


def test_typers_may_have_as_many_arguments_as_they_need():
    tree = ast.parse("def typer(typing_context, a, b, c, d, e, f, g, h): pass")
    assert list(crowded_functions(tree, set())) == ["typer"]
    assert list(crowded_functions(tree, set(), typers=True)) == []


# --- one product --------------------------------------------------------------------------------


def names_in(tree):
    """Every name, attribute and imported name of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from (alias.name.rpartition(".")[2] for alias in node.names)


@each_source
def test_one_loop_nest_drives_the_micro_kernel(source):
    if source.path not in ("tile/multiply.py", "tile/micro_kernel.py"):
        assert not {"micro_kernel", "ACCUMULATE"} & set(names_in(source.tree))


@each_source
def test_no_public_function_serves_as_a_matrix_product(source):
    if source.room not in ("gram", "testing", "__init__"):
        assert "linear_kernel" not in set(names_in(source.tree))


@pytest.mark.parametrize(
    "code",
    [
        "simd.micro_kernel()",
        "from fastkb.tile.micro_kernel import micro_kernel as m",
        "micro_kernel",
    ],
)
def test_the_reader_of_names_sees(code):
    assert "micro_kernel" in set(names_in(ast.parse(code)))


# --- circles ------------------------------------------------------------------------------------


def module_name(path):
    """The dotted name of a file, of a folder where it is its ``__init__``."""
    return f"fastkb/{path}".removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def import_graph(trees):
    """Module -> the modules of the package that it imports, also inside functions.

    A call by :mod:`fastkb.runtime.hooks` names no module, and is none.
    """
    graph = {}
    for name, tree in trees.items():
        wanted = [each for each in imported_modules(tree) if each.startswith("fastkb")]
        wanted = [each if each in trees else each.rpartition(".")[0] for each in wanted]
        graph[name] = {each for each in wanted if each in trees and each != name}
    return graph


def circles(graph):
    """Sets of modules each of which leads to all others."""

    def reached(start):
        found, todo = set(), [start]
        while todo:
            for each in graph[todo.pop()] - found:
                found.add(each)
                todo.append(each)
        return found

    reach = {name: reached(name) for name in graph}
    return {
        frozenset(each for each in reach[name] if name in reach[each])
        for name in graph
        if name in reach[name]
    }


def test_no_modules_import_each_other():
    graph = import_graph({module_name(source.path): source.tree for source in SOURCES})
    assert not circles(graph)


def test_the_finder_of_circles_sees():
    code = {
        "fastkb.a": "from fastkb.b import f",
        "fastkb.b": "def f():\n    from fastkb import c",
        "fastkb.c": "import fastkb.a\nimport fastkb.d",
        "fastkb.d": "import numpy",
    }
    graph = import_graph({name: ast.parse(text) for name, text in code.items()})
    assert circles(graph) == {frozenset({"fastkb.a", "fastkb.b", "fastkb.c"})}


# --- tests/ mirrors fastkb/ ---------------------------------------------------------------------

# fastkb/ file -> why it has no test file of its own
WITHOUT_TESTS = {
    "_version.py": "one constant",
}
# tests/ file or folder -> what it tests instead of one module
ABOUT_THE_WHOLE = {
    "test_architecture.py": "this file",
    "test_cuda_kernels.py": "all CUDA kernels, compiled: tests/cuda_kernels.py and .ci/cuda_check.py",
    "test_doctests.py": "the examples in all docstrings",
    "test_package.py": "fastkb/__init__.py",
    "test_readme.py": "README.md",
    "cli/test_main.py": "fastkb/cli/__init__.py",
    "earlier": "files of earlier versions",
    "nn/test_gradients.py": "the gradients of whole programs",
    "nn/test_image_gradients.py": "the same of programs of images",
    "nn/recording/test_random_graphs.py": "the same of recorded graphs",
    "nn/recording/test_textbook.py": "the textbook's code, unchanged but for its imports",
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


def unnamed(docstring, modules):
    """The modules that a docstring does not name."""
    return [each for each in modules if not re.search(rf"\b{re.escape(each)}\b", docstring or "")]


@pytest.mark.parametrize(
    "source",
    [s for s in SOURCES if s.path.endswith("/__init__.py")],
    ids=lambda s: s.path,
)
def test_rooms_name_their_modules(source):
    folder = (PACKAGE / source.path).parent
    modules = [path.stem for path in folder.glob("*.py") if path.name != "__init__.py"]
    modules += [path.parent.name for path in folder.glob("*/__init__.py")]
    missing = unnamed(ast.get_docstring(source.tree), modules)
    assert not missing


def test_the_reader_of_rooms_sees():
    assert unnamed("`one.py` and `two/`; three_four.py", ["one", "two", "three", "four"]) == [
        "three",
        "four",
    ]
    assert unnamed(None, ["one"]) == ["one"]


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


def public_things(package):
    """Everything public, by its full name: of the package, and of its modules that are public."""
    found = {}
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.ismodule(thing):
            members = getattr(thing, "__all__", ())
            found |= {f"{name}.{member}": getattr(thing, member) for member in members}
            found[name] = thing
        elif name != "__version__":
            found[name] = thing
    return found


PUBLIC = public_things(fastkb)
each_public_name = pytest.mark.parametrize("name", PUBLIC)


def undocumented(thing):
    """What a reader of a docstring misses: a text, numpydoc's parameters, an example, methods' texts."""
    if isinstance(thing, str | int | float | tuple):
        return []  # a constant has no docstring of its own
    if not (thing.__doc__ or "").strip():
        return ["docstring"]
    if inspect.ismodule(thing):
        return []
    missing = []
    if inspect.signature(thing).parameters and "Parameters\n" not in thing.__doc__:
        missing.append("Parameters")
    if ">>> " not in thing.__doc__:
        missing.append("an example that runs")
    if inspect.isclass(thing):
        missing += [
            member
            for member, value in vars(thing).items()
            if not member.startswith("_")
            and (inspect.isfunction(value) or isinstance(value, property))
            and not inspect.getdoc(getattr(thing, member))
        ]
    return missing


@each_public_name
def test_public_names_are_documented(name):
    assert undocumented(PUBLIC[name]) == []


def test_the_reader_of_docstrings_sees():
    def bare(x):
        pass

    def without_example(x):
        """A text.

        Parameters
        ----------
        x : float
        """

    class Methods:
        """A text.

        >>> 1
        1
        """

        def bare(self):
            pass

    module = ModuleType("room", "A text.")
    module.__all__ = ["bare"]
    module.bare = bare
    package = ModuleType("package")
    package.__all__ = ["room", "Methods"]
    package.room, package.Methods = module, Methods
    assert undocumented(bare) == ["docstring"]
    assert undocumented(without_example) == ["an example that runs"]
    assert undocumented(Methods) == ["bare"]
    assert public_things(package) == {"room.bare": bare, "room": module, "Methods": Methods}
