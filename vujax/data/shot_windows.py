"""Windows of shots for contrastive learning: queries in the middle, their neighbours around them.

A window lies in one film. Its `block` queries follow each other, so that neighbours that several of
them share are read and encoded once. The batch of step k is a pure function of (seed, k).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from vujax.data.films import Film, check_inputs, input_arrays
from vujax.data.pipeline import (
    INDEX_PERIOD,
    Batch,
    TrainBatches,
    derive_seed,
    iterate,
    shard_for_host,
    shuffle_examples,
)
from vujax.data.records import BadSampleCounter

ENDS = ("shift", "clip")


class Window(NamedTuple):
    """One window of `w` shots with `q` queries, in a film of n shots.

    Attributes:
      shots: int64 `[w]`, numbers of the shots.
      query: int32 `[q]`, places of the queries among them.
      candidate: bool `[q w]`, which of them may be a query's positive.
      valid: bool `[q]`, False for queries that a short film does not have.
    """

    shots: np.ndarray
    query: np.ndarray
    candidate: np.ndarray
    valid: np.ndarray


def cut_window(n: int, first: int, *, neighbours: int, block: int, ends: str) -> Window:
    """The window of the queries `first`, `first + 1`, ..., moved back where the film ends.

    A query's candidates are the `neighbours` shots on each side. At a film's ends they are fewer
    with ends='clip', and with 'shift' (BaSSL's rule) the range is moved into the film, so that a
    query always has 2 * neighbours of them where the film has so many.
    """
    first = max(0, min(first, n - block))
    query = np.arange(first, first + block)
    valid = query < n
    query = np.minimum(query, n - 1)
    low, high = query - neighbours, query + neighbours
    if ends == "shift":
        low = np.clip(low, 0, max(0, n - 1 - 2 * neighbours))
        high = low + 2 * neighbours
    width = block + 2 * neighbours
    start = max(0, min(first - neighbours, n - width))
    shots = np.arange(start, start + width)
    candidate = (shots >= low[:, None]) & (shots <= high[:, None]) & (shots < n)
    candidate &= shots != query[:, None]
    return Window(np.minimum(shots, n - 1), (query - start).astype(np.int32), candidate, valid)


def shapes(
    inputs: dict[str, tuple[int, ...]], rows: int, *, neighbours: int, block: int
) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays of a batch of `rows` windows.

    Args:
      inputs: shape of one shot's 'image' `[k h w 3]`, 'audio' `[t mels]` or 'feature' `[f]`.
      rows: windows.
      neighbours: see `ShotWindows`.
      block: see `ShotWindows`.
    """
    width = block + 2 * neighbours
    array = lambda dtype, *shape: jax.ShapeDtypeStruct((rows, *shape), dtype)  # noqa: E731
    return input_arrays(inputs, rows, width) | {
        "query": array(np.int32, block),
        "candidate": array(np.bool_, block, width),
        "valid": array(np.bool_, block),
        "film": array(np.int32),
        "shot": array(np.int32, block),
        "index": array(np.int32),
    }


class ShotWindows:
    """Windows of the shots of films, in an order that needs no state.

    Attributes:
      examples: shots of all films, each of which begins a window once in an epoch.
    """

    def __init__(
        self,
        films: Sequence[Film],
        inputs: dict[str, tuple[int, ...]],
        *,
        neighbours: int = 8,
        block: int = 1,
        ends: str = "shift",
        workers: int = 0,
    ) -> None:
        """Cuts windows from opened films.

        Args:
          films: see `vujax.data.films`.
          inputs: see `shapes`; what is read of each shot.
          neighbours: shots on each side that may be a query's positive.
          block: queries of a window, one after the other.
          ends: at a film's ends, 'shift' or 'clip'; see `window`.
          workers: processes that read; 0: threads of this one.

        Raises:
          ValueError: no films, an unknown `ends`, or sizes that cannot be.
        """
        if ends not in ENDS:
            raise ValueError(f"data.ends '{ends}' is unknown: use one of {ENDS}")
        if neighbours < 1 or block < 1:
            raise ValueError(
                f"data.neighbours {neighbours} and data.block {block} must be at least 1"
            )
        self._films = [film for film in films if len(film)]
        if not self._films:
            raise ValueError("data.films has no film with shots")
        for film in self._films:
            check_inputs(film, inputs)
        self._names = tuple(inputs)
        self._cut = dict(neighbours=neighbours, block=block, ends=ends)
        self._workers = workers
        self._begin = np.cumsum([0, *map(len, self._films)])
        self.examples = int(self._begin[-1])

    def train_batches(
        self, *, batch_size: int, seed: int, start_step: int = 0, host: int = 0, hosts: int = 1
    ) -> TrainBatches:
        """See `vujax.methods.base.Data`; the arrays are those of `shapes`.

        'film' and 'shot' say which film and shot of it a query is, 'index' the window's place in
        the stream, step * batch_size + row, modulo 2^31.

        Raises:
          ValueError: batch_size does not divide among the hosts.
        """
        rows, mine = shard_for_host(batch_size, host, hosts, start_step)
        places = shuffle_examples(self.examples, derive_seed(seed, "order of windows"))
        batches = places.batch(rows, batch_fn=self._read)[mine]
        return TrainBatches(
            iterate(batches, self._workers), BadSampleCounter(0.0), alone=hosts == 1
        )

    def _read(self, places: Sequence[tuple[int, int]]) -> Batch:
        """One host's part of a batch."""
        rows = [self._row(*place) for place in places]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, position: int, at: int) -> dict[str, Any]:
        number = int(np.searchsorted(self._begin, at, side="right")) - 1
        film = self._films[number]
        cut = cut_window(len(film), at - int(self._begin[number]), **self._cut)
        seen = film.inputs(cut.shots)
        return {name: seen[name] for name in self._names} | {
            "query": cut.query,
            "candidate": cut.candidate,
            "valid": cut.valid,
            "film": np.int32(number),
            "shot": cut.shots[cut.query].astype(np.int32),
            "index": np.int32(position % INDEX_PERIOD),
        }
