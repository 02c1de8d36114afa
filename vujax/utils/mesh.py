"""Device mesh with one axis, and global arrays from the rows of each host."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

AXIS = "data"


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Build a mesh with one axis named 'data' over `devices` (default: all of the job)."""
    devices = jax.devices() if devices is None else devices
    # Auto: since jax 0.7 the default is Explicit, which types arrays by their sharding.
    return jax.make_mesh((len(devices),), (AXIS,), devices=devices, axis_types=(AxisType.Auto,))


def replicated_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding of a replicated array."""
    return NamedSharding(mesh, P())


def row_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding of an array whose first axis is divided among the devices."""
    return NamedSharding(mesh, P(AXIS))


def make_global_batch(mesh: Mesh, host_batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """Build global arrays `[b * hosts ...]` from this host's rows `[b ...]`.

    Raises:
      ValueError: the rows do not divide among this host's devices.
    """
    devices = mesh.local_mesh.size
    for name, value in host_batch.items():
        if len(value) % devices:
            raise ValueError(
                f"batch entry '{name}' has {len(value)} rows on this host, which do not divide "
                f"among its {devices} devices: make batch_size a multiple of {mesh.size}"
            )
    sharding = row_sharding(mesh)
    return {
        k: jax.make_array_from_process_local_data(sharding, np.asarray(v))
        for k, v in host_batch.items()
    }
