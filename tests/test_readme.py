"""The README keeps what it promises; every page's code runs, and none has a dead link."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import fastkb
from fastkb.cli.parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
# The module that draws the guides' pictures; bench/ is no part of what is installed.
PAGE_CODE = runpy.run_path(str(ROOT / "bench" / "pages.py"))


def blocks(language):
    return [code for _, code in PAGE_CODE["blocks"](README, language)]


def test_the_two_commands_stand_first():
    first, second = blocks("bash")[:2]
    assert first.strip() == "pip install '.[cli]' && fastkb band"
    assert second.strip() == "pip install '.[test]' && pytest -n 2"


def test_the_reference_is_that_of_the_docstrings(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["api_reference.py", "--check"])
    assert runpy.run_path(str(ROOT / ".ci" / "api_reference.py"))["main"]() == 0
    assert "up to date" in capsys.readouterr().out


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {fastkb.__version__}\n" in citation


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a page in an empty folder; the names that it defines and the files that it leaves."""

    def run_there(name):
        monkeypatch.chdir(tmp_path)
        names = PAGE_CODE["run_page"](ROOT / name)
        return names, {path.name for path in tmp_path.iterdir()}

    return run_there


def test_the_python_tour_runs_from_top_to_bottom(run, capsys):
    assert len(blocks("python")) >= 2
    names, left = run("README.md")
    assert np.all(names["band"].low <= names["band"].high)
    np.testing.assert_array_equal(names["K"], names["K"].T)
    assert capsys.readouterr().out.strip()
    assert not left


GUIDES = {
    page.name
    for page in (ROOT / "docs").glob("*.md")
    if PAGE_CODE["blocks"](page.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("name", sorted(GUIDES - {"networks.md"}))
def test_the_code_of_a_guide_runs_from_top_to_bottom(run, name):
    _, left = run(f"docs/{name}")
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    saved = set(re.findall(r'save\([^\n]*"([^"\n]+)"\)', text))
    assert left <= PAGE_CODE["pictures"](text) | saved


@pytest.mark.slow
def test_the_guide_to_networks(run, capsys):
    """Its code runs, draws the pictures that it shows, and finds what the text says."""
    names, left = run("docs/networks.md")
    text = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    assert left == PAGE_CODE["pictures"](text) | {"net.npz"}
    assert len(left) == 6
    assert names["right_either"] > 0.95
    assert 0.3 < names["right_node"] < 0.7
    assert names["right_net"] > 0.95
    two, one, best, loss_of_two, loss_of_one = map(float, capsys.readouterr().out.split())
    # Of 2000 vowels: nobody is better than the best rule, but by chance (three standard errors).
    assert best - 0.02 < min(one, two) <= max(one, two) < best + 3 * (0.25 / 2000) ** 0.5
    assert loss_of_two < loss_of_one
    assert (np.diff(names["errors"][:4]) < 0).all()
    assert names["errors"][-1] < names["errors"][0] / 10
    assert names["recognised"] > 0.93
    assert names["right_convolutional"] > 0.9
    assert names["right_deep"] > 0.95
    assert names["ensemble"].predict(names["points"]).shape == (200, 1)
    other = names["ensemble"].band(names["points"]).distribution
    np.testing.assert_array_equal(names["band"].distribution, other)


def test_the_shown_commands_parse():
    shown = [
        line[2:] for block in blocks("console") for line in block.splitlines() if line[:2] == "$ "
    ]
    shown += [part for block in blocks("bash") for part in block.split("&&")]
    ours = [words[1:] for words in map(shlex.split, shown) if words[:1] == ["fastkb"]]
    assert len(ours) >= 2
    for words in ours:
        assert callable(build_parser().parse_args(words).run)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if not t.startswith("http") and not leads_somewhere(page, t)]
    assert not missing


def leads_somewhere(page, target):
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    return file.exists() and (not anchor or anchor in anchors(file.read_text(encoding="utf-8")))


def anchors(text):
    """Of its headings: in lower case, hyphens for spaces, without punctuation."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_a_wrong_anchor_is_found():
    page = ROOT / "README.md"
    assert not leads_somewhere(page, "docs/band.md#no-such-heading")
    assert not leads_somewhere(page, "docs/no-such-page.md#limits")


def test_the_picture_is_first_and_is_a_picture():
    assert README.index("docs/band.png") < README.index("```")
    assert (ROOT / "docs/band.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("marker", ["<!-- bench:begin -->", "<!-- bench:end -->"])
def test_the_table_has_its_markers_once(marker):
    assert README.count(marker) == 1
    assert README.index("<!-- bench:begin -->") < README.index("<!-- bench:end -->")
