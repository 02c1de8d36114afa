"""Atomic files and leaf names."""

import json

import jax.numpy as jnp
import pytest

from vujax.files import write_atomically, write_json
from vujax.trees import flatten, unflatten


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
