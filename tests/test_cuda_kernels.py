"""The list of CUDA kernels is complete, and what compiles them finds what is wrong with one."""

import ast
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from fastkb.runtime import cuda as runtime

ROOT = Path(__file__).resolve().parents[1]
check = SimpleNamespace(**runpy.run_path(str(ROOT / ".ci" / "cuda_check.py")))

try:
    runtime.module()
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

PTX = ".visible .entry kernel()\n{\nadd.f32 %f1, %f2, %f3;\n}"
REPORT = (
    "ptxas info    : 0 bytes gmem\n"
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    "ptxas info    : Used 40 registers, used 1 barriers, 2048 bytes smem\n"
)
ENTRY = SimpleNamespace(kind="float32", registers=40, shared=2048)


def compiled_in(tree, names=("runtime.kernel", "cuda.kernel")):
    """Names of the functions that a module compiles as kernels, by the shim of fastkb.runtime.cuda."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
            yield ast.unparse(node.args[0])


@pytest.mark.skipif(runtime.simulated(), reason="simulated kernels have no signatures")
def test_every_kernel_is_in_the_list():
    shim = ROOT / "fastkb" / "runtime" / "cuda.py"
    found = set(compiled_in(ast.parse(shim.read_text(encoding="utf-8")), ("kernel",)))
    for path in (ROOT / "fastkb").rglob("*.py"):
        found |= set(compiled_in(ast.parse(path.read_text(encoding="utf-8"))))
    entries = check.registry().entries()
    listed = {each.make().py_func.__name__ for each in entries}
    assert found == listed
    assert len({(each.name, each.kind) for each in entries}) == len(entries)
    for name in listed:  # in both types
        kinds = {each.kind for each in entries if each.make().py_func.__name__ == name}
        assert kinds in ({"float32", "float64"}, {"whole"}), name


def test_the_finder_of_kernels_sees():
    code = "def f(): pass\nruntime.kernel(f, 1, 2)\nkernel(g, 1)\nself.kernel(X)\nruntime.device(i)"
    assert list(compiled_in(ast.parse(code))) == ["f"]
    assert list(compiled_in(ast.parse(code), ("kernel",))) == ["g"]


def test_what_a_kernel_needs_is_read_off():
    assert check.needs(PTX, REPORT) == (40, 2048, 0, False, True)
    assert check.problems(ENTRY, check.needs(PTX, REPORT)) == []


@pytest.mark.parametrize(
    ("ptx", "report", "said"),
    [
        (PTX.replace(".entry", ".func"), REPORT, "is no kernel"),
        (PTX.replace("add.f32", "add.f64"), REPORT, "double precision in float32"),
        (PTX, REPORT.replace("Used 40", "Used 41"), "41 registers, expected at most 40"),
        (PTX, REPORT.replace("2048", "4096"), "4096 bytes of shared memory, expected at most 2048"),
        (PTX, REPORT.replace("0 bytes stack", "16 bytes stack"), "spills 16 bytes"),
        (PTX, REPORT.replace("0 bytes spill loads", "8 bytes spill loads"), "spills 8 bytes"),
        (PTX, "", "0 registers, expected at most 40"),
    ],
)
def test_what_is_wrong_is_said(ptx, report, said):
    assert check.problems(ENTRY, check.needs(ptx, report)) == [said]


def test_without_compilers_it_says_so(monkeypatch, capsys):
    main = check.main
    monkeypatch.setitem(main.__globals__, "why_not", lambda: "there is no ptxas")
    monkeypatch.setattr("sys.argv", ["cuda_check.py"])
    assert main() == 0
    assert capsys.readouterr().out == "skipped: CUDA kernels were not compiled: there is no ptxas\n"


def test_one_kernel_compiles():
    reason = check.why_not()
    if reason:
        pytest.skip(reason)
    entry = next(e for e in check.registry().entries() if e.name == "reduce rbf sqdiff 3 x 1 C")
    found = check.build(entry, "sm_90")
    assert check.problems(entry, found) == []
    assert found.shared == 2048
    assert check.problems(entry._replace(registers=8), found) == [
        f"{found.registers} registers, expected at most 8"
    ]
