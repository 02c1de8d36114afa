"""Training rows of shot boundaries: the shots around each, and whether a scene starts there."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from vujax.data.films import Film, input_arrays
from vujax.data.pipeline import Batch, StreamDataset, derive_seed
from vujax.data.shot_similarity import LocalSimilarity, compute_local_similarity


def batch_spec(
    inputs: Mapping[str, tuple[int, ...]],
    rows: int,
    *,
    before: int = 4,
    after: int = 4,
    similarity: int | None = None,
    scale: str = "film",
) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes and dtypes of a batch of `rows` rows, with index; reads no data.

    Args:
      inputs: shape of one shot's 'image' `[k h w 3]`, 'audio' `[t mels]` or 'feature' `[f]`;
        ignored with `similarity`.
      rows: shot boundaries.
      before: see `BoundaryWindows`.
      after: see `BoundaryWindows`.
      similarity: see `BoundaryWindows`.
      scale: ignored.
    """
    del scale
    width = before + after if similarity is None else 2 * similarity
    array = lambda dtype, *shape: jax.ShapeDtypeStruct((rows, *shape), dtype)  # noqa: E731
    if similarity is None:
        arrays = input_arrays(inputs, rows, width)
    else:
        arrays = {
            "similarity": array(np.float32, width, width),
            "duration": array(np.float32, width),
        }
    return arrays | {
        "mask": array(np.bool_, width),
        "label": array(np.int32),
        "index": array(np.int32),
    }


class BoundaryWindows(StreamDataset):
    """Shot boundaries of labeled films as training rows.

    Attributes:
      examples: labeled shot boundaries.
    """

    ORDER = "order of borders"

    def __init__(
        self,
        films: Sequence[Film],
        *,
        before: int = 4,
        after: int = 4,
        similarity: int | None = None,
        scale: str = "film",
        labels_percent: float = 100.0,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        """Select the labeled boundaries; images are read when a batch is loaded.

        Args:
          films: labeled films.
          before: shots before a boundary whose inputs are in its row.
          after: shots after it.
          similarity: reach of the local similarity matrix, which then replaces the inputs of the
            shots; the films must have 'feature'.
          scale: scale of the matrix, see `vujax.data.shot_similarity.rescale`.
          labels_percent: share of the scenes whose labels are used, see
            `select_labeled_boundaries`.
          seed: seed of that selection.
          workers: processes that read; 0: threads of this process.

        Raises:
          ValueError: see `select_labeled_boundaries`; or a film lacks a 'feature' that is needed,
            or has features that are not finite.
        """
        if min(before, after) < 1:
            raise ValueError(f"before and after must be at least 1 shot, got {before} and {after}")
        self._films = tuple(films)
        self._boundaries = select_labeled_boundaries(self._films, labels_percent, seed)
        self.examples, self.workers = len(self._boundaries), workers
        self._window = dict(before=before, after=after, similarity=similarity)
        self._offsets = np.arange(1 - before, after + 1)
        self._local: tuple[LocalSimilarity, ...] | None = None
        if similarity is not None:
            self._local = tuple(_similarity(film, similarity, scale) for film in self._films)

    def batch_spec(self, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
        """Return the shapes and dtypes of a batch of `rows` rows of `train_batches`."""
        film = self._films[self._boundaries[0, 0]]
        seen = {} if self._local else film.inputs(np.zeros(1, np.int64))
        inputs = {name: value.shape[1:] for name, value in seen.items()}
        return batch_spec(inputs, rows, **self._window)

    def load(self, examples: np.ndarray) -> Batch:
        """Load the rows of some examples, int `[b]` below `examples`.

        Returns:
          The inputs of the shots `[b w ...]` (w = before + after; a shot past the film's end
          repeats the last one) or the rows of `LocalSimilarity`; mask bool `[b w]`, False past the
          film's ends; label int32 `[b]`.

        Raises:
          ValueError: a feature is not finite.
        """
        boundaries = self._boundaries[examples]
        batch: Batch = {}
        for number in np.unique(boundaries[:, 0]):
            rows = np.flatnonzero(boundaries[:, 0] == number)
            for name, value in self._load_film(int(number), boundaries[rows, 1]).items():
                if name not in batch:
                    batch[name] = np.zeros((len(boundaries), *value.shape[1:]), value.dtype)
                batch[name][rows] = value
        return batch

    def load_batch(self, positions: np.ndarray, examples: np.ndarray, seed: int) -> Batch:
        """Return the rows of these examples; see `StreamDataset.load_batch`."""
        del positions, seed
        return self.load(examples)

    def _load_film(self, number: int, boundaries: np.ndarray) -> Batch:
        film = self._films[number]
        label = np.asarray(film.starts)[boundaries].astype(np.int32)
        if self._local is not None:
            return self._local[number].rows(boundaries) | {"label": label}
        shots = boundaries[:, None] + self._offsets
        mask = (shots >= 0) & (shots < len(film))
        unique, index = np.unique(np.clip(shots, 0, len(film) - 1), return_inverse=True)
        inputs = film.inputs(unique)
        _check_feature(film, unique, inputs)
        rows = {name: value[index.reshape(shots.shape)] for name, value in inputs.items()}
        return rows | {"mask": mask, "label": label}


def select_labeled_boundaries(
    films: Sequence[Film], percent: float = 100.0, seed: int = 0
) -> np.ndarray:
    """Return the boundaries whose labels are known when `percent` of all scenes are labeled.

    A scene is either labeled with all of its shots or not at all, and the label of a shot says
    whether the scene ends there. So boundary i belongs to the scene of shot i: a scene contributes
    its inner boundaries and the one at its end. The scenes of all films are shuffled with `seed`
    and the first ceil(percent / 100 scenes) are taken, so that a smaller percentage gives a subset
    of a larger one.

    Args:
      films: labeled films.
      percent: above 0, at most 100.
      seed: seed of the order.

    Returns:
      int64 `[k 2]`: number of the film and number of the boundary, in order.

    Raises:
      ValueError: a film has no labels or not one for each boundary, the percentage is out of range,
        or no scene boundary is among the selected ones.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"labels_percent must be above 0 and at most 100, got {percent}")
    starts = [_starts(film) for film in films]
    # The scene of the shot before each boundary, numbered over all films.
    firsts = np.cumsum([0] + [1 + int(s.sum()) for s in starts])
    scenes = int(firsts[-1])
    order = np.random.default_rng(derive_seed(seed, "labelled scenes")).permutation(scenes)
    chosen = np.zeros(scenes, bool)
    chosen[order[: math.ceil(percent / 100 * scenes)]] = True
    selected, positives = [], 0
    for number, (first, start) in enumerate(zip(firsts, starts, strict=False)):
        scene = first + np.concatenate([[0], np.cumsum(start)])[: len(start)]
        boundaries = np.flatnonzero(chosen[scene])
        positives += int(start[boundaries].sum())
        selected.append(np.stack([np.full(len(boundaries), number), boundaries], axis=1))
    if not positives:
        raise ValueError(
            f"none of the {len(films)} films has a scene boundary among its labels (labels_percent "
            f"{percent:g}): nothing can be learned; raise labels_percent or give labeled films"
        )
    return np.concatenate(selected).astype(np.int64)


def _starts(film: Film) -> np.ndarray:
    """Return the checked labels of a film, bool [n-1]."""
    if film.starts is None:
        raise ValueError(
            f"film '{film.film}' has no scene labels; training on shot boundaries needs them"
        )
    starts = np.asarray(film.starts)
    if starts.shape != (max(len(film) - 1, 0),):
        raise ValueError(
            f"film '{film.film}' has {len(film)} shots, so {max(len(film) - 1, 0)} boundaries, but "
            f"{len(starts)} labels; give one for each boundary between two shots"
        )
    return starts.astype(bool)


def _check_feature(film: Film, shots: np.ndarray, inputs: Batch) -> None:
    if "feature" not in inputs or np.isfinite(inputs["feature"]).all():
        return
    bad = shots[np.flatnonzero(~np.isfinite(inputs["feature"]).all(axis=1))[0]]
    raise ValueError(
        f"film '{film.film}', shot {bad}: its feature contains NaN or infinity; compute it again"
    )


def _similarity(film: Film, reach: int, scale: str) -> LocalSimilarity:
    inputs: dict[str, Any] = film.inputs(np.arange(len(film)))
    if "feature" not in inputs:
        raise ValueError(
            f"film '{film.film}' has no 'feature' but {sorted(inputs)}: the similarity head needs "
            "embeddings of its shots; choose an encoder for the films or another head"
        )
    try:
        return compute_local_similarity(inputs["feature"], film.seconds, reach, scale=scale)
    except ValueError as error:
        raise ValueError(f"film '{film.film}': {error}") from None
