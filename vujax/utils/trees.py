"""Names of the leaves of parameter trees."""

from typing import Any

import jax

Tree = Any


def leaf_name(path: tuple[Any, ...]) -> str:
    """A key path of jax.tree_util as 'image/blocks/mlp/kernel'."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def flatten(tree: Tree) -> dict[str, Any]:
    """A tree as one dictionary from leaf names to leaves."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {leaf_name(path): leaf for path, leaf in leaves}


def unflatten(flat: dict[str, Any]) -> Tree:
    """Nested dictionaries from leaf names; the inverse of `flatten` for trees of dictionaries."""
    tree: dict[str, Any] = {}
    for name, leaf in flat.items():
        *parents, last = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree
