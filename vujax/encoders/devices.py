"""Data-parallel inference of a network on all devices of a process."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vujax.utils.mesh import make_mesh, replicated_sharding, row_sharding

Tree = Any
MAX_COPIES_BYTES = 1 << 30
"""Maximum bytes of all copies of the weights in the memory that CPU devices share; one copy may be
larger."""


def build_weight_mesh(variables: Tree) -> Mesh:
    """Return the mesh of this process's devices; on CPU, fewer devices for large weights."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        size = sum(x.nbytes for x in jax.tree.leaves(variables))
        devices = devices[: max(1, MAX_COPIES_BYTES // max(size, 1))]
    return make_mesh(devices)


class ShardedFunction:
    """Compiled function of rows, with each batch sharded over the devices of `build_weight_mesh`.

    Attributes:
      devices: number of devices.
    """

    def __init__(self, function: Callable[[Tree, Tree], jax.Array], variables: Tree) -> None:
        """Copy the variables to the devices.

        Args:
          function: takes variables and arrays `[b ...]`, and returns an array `[b ...]` whose rows
            do not depend on each other.
          variables: first argument of the function.
        """
        self._mesh, self._function = build_weight_mesh(variables), jax.jit(function)
        self._variables = jax.device_put(variables, replicated_sharding(self._mesh))

    @property
    def devices(self) -> int:
        return self._mesh.size

    def dim(self, rows: Tree) -> int:
        """Return the size of the last axis of the result, without computing it."""
        return jax.eval_shape(self._function, self._variables, rows).shape[-1]

    def __call__(self, rows: Tree) -> jax.Array:
        """Return the result `[b ...]` of NumPy arrays `[b ...]`, still being computed."""
        count = len(jax.tree.leaves(rows)[0])
        if padding := -count % self._mesh.size:
            rows = jax.tree.map(lambda x: np.pad(x, [(0, padding)] + [(0, 0)] * (x.ndim - 1)), rows)
        found = self._function(self._variables, jax.device_put(rows, row_sharding(self._mesh)))
        return found[:count] if padding else found
