"""The pages' code: how blocks are found and run, and where pictures go."""

import os
from pathlib import Path

import pytest

from bench import pages

PAGE = """# A page

```python
x = 2
```

![A line](line.png)

```console
$ ls
```

```python
from pathlib import Path

Path("line.png").write_bytes(bytes([x]))
```

```python
>>> x + 1
3

```
"""


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_blocks_know_their_lines():
    found = pages.blocks(PAGE)
    assert [line for line, _ in found] == [3, 13, 19]
    lines = PAGE.splitlines()
    assert all(lines[line] == code.splitlines()[0] for line, code in found)
    assert pages.blocks(PAGE, "console") == [(9, "$ ls\n")]


def test_blocks_share_their_names(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pages.run_page(page)["x"] == 2
    assert (tmp_path / "line.png").read_bytes() == b"\x02"


def test_a_session_that_prints_something_else(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page.write_text(PAGE.replace("\n3\n", "\n4\n"), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"Expected:\s+4\s+Got:\s+3"):
        pages.run_page(page)


def test_an_error_shows_the_line_of_the_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page.write_text(PAGE.replace("bytes([x])", "bytes([y])"), encoding="utf-8")
    with pytest.raises(NameError) as caught:
        pages.run_page(page)
    assert caught.traceback[-1].lineno + 1 == 16
    assert Path(caught.traceback[-1].path) == page


def test_pictures_are_put_beside_the_page(page, tmp_path):
    here = os.getcwd()
    assert pages.draw(page) == ["line.png"]
    assert os.getcwd() == here
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line.png", "page.md"]


@pytest.mark.parametrize(
    ("change", "error"),
    [(("(line.png)", "(other.png)"), ValueError), (("x + 1", "x / 0"), AssertionError)],
)
def test_nothing_is_written_where_something_is_wrong(page, tmp_path, change, error):
    page.write_text(PAGE.replace(*change), encoding="utf-8")
    with pytest.raises(error):
        pages.draw(page)
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_the_command(page, capsys):
    pages._main([str(page)])
    assert capsys.readouterr().out.strip() == f"{page}: line.png"
