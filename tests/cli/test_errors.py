import pytest

from fastkb.cli import main
from fastkb.cli.errors import CommandError


def test_an_error_is_one_line_and_exit_code_2(capsys, monkeypatch):
    def fail(options):
        raise CommandError("two\nlines")

    monkeypatch.setattr("fastkb.cli.parser._run_info", fail)
    assert main(["info"]) == 2
    assert capsys.readouterr().err == "fastkb: two lines\n"


def test_other_errors_are_not_hidden(monkeypatch):
    def fail(options):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("fastkb.cli.parser._run_info", fail)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        main(["info"])
