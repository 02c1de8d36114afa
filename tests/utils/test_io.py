"""Atomic files and leaf names."""

import json

import jax.numpy as jnp
import pytest

from vujax.utils.io import csv_rows, json_lines, write_atomically, write_json
from vujax.utils.trees import flatten, unflatten


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = write_json(tmp_path / "sub" / "a.json", {"b": 1})

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert json.loads(path.read_text()) == {"b": 1}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_flatten_and_back():
    tree = {"a": {"b": jnp.ones(2), "c": {"d": jnp.zeros(())}}}
    assert sorted(flatten(tree)) == ["a/b", "a/c/d"]
    assert unflatten(flatten(tree)) == tree


def test_rows_as_csv_and_as_lines_of_json(tmp_path):
    rows = [{"a": 1, "b": "é, x"}, {"a": None, "b": 'say "no"'}]
    csv_rows(tmp_path / "a.csv", ["b", "a"], iter(rows))
    assert (tmp_path / "a.csv").read_bytes().decode() == 'b,a\r\n"é, x",1\r\n"say ""no""",\r\n'
    json_lines(tmp_path / "a.jsonl", iter(rows))
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == rows
