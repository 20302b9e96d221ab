import os
import stat

import pytest

from fastkb.cli.errors import CommandError
from fastkb.cli.outputs import Output, check_picture, publish_all, reserved, write_picture


def filled(path, text=b"new"):
    output = Output("--csv", str(path))
    output.write(lambda file: file.write(text))
    return output


def test_nothing_is_seen_before_publish(tmp_path):
    path = tmp_path / "band.csv"
    output = filled(path)
    assert not path.exists()
    output.publish()
    output.discard()
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["band.csv"]


def test_discard_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "band.csv"
    path.write_bytes(b"old")
    output = filled(path)
    output.discard()
    output.discard()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["band.csv"]


def test_new_files_follow_the_umask_and_old_ones_keep_their_mode(tmp_path):
    old_mask = os.umask(0o027)
    try:
        filled(tmp_path / "new").publish()
        (tmp_path / "old").write_bytes(b"")
        (tmp_path / "old").chmod(0o600)
        filled(tmp_path / "old").publish()
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    filled(tmp_path / "link").publish()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_devices_are_written_to_and_not_replaced():
    output = filled("/dev/null")
    output.publish()
    output.discard()
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "needs the name of a file"),
        ("-", "expected the name of a file"),
        (".", "it is a folder"),
        ("none/band.csv", "no such folder: none"),
    ],
)
def test_unwritable_places_are_found_at_once(tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=reason):
        Output("--csv", path)
    assert not list(tmp_path.iterdir())


def test_a_file_as_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CommandError, match="cannot write"):
        Output("--csv", str(tmp_path / "file" / "band.csv"))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere"
)
def test_read_only_folders_and_files(tmp_path):
    (tmp_path / "band.csv").write_bytes(b"old")
    (tmp_path / "band.csv").chmod(0o400)
    with pytest.raises(CommandError, match="permission denied"):
        Output("--csv", str(tmp_path / "band.csv"))
    tmp_path.chmod(0o500)
    with pytest.raises(CommandError, match="Permission denied"):
        Output("--csv", str(tmp_path / "other.csv"))
    tmp_path.chmod(0o700)


def test_a_failing_write_is_one_clear_line(tmp_path):
    output = Output("--csv", str(tmp_path / "band.csv"))

    def full(file):
        raise OSError(28, "No space left on device")

    with pytest.raises(CommandError, match=r"cannot write .*: No space left on device"):
        output.write(full)
    output.discard()
    assert not list(tmp_path.iterdir())


def test_publish_all_says_what_was_written(tmp_path):
    outputs = [filled(tmp_path / "a"), filled(tmp_path / "b")]
    (tmp_path / "b").mkdir()  # a folder has taken the second file's place meanwhile
    with pytest.raises(CommandError, match=r"cannot write .*b: .* \(.*a was written\)"):
        publish_all(outputs)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_same_file(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"")
    (tmp_path / "link.csv").symlink_to(path)
    output = Output("--csv", str(tmp_path / "link.csv"))
    assert output.same_file(str(path))
    assert not output.same_file(str(tmp_path / "other.csv"))
    output.discard()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_reserved_files_appear_after_the_body(folder):
    with reserved([("--out", "a"), ("--csv", "b")], None) as outputs:
        for output in outputs:
            output.write(lambda file: file.write(b"new"))
        assert not {"a", "b"} & set(os.listdir())
    assert sorted(os.listdir()) == ["a", "b"]


@pytest.mark.parametrize("error", [CommandError, KeyboardInterrupt])
def test_reserved_files_disappear_with_an_error(folder, error):
    def fail():
        with reserved([("--out", "a")], None) as outputs:
            outputs[0].write(lambda file: file.write(b"half"))
            raise error

    with pytest.raises(error):
        fail()
    assert not os.listdir()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([("--out", "./data")], "--out ./data would overwrite the data"),
        ([("--out", "a"), ("--csv", "./a")], "--out and --csv name the same file: ./a"),
        ([("--out", "a"), ("--csv", "no/b")], "no such folder: no"),
    ],
)
def test_files_that_cannot_be_reserved(folder, wanted, message):
    (folder / "data").write_bytes(b"")
    with pytest.raises(CommandError, match=message), reserved(wanted, "data"):
        raise AssertionError
    assert os.listdir() == ["data"]


def test_standard_input_is_no_file(folder):
    (folder / "-").write_bytes(b"")
    with reserved([("--out", "./-")], "-") as outputs:
        outputs[0].write(lambda file: file.write(b"new"))
    assert (folder / "-").read_bytes() == b"new"


def test_the_suffix_decides_the_format_of_a_picture(folder):
    from fastkb.plot import new_figure

    check_picture("--out", "a.SVG", None, 150)
    with reserved([("--out", "a.SVG")], None) as (output,):
        write_picture(output, new_figure()[0], 150)
    assert (folder / "a.SVG").read_bytes().startswith(b"<?xml")
    with pytest.raises(CommandError, match=r"--out a\.gif: expected a name ending in \.png"):
        check_picture("--out", "a.gif", None, 150)
    with pytest.raises(CommandError, match=r"--dpi 2400: the picture would be 240,000 dots long"):
        check_picture("--out", "a.png", (100.0, 3.0), 2400)
    check_picture("--out", "a.pdf", (100.0, 3.0), 2400)
