"""Scenes in rows of shots for an encoder: packed, or in buckets of like length.

    rows = SceneRows(scenes, {"feature": (150,)}, width=64, most=12)
    rows.padding()                                          # 0.0003
    batches = rows.train_batches(batch_size=32, seed=0)

A packed row holds several scenes side by side, and 'segment' says which shot is of which. Each
scene comes exactly once a pass, in rows that are planned anew for each pass (`vujax.data.packing`).
In buckets a row holds one scene, and all rows of a batch are as wide as their bucket: simpler, with
more padding, and a program to compile for each bucket.

The batch of step k is a pure function of (seed, k), whatever the hosts and workers: all passes have
the same number of rows, so a row's place follows from the lengths of the scenes alone.
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
    TrainBatches,
    derive_seed,
    iterate,
    shard_for_host,
)
from vujax.data.records import BadSampleCounter
from vujax.data.scenes import Scenes

CACHED_ORDERS = (
    4  # orders of passes: two threads may be at the end of one and at the start of the next
)


def shapes(
    inputs: Mapping[str, tuple[int, ...]],
    rows: int,
    *,
    width: int = 64,
    most: int = 12,
    buckets: Sequence[int] | None = None,
) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays of a batch of `rows` rows; with buckets those of the widest one. Reads no data.

    Args:
      inputs: shape of one shot's 'image' `[k h w 3]`, 'audio' `[t mels]` or 'feature' `[f]`, `[k
        f]`.
      rows: of the batch.
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


class SceneRows:
    """Scenes in rows, in an order that needs no state.

    Attributes:
      scenes: the scenes.
      examples: rows of a pass over all scenes.
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
        """Plans the rows; shots are read when a batch is asked for.

        Args:
          scenes: see `vujax.data.scenes`.
          inputs: see `shapes`; what is read of each shot.
          width: shots of a row.
          most: scenes of a row; about `width` over the mean length, or there is padding.
          buckets: None: rows are packed; else the widths of the rows, one scene in each, and
            `width` and `most` do not matter.
          workers: processes that read; 0: threads of this one.

        Raises:
          ValueError: a scene does not fit into a row or has other inputs, or a size cannot be.
        """
        self.scenes, self._inputs, self._workers = scenes, dict(inputs), workers
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
        """Without the orders: each process draws its own."""
        return self.__dict__ | {"_orders": {}}

    def shapes(self, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
        """The arrays of a batch of `rows` rows, see the function of that name."""
        return shapes(self._inputs, rows, **self._sizes)

    def padding(self, batch_size: int = 1) -> float:
        """Share of the rows' places that hold no shot, in a pass; buckets depend on the batch."""
        order = self._plan.order(None, batch_size)
        batches = (order[i : i + batch_size] for i in range(0, len(order), batch_size))
        places = sum(len(rows) * self._plan.width(rows) for rows in batches)
        return 1 - int(self._lengths.sum()) / places

    def vacancy(self, batch_size: int = 1) -> float:
        """Share of the rows' places for scenes that hold none, in a pass."""
        return float((self._plan.order(None, batch_size) < 0).mean())

    def train_batches(
        self, *, batch_size: int, seed: int, start_step: int = 0, host: int = 0, hosts: int = 1
    ) -> TrainBatches:
        """This host's rows of the batches of steps `start_step`, `start_step + 1`, ...

        Args:
          batch_size: rows of one batch on all hosts together.
          seed: of the order; each pass over the scenes has one of its own.
          start_step: first step.
          host: this host's number.
          hosts: how many there are; host h has the h-th part of each batch.

        Returns:
          An endless iterator, with `close()`, of `load`'s dicts with index int32 `[r]` (the row's
          place in the stream, modulo 2^31), r = batch_size / hosts.

        Raises:
          ValueError: batch_size does not divide among the hosts.
        """
        rows, mine = shard_for_host(batch_size, host, hosts, start_step)
        load = _LoadPart(self, rows, hosts, derive_seed(seed, "order of scenes"))
        parts = grain.MapDataset.range(1).repeat().map_with_index(load)[mine]
        return TrainBatches(iterate(parts, self._workers), BadSampleCounter(0.0), alone=hosts == 1)

    def eval_batches(self, *, batch_size: int, host: int = 0, hosts: int = 1) -> Any:
        """Every scene once; all hosts get the same number of batches.

        Args: as for `train_batches`.

        Returns:
          An iterator, with `close()`, of dicts as there; rows that fill the last batch are empty.

        Raises:
          ValueError: batch_size does not divide among the hosts.
        """
        rows, mine = shard_for_host(batch_size, host, hosts, 0)
        parts = -(-self._plan.rows(batch_size) // batch_size) * hosts
        load = _LoadPart(self, rows, hosts, None)
        return iterate(grain.MapDataset.range(parts).map_with_index(load)[mine], self._workers)

    def load(self, rows: np.ndarray, width: int) -> Batch:
        """Rows of these scenes, int `[r s]`, -1 for none; each row's shots fit into `width`.

        Returns:
          The shots' inputs `[r width ...]`, 0 where there is no shot; segment int32 `[r width]`, 1
          for the first scene of a row, 0 for no shot; place int32 `[r width]`, of the shot in its
          scene; time float32 `[r width]`, see `Scenes`; scene and movie int32 `[r s]`, -1 for none.

        Raises:
          ValueError: a scene has other inputs than were announced, or they are not finite.
        """
        arrays = input_arrays(self._inputs, len(rows), width)
        batch = {name: np.zeros(array.shape, array.dtype) for name, array in arrays.items()}
        for name, dtype in (("segment", np.int32), ("place", np.int32), ("time", np.float32)):
            batch[name] = np.zeros((len(rows), width), dtype)
        for row, scenes in enumerate(rows):
            at = 0
            for slot, scene in enumerate(scenes[scenes >= 0].tolist(), 1):
                length = int(self._lengths[scene])
                own = {"segment": slot, "place": np.arange(length)}
                for name, value in (self._seen(scene) | own).items():
                    batch[name][row, at : at + length] = value
                at += length
        movie = np.where(rows >= 0, self.scenes.movie[rows], -1)
        return batch | {"scene": rows.astype(np.int32), "movie": movie.astype(np.int32)}

    def _seen(self, scene: int) -> Batch:
        seen, key = self.scenes.inputs(scene), self.scenes.keys[scene]
        for name, shape in self._inputs.items():
            if name not in seen:
                raise ValueError(f"scene {key} has no {name}, only {', '.join(sorted(seen))}")
            if seen[name].shape != (self._lengths[scene], *shape):
                raise ValueError(
                    f"scene {key} has a {name} of shape {list(seen[name].shape[1:])} for each "
                    f"shot, where {list(shape)} was announced"
                )
            if not np.isfinite(seen[name]).all():
                raise ValueError(f"scene {key} has a {name} that is not finite: make it again")
        return {name: seen[name] for name in (*self._inputs, "time")}

    def _rows(self, seed: int | None, batch_size: int, positions: np.ndarray) -> np.ndarray:
        """The rows at these places of the stream, `[r s]`; without a seed it ends after a pass."""
        passes, places = np.divmod(positions, self._plan.rows(batch_size))
        if seed is None:
            rows = self._order(None, batch_size, 0)[places]
            return np.where((passes == 0)[:, None], rows, -1)
        numbers = np.unique(passes).tolist()  # in order, as the positions are
        found = [self._order(seed, batch_size, one)[places[passes == one]] for one in numbers]
        return np.concatenate(found)

    def _order(self, seed: int | None, batch_size: int, number: int) -> np.ndarray:
        """All rows of a pass, `[rows s]`; without a seed in a fixed order."""
        key = (seed, batch_size, number)
        if key not in self._orders:
            rng = None if seed is None else np.random.default_rng([seed, number])
            kept = list(self._orders.items())[1 - CACHED_ORDERS :]
            self._orders = dict(kept) | {key: self._plan.order(rng, batch_size)}
        return self._orders[key]


class _LoadPart:
    """Number of a part of a batch -> the part; a class, so that worker processes can have it."""

    def __init__(self, rows: SceneRows, size: int, hosts: int, seed: int | None) -> None:
        self._rows, self._size, self._hosts, self._seed = rows, size, hosts, seed

    def __call__(self, part: int, _: int) -> Batch:
        batch_size = self._size * self._hosts
        step, host = divmod(part, self._hosts)
        positions = step * batch_size + np.arange(batch_size)
        whole = self._rows._rows(self._seed, batch_size, positions)
        mine = slice(host * self._size, (host + 1) * self._size)
        batch = self._rows.load(whole[mine], self._rows._plan.width(whole))
        return batch | {"index": (positions[mine] % INDEX_PERIOD).astype(np.int32)}
