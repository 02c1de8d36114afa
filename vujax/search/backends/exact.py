"""Exact search in JAX, with the rows sharded over the devices.

Each device multiplies the queries with its own vectors and selects its best `k`; only these are
communicated. Products are float32 at the highest precision, also for 16-bit vectors.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, Sharding
from jax.sharding import PartitionSpec as P

from vujax.search.backends.base import Neighbors, Report, select_best
from vujax.utils.mesh import AXIS, make_mesh, replicated_sharding, row_sharding

MAX_SCORES = 2**26
"""Maximum number of scores on one device: 256 MiB of float32."""


class Exact:
    """A `SearchBackend` that compares all rows.

    Programs are compiled for `k` and the number of queries rounded up to powers of two.
    """

    name = "exact"

    def __init__(self, vectors: np.ndarray, mesh: Mesh | None = None) -> None:
        """Put the vectors on the devices.

        Args:
          vectors: `[n d]`, float32, float16 or bfloat16, n at least 1; may be mapped from a file.
          mesh: devices to use; None for all.
        """
        self._mesh = make_mesh() if mesh is None else mesh
        self._count = len(vectors)
        self._local = -(-len(vectors) // self._mesh.size)
        self._vectors = self._place(vectors)
        self._all = self._place(np.ones(len(vectors), bool))
        # One query reads 16-bit vectors directly; for several, XLA would convert all of them first.
        wide = vectors.dtype == np.float32
        self._most = max(1, MAX_SCORES // self._local) if wide else 1

    @classmethod
    def open(cls, vectors: np.ndarray, folder: Path | None, report: Report) -> "Exact":
        """Open it over embeddings; see `SearchBackend.open`."""
        del folder, report  # nothing is built
        return cls(vectors)

    def search(self, queries: np.ndarray, k: int, mask: np.ndarray | None = None) -> Neighbors:
        """See `SearchBackend`."""
        queries = np.float32(queries)
        if queries.ndim != 2 or queries.shape[1] != self._vectors.shape[1]:
            raise ValueError(
                f"queries {queries.shape} do not match vectors of dim {self._vectors.shape[1]}"
            )
        if k < 1:
            raise ValueError(f"k must be 1 or more, got {k}")
        block = min(_power(len(queries)), 1 << (self._most.bit_length() - 1))
        program = _nearest(self._mesh, min(_power(k), self._count), self._local)
        allowed = self._all if mask is None else self._place(np.asarray(mask, bool))
        parts = [
            program(_padded(queries[first : first + block], block), self._vectors, allowed)
            for first in range(0, len(queries), block)
        ]
        scores, rows = (np.concatenate([np.asarray(p[i]) for p in parts]) for i in (0, 1))
        return select_best(scores[: len(queries)], rows[: len(queries)], k)

    def _place(self, value: np.ndarray) -> jax.Array:
        """Shard `[n ...]` by rows, padded with zeros to a multiple of the devices."""
        shape = (self._local * self._mesh.size, *value.shape[1:])
        return _placed(value, shape, row_sharding(self._mesh))


def _placed(value: np.ndarray, shape: tuple[int, ...], sharding: Sharding) -> jax.Array:
    def part(index: tuple[slice, ...]) -> np.ndarray:
        first, last, _ = index[0].indices(shape[0])
        mine = value[first:last]
        missing = last - first - len(mine)
        return np.pad(mine, ((0, missing), *((0, 0),) * (mine.ndim - 1))) if missing else mine

    return jax.make_array_from_callback(shape, sharding, part)


def _padded(queries: np.ndarray, rows: int) -> np.ndarray:
    return np.pad(queries, ((0, rows - len(queries)), (0, 0)))


def _power(n: int) -> int:
    """Return the smallest power of two that is at least n."""
    return 1 << max(n - 1, 0).bit_length()


@functools.lru_cache(maxsize=64)
def _nearest(mesh: Mesh, k: int, local: int) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Build `(queries [q d], vectors [n d], mask [n]) -> (scores [q k], rows [q k])`."""

    def search_shard(queries, vectors, allowed):
        wide = vectors.T.astype(jnp.float32)
        scores = jnp.matmul(queries, wide, precision=lax.Precision.HIGHEST)  # [q local]
        scores, rows = lax.top_k(jnp.where(allowed, scores, -jnp.inf), min(k, local))
        return scores, rows + lax.axis_index(AXIS) * local

    shard = jax.shard_map(
        search_shard,
        mesh=mesh,
        in_specs=(P(), P(AXIS), P(AXIS)),
        out_specs=P(None, AXIS),  # candidates of all devices, in order of rows
        check_vma=True,
    )

    def search_all(queries, vectors, allowed):
        scores, rows = shard(queries, vectors, allowed)
        scores, place = lax.top_k(scores, k)  # ties: the first, which is the lowest row
        return scores, jnp.take_along_axis(rows, place, axis=1)

    return jax.jit(search_all, out_shardings=replicated_sharding(mesh))
