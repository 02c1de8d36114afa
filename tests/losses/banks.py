"""Banks of the tests of neighbors and candidates: complete, and sharded over a mesh."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from vujax.losses.memory_bank import Bank
from vujax.utils.mesh import AXIS


def complete(vectors: np.ndarray, keys: Any) -> tuple[Bank, np.ndarray]:
    """Return vectors `[slots rows d]` and keys `[slots rows]` as one bank, and its positions."""
    rows = vectors.reshape(-1, vectors.shape[-1])
    return Bank(rows, jax.tree.map(np.ravel, keys)), np.arange(len(rows), dtype=np.int32)


def on_mesh(
    mesh: Mesh, find: Callable, query: np.ndarray, ids: Any, vectors: np.ndarray, keys: Any
) -> Any:
    """Return what `find(query, ids, bank, position)` finds for queries and rows spread over a mesh.

    Each device has a part of every slot's rows; positions are those in the complete bank.
    """
    slots, rows, d = vectors.shape

    def share(query: jax.Array, ids: Any, vectors: jax.Array, keys: Any) -> Any:
        row = lax.axis_index(AXIS) * vectors.shape[1] + jnp.arange(vectors.shape[1])
        position = (jnp.arange(slots)[:, None] * rows + row).ravel().astype(jnp.int32)
        return find(
            query, ids, Bank(vectors.reshape(-1, d), jax.tree.map(jnp.ravel, keys)), position
        )

    specs = (P(AXIS), P(AXIS), P(None, AXIS), P(None, AXIS))
    mapped = jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=P(AXIS), check_vma=True)
    return jax.device_get(jax.jit(mapped)(query, ids, vectors, keys))
