"""A first-in, first-out queue of earlier keys, sharded over the devices (He et al. 2020, MoCo).

It holds whole batches of keys, `[slots rows ...]`: a device has its own rows of every batch, so
that keys join the queue without moving between devices.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec as P

from vujax.losses.memory_bank import NO_FILM
from vujax.utils.mesh import AXIS

Queue = dict[str, Any]


def init_queue(capacity: int, rows: int, dim: int, *, ids: Sequence[str], unit: str) -> Queue:
    """Return an empty queue.

    Args:
      capacity: number of keys.
      rows: number of keys in a batch.
      dim: size of a key.
      ids: names of the int32 ids of each key; NO_FILM in empty entries.
      unit: what the keys of a batch are, for the message.

    Returns:
      'vectors' float32 `[slots rows dim]`, the ids `[slots rows]`, and 'next' int32 `()`, the slot
      that the next batch goes to.

    Raises:
      ValueError: the capacity is no multiple of the batch.
    """
    if capacity % rows or capacity < rows:
        raise ValueError(f"method.queue {capacity} must be a multiple of the {rows} {unit}")
    slots = capacity // rows
    vectors = jnp.zeros((slots, rows, dim), jnp.float32)
    empty = {name: jnp.full((slots, rows), NO_FILM, jnp.int32) for name in ids}
    return {"vectors": vectors} | empty | {"next": jnp.zeros((), jnp.int32)}


def queue_specs(queue: Queue) -> dict[str, P]:
    """Return the layout: the rows of each batch are sharded over the devices."""
    return {name: P() if name == "next" else P(None, AXIS) for name in queue}


def enqueue(queue: Queue, keys: Mapping[str, jax.Array]) -> Queue:
    """Return the queue with a batch of keys, `[rows ...]` by name, in place of the oldest one."""
    stored = {
        name: lax.dynamic_update_index_in_dim(
            queue[name], lax.stop_gradient(keys[name]), queue["next"], 0
        )
        for name in queue
        if name != "next"
    }
    return stored | {"next": (queue["next"] + 1) % len(queue["vectors"])}


def flatten_queue(queue: Queue) -> dict[str, jax.Array]:
    """Return this device's shard of the queue, `[slots * rows ...]`, by name."""
    return {name: x.reshape((-1, *x.shape[2:])) for name, x in queue.items() if name != "next"}


def compute_positions(queue: Queue, axis_name: str | None) -> jax.Array:
    """Return each key's position in the global queue, int32, in the order of `flatten_queue`.

    Positions do not depend on the number of devices.
    """
    slots, rows = queue["vectors"].shape[:2]
    row, devices = jnp.arange(rows, dtype=jnp.int32), 1
    if axis_name is not None:
        devices = lax.axis_size(axis_name)
        row += lax.axis_index(axis_name) * rows
    return (jnp.arange(slots, dtype=jnp.int32)[:, None] * (rows * devices) + row).ravel()
