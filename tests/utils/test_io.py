"""Atomic, durable writes of files, folders and tables."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.durability import record_syncs
from vujax.utils import io

NO_PROCESS = 1 << 22


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = io.write_json(tmp_path / "sub" / "a.json", {"b": 1})

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        io.write_atomically(path, fail)
    assert json.loads(path.read_text()) == {"b": 1}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_a_file_is_flushed_before_its_rename_and_its_folder_after(tmp_path, monkeypatch):
    events = record_syncs(monkeypatch)
    path = io.write_bytes(tmp_path / "a", b"x")
    (first, temporary), *rest = events
    assert first == "sync"
    assert temporary.parent == tmp_path
    assert temporary.name.startswith(".a.")
    assert rest == [("rename", path), ("sync", tmp_path)]


def test_a_folder_is_flushed_with_all_that_is_in_it(tmp_path, monkeypatch):
    events = record_syncs(monkeypatch)

    def fill(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("a")
        (folder / "b").write_text("b")

    target = io.write_folder_atomically(tmp_path / "out", fill)
    renamed = events.index(("rename", target))
    before = {path for event, path in events[:renamed] if event == "sync"}
    (temporary,) = {path for path in before if path.parent == tmp_path}
    assert before == {temporary, *(temporary / name for name in ("sub", "sub/a", "b"))}
    assert events[renamed + 1 :] == [("sync", tmp_path)]
    assert sorted(p.name for p in target.rglob("*")) == ["a", "b", "sub"]


def test_a_folder_is_replaced_only_on_request(tmp_path):
    target = io.write_folder_atomically(tmp_path / "out", lambda p: (p / "a").write_text("a"))
    with pytest.raises(FileExistsError, match="out exists already; name a new folder"):
        io.write_folder_atomically(target, lambda p: (p / "b").write_text("b"))
    io.write_folder_atomically(target, lambda p: (p / "b").write_text("b"), overwrite=True)
    assert [p.name for p in target.iterdir()] == ["b"]

    def fail(folder: Path) -> None:
        (folder / "c").write_text("c")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        io.write_folder_atomically(target, fail, overwrite=True)
    assert [p.name for p in target.iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_only_the_temporaries_of_dead_processes_are_removed(tmp_path):
    mine, other = io.temporary_path(tmp_path / "a.bin"), tmp_path / f".b.bin.{NO_PROCESS}.tmp"
    dead_file, dead_folder = (tmp_path / f".a.bin.{n}{NO_PROCESS}.tmp" for n in ("", "0f."))
    for path in (mine, other, dead_file, tmp_path / "a.bin"):
        path.touch()
    dead_folder.mkdir()
    io.remove_stale_temporaries(tmp_path, "a.bin")
    assert {p.name for p in tmp_path.iterdir()} == {mine.name, other.name, "a.bin"}
    io.remove_stale_temporaries(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {mine.name, "a.bin"}


def test_temporaries_of_another_host_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: NO_PROCESS)
    mine = io.temporary_path(tmp_path / "a")
    monkeypatch.setattr(io, "get_host_tag", lambda: "0f0f0f")
    other = io.temporary_path(tmp_path / "a")
    mine.touch()
    other.touch()
    io.remove_stale_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]
    monkeypatch.undo()
    io.remove_stale_temporaries(tmp_path)
    assert io.is_empty_folder(tmp_path) and not list(tmp_path.iterdir())


def test_what_killed_processes_left_does_not_fill_a_folder(tmp_path):
    (tmp_path / ".catalog.json.123.tmp").touch()
    io.temporary_path(tmp_path / "a").mkdir()
    assert io.is_empty_folder(tmp_path)
    (tmp_path / "notes.tmp").touch()
    assert not io.is_empty_folder(tmp_path)


def test_temporary_names_of_one_process_differ(tmp_path):
    one, two = (io.temporary_path(tmp_path / "a") for _ in range(2))
    assert one != two
    assert one.parent == tmp_path
    assert one.name.split(".")[-2:] == [str(os.getpid()), "tmp"]


def test_tables_in_every_format(tmp_path):
    schema = pa.schema([("b", pa.string()), ("a", pa.int32())])
    rows = [{"b": "é, x", "a": 1}, {"b": 'say "no"', "a": None}]
    tables = [pa.Table.from_pylist([row], schema=schema) for row in rows]
    for suffix in io.TABLE_SUFFIXES:
        io.write_table(tmp_path / f"t{suffix}", iter(tables), schema)
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == rows
    assert (tmp_path / "t.csv").read_bytes().decode() == 'b,a\r\n"é, x",1\r\n"say ""no""",\r\n'
    lines = (tmp_path / "t.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    with pytest.raises(ValueError, match=r"t\.xlsx has the unknown suffix '\.xlsx'; expected one"):
        io.write_table(tmp_path / "t.xlsx", tables, schema)


def test_one_table_has_the_bytes_of_pyarrow(tmp_path):
    table = pa.table({"a": np.arange(1000), "b": ["x"] * 1000})
    pq.write_table(table, tmp_path / "wanted", compression="zstd")
    io.write_parquet(tmp_path / "one.parquet", table)
    io.write_table(tmp_path / "parts.parquet", [table], table.schema)
    wanted = (tmp_path / "wanted").read_bytes()
    assert (tmp_path / "one.parquet").read_bytes() == wanted
    assert (tmp_path / "parts.parquet").read_bytes() == wanted


def test_arrays_keep_their_name(tmp_path):
    path = io.write_array(tmp_path / "vectors", np.arange(3))
    np.testing.assert_array_equal(np.load(path), np.arange(3))
    assert [p.name for p in tmp_path.iterdir()] == ["vectors"]


def test_rows_as_csv_and_as_lines_of_json(tmp_path):
    rows = [{"a": 1, "b": "é, x"}, {"a": None, "b": 'say "no"'}]
    io.write_csv_rows(tmp_path / "a.csv", ["b", "a"], iter(rows))
    assert (tmp_path / "a.csv").read_bytes().decode() == 'b,a\r\n"é, x",1\r\n"say ""no""",\r\n'
    io.write_json_lines(tmp_path / "a.jsonl", iter(rows))
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == rows


@pytest.mark.parametrize("path", ["gs://bucket/run", "s3://b", Path("gs://bucket/x"), "hdfs:/a"])
def test_the_address_of_a_bucket_is_no_path(path):
    with pytest.raises(ValueError, match=r"^(gs|s3|hdfs)://\w+.* is not on this machine.*mount"):
        io.check_local(path)


@pytest.mark.parametrize("path", ["a", "/a/b", "a:b/c", "./gs:/b", "C:", "a/b://c", "12:30/x"])
def test_these_are_paths(path):
    io.check_local(path)
