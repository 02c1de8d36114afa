"""Rows of scenes for an encoder: packed, or in buckets of similar length.

    rows = SceneRows(scenes, {"feature": (150,)}, width=64, most=12)
    rows.padding()                                          # 0.0003
    batches = rows.train_batches(batch_size=32, seed=0)

A packed row holds several scenes side by side, and 'segment' tells them apart. Each scene comes
exactly once per epoch, in rows that are planned for each epoch (`vujax.data.packing`). With buckets
a row holds one scene, and all rows of a batch are as wide as their bucket: simpler, with more
padding, and one compilation for each bucket.

All epochs have the same number of rows, and the position of a row follows from the lengths of the
scenes alone, so that here too the batch of a step is a pure function of (seed, step).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import grain
import jax
import numpy as np

from vujax.data.films import input_arrays
from vujax.data.packing import Buckets, Packing, plan_buckets, plan_packing
from vujax.data.pipeline import (
    INDEX_PERIOD,
    Batch,
    RowIterator,
    StreamDataset,
    derive_seed,
    iterate,
    shard_for_host,
)
from vujax.data.scenes import Scenes

CACHED_ORDERS = 4  # two threads may be at the end of one epoch and at the start of the next


def batch_spec(
    inputs: Mapping[str, tuple[int, ...]],
    rows: int,
    *,
    width: int = 64,
    most: int = 12,
    buckets: Sequence[int] | None = None,
) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes and dtypes of a batch; with buckets those of the widest. Reads no data.

    Args:
      inputs: shape of one shot's 'image' `[k h w 3]`, 'audio' `[t mels]` or 'feature' `[f]`, `[k
        f]`.
      rows: rows of the batch.
      width: see `SceneRows`.
      most: see `SceneRows`.
      buckets: see `SceneRows`.
    """
    width, most = (width, most) if buckets is None else (max(buckets), 1)
    array = lambda dtype, *shape: jax.ShapeDtypeStruct((rows, *shape), dtype)  # noqa: E731
    return input_arrays(inputs, rows, width) | {
        "segment": array(np.int32, width),
        "place": array(np.int32, width),
        "time": array(np.float32, width),
        "scene": array(np.int32, most),
        "movie": array(np.int32, most),
        "index": array(np.int32),
    }


class SceneRows(StreamDataset):
    """Rows of scenes.

    The batches of `train_batches` are dicts as of `load`, and 'index'.

    Attributes:
      scenes: the scenes.
      examples: rows of an epoch.
    """

    def __init__(
        self,
        scenes: Scenes,
        inputs: Mapping[str, tuple[int, ...]],
        *,
        width: int = 64,
        most: int = 12,
        buckets: Sequence[int] | None = None,
        workers: int = 0,
    ) -> None:
        """Plan the rows; shots are read when a batch is loaded.

        Args:
          scenes: see `vujax.data.scenes`.
          inputs: inputs to read of each shot, see `batch_spec`.
          width: shots of a row.
          most: maximum number of scenes of a row; less than about `width` over the mean length
            leaves padding.
          buckets: None: rows are packed; else the widths of the rows, one scene in each, and
            `width` and `most` are ignored.
          workers: processes that read; 0: threads of this process.

        Raises:
          ValueError: a scene does not fit into a row or has other inputs, or a size is not
            positive.
        """
        self.scenes, self._inputs, self.workers = scenes, dict(inputs), workers
        self._lengths = np.asarray(scenes.lengths, np.int64)
        widest = width if buckets is None else max(buckets, default=0)
        longest = int(self._lengths.argmax())
        if self._lengths[longest] > widest:
            raise ValueError(
                f"scene {scenes.keys[longest]} has {self._lengths[longest]} shots, and a row "
                f"{widest}: make rows wider, or scenes shorter with max_shots"
            )
        self._plan: Packing | Buckets = (
            plan_packing(self._lengths, width=width, most=most)
            if buckets is None
            else plan_buckets(self._lengths, buckets)
        )
        self.examples = self._plan.rows()
        self._sizes = dict(width=width, most=most, buckets=buckets)
        self._orders: dict[tuple[int | None, int, int], np.ndarray] = {}
        self.load(np.zeros((1, 1), np.int64), widest)  # raises now, not in a worker

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the cached orders: each process draws its own."""
        return self.__dict__ | {"_orders": {}}

    def batch_spec(self, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
        """Return the shapes and dtypes of a batch of `rows` rows; see the function `batch_spec`."""
        return batch_spec(self._inputs, rows, **self._sizes)

    def padding(self, batch_size: int = 1) -> float:
        """Return the share of an epoch's shot slots that are empty; `batch_size` is for buckets."""
        order = self._plan.order(None, batch_size)
        batches = (order[i : i + batch_size] for i in range(0, len(order), batch_size))
        slots = sum(len(rows) * self._plan.width(rows) for rows in batches)
        return 1 - int(self._lengths.sum()) / slots

    def vacancy(self, batch_size: int = 1) -> float:
        """Return the share of an epoch's scene slots that are empty."""
        return float((self._plan.order(None, batch_size) < 0).mean())

    def open_stream(self, rows: int, hosts: int, seed: int) -> grain.MapDataset:
        """Return the endless stream of batch shards, dicts as of `load` with 'index'."""
        load = _LoadShard(self, rows, hosts, derive_seed(seed, "order of scenes"))
        return grain.MapDataset.range(1).repeat().map_with_index(load)

    def eval_batches(self, *, batch_size: int, host: int = 0, hosts: int = 1) -> RowIterator:
        """Return batches of every scene once; all hosts get the same number of batches.

        Args:
          batch_size: rows of a batch over all hosts.
          host: number of this host.
          hosts: number of hosts.

        Returns:
          An iterator, with `close()`, of dicts as of `train_batches`; rows that fill the last batch
          are empty.

        Raises:
          ValueError: `batch_size` is not divisible by `hosts`.
        """
        rows, shard = shard_for_host(batch_size, host, hosts, 0)
        shards = -(-self._plan.rows(batch_size) // batch_size) * hosts
        load = _LoadShard(self, rows, hosts, None)
        return iterate(grain.MapDataset.range(shards).map_with_index(load)[shard], self.workers)

    def load(self, rows: np.ndarray, width: int) -> Batch:
        """Load rows of scenes, int `[r s]`, -1 for none; the shots of each row fit into `width`.

        Returns:
          The inputs of the shots `[r width ...]`, 0 in empty slots; segment int32 `[r width]`, 1
          for the first scene of a row, 0 in empty slots; place int32 `[r width]`, number of the
          shot in its scene; time float32 `[r width]`, see `Scenes`; scene and movie int32 `[r s]`,
          -1 for none.

        Raises:
          ValueError: a scene has other inputs than declared, or they are not finite.
        """
        arrays = input_arrays(self._inputs, len(rows), width)
        batch = {name: np.zeros(array.shape, array.dtype) for name, array in arrays.items()}
        for name, dtype in (("segment", np.int32), ("place", np.int32), ("time", np.float32)):
            batch[name] = np.zeros((len(rows), width), dtype)
        for row, scenes in enumerate(rows):
            start = 0
            for segment, scene in enumerate(scenes[scenes >= 0].tolist(), 1):
                length = int(self._lengths[scene])
                layout = {"segment": segment, "place": np.arange(length)}
                for name, value in (self._read(scene) | layout).items():
                    batch[name][row, start : start + length] = value
                start += length
        movie = np.where(rows >= 0, self.scenes.movie[rows], -1)
        return batch | {"scene": rows.astype(np.int32), "movie": movie.astype(np.int32)}

    def _read(self, scene: int) -> Batch:
        """Return the checked inputs of a scene."""
        inputs, key = self.scenes.inputs(scene), self.scenes.keys[scene]
        for name, shape in self._inputs.items():
            if name not in inputs:
                raise ValueError(f"scene {key} has no {name}, only {', '.join(sorted(inputs))}")
            if inputs[name].shape != (self._lengths[scene], *shape):
                raise ValueError(
                    f"scene {key} has a {name} of shape {list(inputs[name].shape[1:])} for each "
                    f"shot, where {list(shape)} was declared"
                )
            if not np.isfinite(inputs[name]).all():
                raise ValueError(f"scene {key} has a {name} that is not finite: compute it again")
        return {name: inputs[name] for name in (*self._inputs, "time")}

    def _rows(self, seed: int | None, batch_size: int, positions: np.ndarray) -> np.ndarray:
        """Return the rows at stream positions, `[r s]`; without a seed there is only one epoch."""
        epochs, places = np.divmod(positions, self._plan.rows(batch_size))
        if seed is None:
            rows = self._order(None, batch_size, 0)[places]
            return np.where((epochs == 0)[:, None], rows, -1)
        numbers = np.unique(epochs).tolist()  # in order, as the positions are
        return np.concatenate(
            [self._order(seed, batch_size, epoch)[places[epochs == epoch]] for epoch in numbers]
        )

    def _order(self, seed: int | None, batch_size: int, epoch: int) -> np.ndarray:
        """Return all rows of an epoch, `[rows s]`; without a seed in a fixed order."""
        key = (seed, batch_size, epoch)
        if key not in self._orders:
            rng = None if seed is None else np.random.default_rng([seed, epoch])
            recent = list(self._orders.items())[1 - CACHED_ORDERS :]
            self._orders = dict(recent) | {key: self._plan.order(rng, batch_size)}
        return self._orders[key]


class _LoadShard:
    """Number of a batch shard to the shard; a class because workers must pickle it."""

    def __init__(self, rows: SceneRows, size: int, hosts: int, seed: int | None) -> None:
        self._rows, self._size, self._hosts, self._seed = rows, size, hosts, seed

    def __call__(self, shard: int, _: int) -> Batch:
        batch_size = self._size * self._hosts
        step, host = divmod(shard, self._hosts)
        positions = step * batch_size + np.arange(batch_size)
        batch_rows = self._rows._rows(self._seed, batch_size, positions)
        mine = slice(host * self._size, (host + 1) * self._size)
        batch = self._rows.load(batch_rows[mine], self._rows._plan.width(batch_rows))
        return batch | {"index": (positions[mine] % INDEX_PERIOD).astype(np.int32)}
