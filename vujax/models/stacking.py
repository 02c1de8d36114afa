"""Two layouts of a transformer's parameters: a subtree per block, or one stacked for scan."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

Tree = dict[str, Any]
_BLOCK = re.compile(r"block\d+")


def stack_blocks(tree: Mapping[str, Any]) -> Tree:
    """Replaces 'block00', 'block01', ... by one 'blocks' subtree of leaves [layers ...].

    They are found anywhere in nested dicts of arrays: parameters, or anything of the same names.
    A tree that is stacked already comes back unchanged. Inverse: `unstack_blocks`.
    """
    names = sorted(
        (name for name in tree if _BLOCK.fullmatch(name)), key=lambda name: int(name[5:])
    )
    rest = {
        name: stack_blocks(value) if isinstance(value, Mapping) else value
        for name, value in tree.items()
        if name not in names
    }
    if not names:
        return rest
    blocks = [tree[name] for name in names]
    return rest | {"blocks": jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)}


def unstack_blocks(tree: Mapping[str, Any]) -> Tree:
    """Replaces every 'blocks' subtree by 'block00', 'block01', ...; inverse of `stack_blocks`."""
    result: Tree = {}
    for name, value in tree.items():
        if name == "blocks":
            layers = jax.tree.leaves(value)[0].shape[0]
            for i in range(layers):
                result[f"block{i:02d}"] = jax.tree.map(lambda leaf, i=i: leaf[i], value)
        else:
            result[name] = unstack_blocks(value) if isinstance(value, Mapping) else value
    return result
