"""Windows of shots for contrastive learning: queries in the middle, their neighbors around them.

A window lies within one film. Its queries are consecutive shots, so that neighbors that several of
them share are read and encoded once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from vujax.data.films import Film, check_inputs, input_arrays
from vujax.data.pipeline import Batch, StreamDataset
from vujax.data.scene_structure import compute_structure_scores

ENDS = ("shift", "clip")


class Window(NamedTuple):
    """A window of `w` shots with `q` queries, in a film of n shots.

    Attributes:
      shots: int64 `[w]`, numbers of the shots.
      query: int32 `[q]`, positions of the queries in the window.
      candidate: bool `[q w]`, True for shots that may be the positive of a query.
      valid: bool `[q]`, False for queries that a short film does not have.
    """

    shots: np.ndarray
    query: np.ndarray
    candidate: np.ndarray
    valid: np.ndarray


def cut_window(num_shots: int, first: int, *, neighbours: int, block: int, ends: str) -> Window:
    """Return the window of the queries `first`, `first + 1`, ..., moved back at the film's end.

    The candidates of a query are the `neighbours` shots on each side. At the ends of a film they
    are fewer with ends='clip'. With 'shift' (BaSSL's rule) the range is moved into the film, so
    that a query always has 2 * neighbours of them if the film is long enough.
    """
    first = max(0, min(first, num_shots - block))
    query = np.arange(first, first + block)
    valid = query < num_shots
    query = np.minimum(query, num_shots - 1)
    low, high = query - neighbours, query + neighbours
    if ends == "shift":
        low = np.clip(low, 0, max(0, num_shots - 1 - 2 * neighbours))
        high = low + 2 * neighbours
    width = block + 2 * neighbours
    start = max(0, min(first - neighbours, num_shots - width))
    shots = np.arange(start, start + width)
    candidate = (shots >= low[:, None]) & (shots <= high[:, None]) & (shots < num_shots)
    candidate &= shots != query[:, None]
    inside = np.minimum(shots, num_shots - 1)
    return Window(inside, (query - start).astype(np.int32), candidate, valid)


def batch_spec(
    inputs: Mapping[str, tuple[int, ...]], rows: int, *, neighbours: int, block: int
) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes and dtypes of a batch of `rows` windows.

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


def find_parts(film: Film, walls: float) -> np.ndarray:
    """Number the parts of a film between walls, int64 `[n]`.

    Args:
      film: with the input 'feature'.
      walls: share of the shot boundaries that are walls, rounded; the highest structure scores.
    """
    scores = compute_structure_scores(film.inputs(np.arange(len(film)))["feature"], film.seconds)
    is_wall = np.zeros(len(film), np.int64)
    is_wall[1 + np.argsort(-scores, kind="stable")[: round(walls * len(scores))]] = 1
    return np.cumsum(is_wall)


class ShotWindows(StreamDataset):
    """Windows of the shots of films.

    The arrays of `train_batches` are those of `batch_spec`. 'film' is the number of the film, and
    'shot' the number of each query in it.

    Attributes:
      examples: shots of all films, each of which starts a window once an epoch.
    """

    ORDER = "order of windows"

    def __init__(
        self,
        films: Sequence[Film],
        inputs: Mapping[str, tuple[int, ...]],
        *,
        neighbours: int = 8,
        block: int = 1,
        ends: str = "shift",
        walls: float = 0.0,
        workers: int = 0,
    ) -> None:
        """Check the films and the options; shots are read when a batch is loaded.

        Args:
          films: see `vujax.data.films`.
          inputs: inputs to read of each shot, see `batch_spec`.
          neighbours: shots on each side that may be the positive of a query.
          block: consecutive queries of a window.
          ends: rule at the ends of a film, 'shift' or 'clip'; see `cut_window`.
          walls: share of a film's shot boundaries that no positive crosses: those of the highest
            label-free score (`vujax.data.scene_structure`), by the input 'feature'. A shot that is
            alone between two walls is its own positive.
          workers: processes that read; 0: threads of this process.

        Raises:
          ValueError: there is no film, `ends` is unknown, a size is not positive, or `walls` are
            not a share, or the films have no 'feature' for them.
        """
        if ends not in ENDS:
            raise ValueError(f"unknown data.ends '{ends}'; expected one of: {', '.join(ENDS)}")
        if neighbours < 1 or block < 1:
            raise ValueError(
                f"data.neighbours {neighbours} and data.block {block} must be at least 1"
            )
        if not 0 <= walls < 1 or (walls and "feature" not in inputs):
            raise ValueError(
                f"data.walls must be from 0 to below 1, and needs the input 'feature'; got {walls} "
                f"and the inputs {', '.join(inputs)}"
            )
        self._films = [film for film in films if len(film)]
        if not self._films:
            raise ValueError("data.films has no film with shots")
        for film in self._films:
            check_inputs(film, inputs)
        self._names = tuple(inputs)
        self._options = dict(neighbours=neighbours, block=block, ends=ends)
        self._parts = [find_parts(film, walls) for film in self._films] if walls else None
        self._first = np.cumsum([0, *map(len, self._films)])
        self.examples, self.workers = int(self._first[-1]), workers

    def load_batch(self, positions: np.ndarray, examples: np.ndarray, seed: int) -> Batch:
        """Return the windows that start with these shots; see `StreamDataset.load_batch`."""
        del positions, seed
        rows = [self._load(example) for example in examples.tolist()]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _load(self, example: int) -> dict[str, Any]:
        number = int(np.searchsorted(self._first, example, side="right")) - 1
        film = self._films[number]
        window = cut_window(len(film), example - int(self._first[number]), **self._options)
        if self._parts is not None:
            part = self._parts[number][window.shots]
            window = window._replace(
                candidate=window.candidate & (part == part[window.query, None])
            )
        inputs = film.inputs(window.shots)
        return {name: inputs[name] for name in self._names} | {
            "query": window.query,
            "candidate": window.candidate,
            "valid": window.valid,
            "film": np.int32(number),
            "shot": window.shots[window.query].astype(np.int32),
        }
