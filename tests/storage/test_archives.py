"""What the headers of a .npz file promise is known before anything is expanded."""

import io
import zipfile

import numpy as np
import pytest

from fastkb.runtime import memory
from fastkb.storage import archives
from fastkb.storage.archives import Archive, Header

ARRAYS = {
    "rows": np.arange(12.0).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "swapped": np.arange(5, dtype=">f4"),
    "number": np.array(7),
    "flags": np.array([True, False]),
    "labels": np.array(["a", "bc"]),
    "nothing": np.zeros((0, 3)),
    "empty text": np.array([""]),
    "dates": np.array(["2020-01-01"], "datetime64[D]"),
    "records": np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    "a/b.c": np.ones(3),
}


def archive(arrays, save=np.savez):
    file = io.BytesIO()
    save(file, **arrays)
    return file


def members(**content):
    """An archive of these bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, each in content.items():
            out.writestr(name.replace("_", "."), each)
    return file


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_that_numpy_reads(save, monkeypatch):
    file = archive(ARRAYS, save)
    for block in (archives._BLOCK, 7):
        monkeypatch.setattr(archives, "_BLOCK", block)
        opened = Archive(file)
        assert list(opened.headers) == list(ARRAYS)
        found = opened.read(ARRAYS, "a test")
        file.seek(0)
        with np.load(file) as expected:
            for name, array in found.items():
                assert opened.headers[name] == Header(expected[name].shape, expected[name].dtype)
                np.testing.assert_array_equal(array, expected[name])
                assert array.dtype == expected[name].dtype
                assert array.flags.writeable
                assert array.flags.f_contiguous == expected[name].flags.f_contiguous


def test_headers_are_read_and_nothing_else(monkeypatch):
    """A gigabyte of zeros is a megabyte in the file."""
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**8)
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out,
        out.open("a.npy", "w", force_zip64=True) as member,
    ):
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**27,)}
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(2**10):
            member.write(bytes(2**20))
    opened = Archive(file)
    assert opened.headers["a"].size == 2**30
    with pytest.raises(MemoryError, match=r"a test needs 1\.1 GB, and 0\.1 GB of memory are free"):
        opened.read(["a"], "a test")


LONG = b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little") + b" " * 100


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (members(letter_txt=b"hello"), "'letter.txt', which is no array"),
        (members(a_npy=npy(np.ones(3))[:-8]), "'a' has 16 bytes, and its header promises 24"),
        (members(a_npy=npy(np.ones(3)) + b"x"), "'a' has 25 bytes, and its header promises 24"),
        (members(a_npy=LONG), "'a' has a header of 4294967295 bytes"),
        (members(a_npy=b"hello, hello"), "magic"),
        (members(a_npy=b""), "EOF"),
        (archive({"a": np.array([None])}), "'a': Object arrays cannot be loaded"),
    ],
)
def test_what_is_no_archive_of_arrays(file, message):
    with pytest.raises(ValueError, match=message):
        Archive(file)


def test_two_arrays_of_one_name():
    file = archive({"a": np.ones(2)})
    with zipfile.ZipFile(file, "a") as out, pytest.warns(UserWarning, match="Duplicate name"):
        out.writestr("a.npy", npy(np.zeros(2)))
    with pytest.raises(ValueError, match="two arrays of the name 'a'"):
        Archive(file)


def test_a_wrong_checksum_is_noticed():
    values = np.arange(1000.0)
    content = bytearray(archive({"a": values}).getvalue())
    content[content.index(values[500:600].tobytes())] ^= 1
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        Archive(io.BytesIO(content)).read(["a"], "a test")


def test_a_stream_that_cannot_be_unpacked_is_damage():
    """Another method of compression than the one that was used: bzip2's errors have no number."""
    content = bytearray(archive({"a": np.arange(1000.0)}, np.savez_compressed).getvalue())
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        method = whole.infolist()[0].compress_type
    wanted = method.to_bytes(2, "little"), zipfile.ZIP_BZIP2.to_bytes(2, "little")
    for place in (content.index(b"PK\x03\x04") + 8, content.index(b"PK\x01\x02") + 10):
        assert content[place : place + 2] == wanted[0]
        content[place : place + 2] = wanted[1]
    with pytest.raises(ValueError, match="it is damaged: Invalid data stream"):
        Archive(io.BytesIO(content)).read(["a"], "a test")
