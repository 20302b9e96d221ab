"""The README keeps what it promises, and no page has a dead link."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from fastkb.cli.parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.S | re.M)


def test_the_two_commands_stand_first():
    first, second = blocks("bash")[:2]
    assert first.strip() == "pip install '.[cli]' && fastkb band"
    assert second.strip() == "pip install '.[test]' && pytest"


def test_the_python_tour_runs_from_top_to_bottom(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    tour = blocks("python")
    assert len(tour) >= 2
    names = {}
    for block in tour:
        exec(compile(block, "README.md", "exec"), names)
    assert np.all(names["band"].low <= names["band"].high)
    np.testing.assert_array_equal(names["K"], names["K"].T)
    assert capsys.readouterr().out.strip()
    assert not list(tmp_path.iterdir())


def test_the_shown_commands_parse():
    shown = [
        line[2:] for block in blocks("console") for line in block.splitlines() if line[:2] == "$ "
    ]
    shown += [part for block in blocks("bash") for part in block.split("&&")]
    ours = [words[1:] for words in map(shlex.split, shown) if words[:1] == ["fastkb"]]
    assert len(ours) >= 2
    for words in ours:
        assert callable(build_parser().parse_args(words).run)


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


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
