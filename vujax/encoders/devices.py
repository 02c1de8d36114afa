"""A network on all devices of a process."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vujax.utils.mesh import make_mesh, replicated_sharding, row_sharding

Tree = Any
MAX_COPIES_BYTES = 1 << 30
"""Bytes that all copies of a network's weights may take in the memory that a CPU's devices share;
one copy may take more."""


def build_weight_mesh(variables: Tree) -> Mesh:
    """This process's devices, each of which is to hold the variables; of a CPU fewer if large."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        size = sum(x.nbytes for x in jax.tree.leaves(variables))
        devices = devices[: max(1, MAX_COPIES_BYTES // max(size, 1))]
    return make_mesh(devices)


class ShardedFunction:
    """A compiled function of rows; the devices of `mesh_for` share each batch.

    Attributes:
      devices: how many there are.
    """

    def __init__(self, function: Callable[[Tree, Tree], jax.Array], variables: Tree) -> None:
        """Puts the variables onto the devices.

        Args:
          function: of variables and of arrays `[b ...]` to an array `[b ...]`; may not mix rows.
          variables: its first argument.
        """
        self._mesh, self._function = build_weight_mesh(variables), jax.jit(function)
        self._variables = jax.device_put(variables, replicated_sharding(self._mesh))

    @property
    def devices(self) -> int:
        return self._mesh.size

    def dim(self, rows: Tree) -> int:
        """The last axis of what it makes of such rows; computes nothing."""
        return jax.eval_shape(self._function, self._variables, rows).shape[-1]

    def __call__(self, rows: Tree) -> jax.Array:
        """Arrays `[b ...]` of numpy -> `[b ...]`, still being computed."""
        count = len(jax.tree.leaves(rows)[0])
        if padding := -count % self._mesh.size:
            rows = jax.tree.map(lambda x: np.pad(x, [(0, padding)] + [(0, 0)] * (x.ndim - 1)), rows)
        found = self._function(self._variables, jax.device_put(rows, row_sharding(self._mesh)))
        return found[:count] if padding else found
