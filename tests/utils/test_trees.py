"""Leaf names and shapes of trees."""

import jax.numpy as jnp

from vujax.utils.trees import flatten_tree, unflatten_tree


def test_flatten_and_back():
    tree = {"a": {"b": jnp.ones(2), "c": {"d": jnp.zeros(())}}}
    assert sorted(flatten_tree(tree)) == ["a/b", "a/c/d"]
    assert unflatten_tree(flatten_tree(tree)) == tree
