"""Parameter trees: names of their leaves, flat dictionaries, comparison of shapes."""

from typing import Any

import jax

Tree = Any


def leaf_name(path: tuple[Any, ...]) -> str:
    """Return a key path of jax.tree_util as 'image/blocks/mlp/kernel'."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def flatten_tree(tree: Tree) -> dict[str, Any]:
    """Return a tree as one dictionary from leaf names to leaves."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {leaf_name(path): leaf for path, leaf in leaves}


def unflatten_tree(flat: dict[str, Any]) -> Tree:
    """Return nested dictionaries; the inverse of `flatten_tree` for trees of dictionaries."""
    tree: dict[str, Any] = {}
    for name, leaf in flat.items():
        *parents, last = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree


def compare_shapes(saved: dict[str, Any], wanted: dict[str, Any], where: str, remedy: str) -> None:
    """Check that two flat trees have the same names and shapes.

    Args:
      saved: leaves on disk, by name.
      wanted: leaves of the state to fill, by name.
      where: source of `saved`, for the message.
      remedy: what the user can do, for the message.

    Raises:
      ValueError: a leaf is missing, left over or of another shape.
    """
    if missing := sorted(wanted.keys() - saved.keys()):
        raise ValueError(f"{where} has no '{missing[0]}' ({len(missing)} such leaves): {remedy}")
    if surplus := sorted(saved.keys() - wanted.keys()):
        raise ValueError(
            f"{where} holds '{surplus[0]}', which this config does not have ({len(surplus)} such "
            f"leaves): {remedy}"
        )
    for name, leaf in wanted.items():
        had, wants = tuple(saved[name].shape), tuple(leaf.shape)
        if had != wants:
            raise ValueError(
                f"{where} has '{name}' of shape {had}, this config asks for {wants}: {remedy}"
            )
