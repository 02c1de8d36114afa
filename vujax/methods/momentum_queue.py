"""A queue of earlier keys, first in, first out, divided among the devices (He et al. 2020, MoCo).

It lies in whole batches of keys, `[slots rows ...]`: a device holds its own rows of every batch, so
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


def empty(keys: int, rows: int, dim: int, ids: Sequence[str], words: str) -> Queue:
    """A queue without a key.

    Args:
      keys: places that it has.
      rows: keys of a batch.
      dim: numbers of a key.
      ids: names of what is known of each key, int32; NO_FILM in empty places.
      words: what the keys of a batch are, for the message.

    Returns:
      'vectors' float32 `[slots rows dim]`, the ids `[slots rows]`, and 'next' int32 `()`, the slot
      that the next batch goes to.

    Raises:
      ValueError: it would not hold whole batches.
    """
    if keys % rows or keys < rows:
        raise ValueError(f"method.queue {keys} must be a multiple of the {rows} {words}")
    slots = keys // rows
    vectors = jnp.zeros((slots, rows, dim), jnp.float32)
    known = {name: jnp.full((slots, rows), NO_FILM, jnp.int32) for name in ids}
    return {"vectors": vectors} | known | {"next": jnp.zeros((), jnp.int32)}


def layout(queue: Queue) -> dict[str, P]:
    """The rows of each batch are divided among the devices."""
    return {name: P() if name == "next" else P(None, AXIS) for name in queue}


def enqueued(queue: Queue, keys: Mapping[str, jax.Array]) -> Queue:
    """The queue with a batch of keys, `[rows ...]` by name, in the place of the oldest one."""
    stored = {
        name: lax.dynamic_update_index_in_dim(
            queue[name], lax.stop_gradient(keys[name]), queue["next"], 0
        )
        for name in queue
        if name != "next"
    }
    return stored | {"next": (queue["next"] + 1) % len(queue["vectors"])}


def flat(queue: Queue) -> dict[str, jax.Array]:
    """A device's part of the queue, `[slots * rows ...]`, by name."""
    return {name: x.reshape(-1, *x.shape[2:]) for name, x in queue.items() if name != "next"}


def positions(queue: Queue, axis_name: str | None) -> jax.Array:
    """Where each key of `flat` stands in the whole queue, int32, whatever the devices."""
    slots, rows = queue["vectors"].shape[:2]
    row, devices = jnp.arange(rows, dtype=jnp.int32), 1
    if axis_name is not None:
        devices = lax.axis_size(axis_name)
        row += lax.axis_index(axis_name) * rows
    return (jnp.arange(slots, dtype=jnp.int32)[:, None] * (rows * devices) + row).ravel()
