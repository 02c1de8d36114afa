"""File patterns, stamped files and cached indexes."""

import bz2
import gzip
import lzma
import re

import pytest

from vujax.data.sources.files import StampedFile, expand_patterns, load_or_build_index
from vujax.data.sources.table import TableSource
from vujax.data.sources.webdataset import WebDatasetSource


def touch(folder, *names):
    for name in names:
        (folder / name).write_text(name)


def test_globs_are_sorted_and_patterns_keep_their_order(tmp_path):
    touch(tmp_path, "b2.tar", "b1.tar", "a.tar")
    found = expand_patterns([f"{tmp_path}/b*.tar", tmp_path / "a.tar"])
    assert [p.rsplit("/", 1)[1] for p in found] == ["b1.tar", "b2.tar", "a.tar"]


def test_braces_keep_the_width_of_their_numbers(tmp_path):
    touch(tmp_path, "s-08-x.tar", "s-09-x.tar", "s-10-x.tar", "s-10-y.tar")
    found = expand_patterns(f"{tmp_path}/s-{{08..10}}-{{x,y}}.tar".replace(",y", ""))
    assert [p.rsplit("/", 1)[1] for p in found] == ["s-08-x.tar", "s-09-x.tar", "s-10-x.tar"]
    assert len(expand_patterns(f"{tmp_path}/s-10-{{x,y}}.tar")) == 2


@pytest.mark.parametrize("pattern", ["*.tar", "{000..002}.tar", "one.tar"])
def test_what_matches_nothing_is_named(tmp_path, pattern):
    with pytest.raises(FileNotFoundError, match=r"no such file|matches no file"):
        expand_patterns(f"{tmp_path}/{pattern}")


def test_a_missing_shard_of_a_range_is_named(tmp_path):
    touch(tmp_path, "0.tar", "2.tar")
    with pytest.raises(FileNotFoundError, match=r"1\.tar: no such file"):
        expand_patterns(f"{tmp_path}/{{0..2}}.tar")


def test_names_with_braces_and_stars_are_files_first(tmp_path):
    touch(tmp_path, "odd{1,2}*.tar")
    assert expand_patterns(tmp_path / "odd{1,2}*.tar") == [str(tmp_path / "odd{1,2}*.tar")]


def test_an_empty_list_is_refused():
    with pytest.raises(FileNotFoundError, match="no file was named"):
        expand_patterns([])


def test_more_files_than_descriptors_are_kept_open(tmp_path):
    names = [f"{i:03d}" for i in range(300)]
    touch(tmp_path, *names)
    files = [StampedFile.stamp(tmp_path / name) for name in names]
    for _ in range(2):
        assert [file.read(1, 2).decode() for file in files] == [name[1:] for name in names]


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "f"
    path.write_text("before")
    file = StampedFile.stamp(path)
    path.write_text("after that")
    with pytest.raises(ValueError, match="has changed since it was indexed"):
        file.read(0, 3)


def test_a_kept_index_serves_until_the_file_changes(tmp_path):
    import numpy as np

    path, folder = tmp_path / "f", str(tmp_path / "index")
    path.write_text("x")
    calls = []

    def build(file):
        calls.append(file)
        return np.array([[0, file.size]], np.int64)

    for _ in range(2):
        np.testing.assert_array_equal(
            load_or_build_index(StampedFile.stamp(path), build, folder), [[0, 1]]
        )
    assert len(calls) == 1
    path.write_text("xyz")
    np.testing.assert_array_equal(
        load_or_build_index(StampedFile.stamp(path), build, folder), [[0, 3]]
    )
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("name", "pack", "message"),
    [
        ("s.tar.gz", gzip.compress, "compressed by gzip, not a tar shard: decompress it"),
        ("s.tar.xz", lzma.compress, "compressed by xz, not a tar shard: decompress it"),
        ("s.tar.bz2", bz2.compress, "compressed by bzip2, not a tar shard: decompress it"),
        ("s.parquet", lambda data: b"PAR1" + data, "a Parquet table, not a tar shard: write its"),
        ("s.tar.zip", lambda data: b"PK\x03\x04" + data, "a zip archive, not a tar shard: unpack"),
    ],
)
@pytest.mark.parametrize("truncated", ["error", "keep"])
def test_packed_files_are_named_as_what_they_are(tmp_path, name, pack, message, truncated):
    (tmp_path / name).write_bytes(pack(bytes(2048)))
    with pytest.raises(ValueError, match=rf"{re.escape(name)} is {message}"):
        WebDatasetSource(str(tmp_path / name), truncated=truncated)
    table = message.replace("a tar shard", "a CSV or TSV table")
    with pytest.raises(ValueError, match=rf"{re.escape(name)} is {table}"):
        TableSource(str(tmp_path / name))
