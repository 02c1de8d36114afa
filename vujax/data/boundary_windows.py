"""Training rows of borders between shots: the batch of step k is a pure function of (seed, k).

As in `vujax.data.image_text`: position p of the stream is row p % B of step p // B, whatever the
hosts and workers, so a run is taken up at any step, on any number of hosts, without a saved
iterator.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from vujax.data.films import Film, input_arrays
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
from vujax.data.shot_similarity import LocalSimilarity, compute_local_similarity


def shapes(
    inputs: Mapping[str, tuple[int, ...]],
    rows: int,
    *,
    before: int = 4,
    after: int = 4,
    similarity: int | None = None,
    scale: str = "film",
) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays of a batch of `rows` rows, with index; reads no data.

    Args:
      inputs: shape of one shot's 'image' `[k h w 3]`, 'audio' `[t mels]` or 'feature' `[f]`; of no
        account with `similarity`.
      rows: borders.
      before: see `BoundaryRows`.
      after: see `BoundaryRows`.
      similarity: see `BoundaryRows`.
      scale: of no account.
    """
    del scale
    width = before + after if similarity is None else 2 * similarity
    array = lambda dtype, *shape: jax.ShapeDtypeStruct((rows, *shape), dtype)  # noqa: E731
    if similarity is None:
        seen = input_arrays(inputs, rows, width)
    else:
        seen = {"similarity": array(np.float32, width, width), "duration": array(np.float32, width)}
    return seen | {
        "mask": array(np.bool_, width),
        "label": array(np.int32),
        "index": array(np.int32),
    }


def select_labeled_boundaries(
    films: Sequence[Film], percent: float = 100.0, seed: int = 0
) -> np.ndarray:
    """The borders whose labels are known when `percent` of all scenes are labelled.

    A scene is labelled whole or not at all, and with it each of its shots: whether the scene ends
    there. So border i goes with the scene of shot i: a scene brings its inner borders and the one
    at its end. The scenes of all films are put in an order drawn from `seed` and the first
    ceil(percent / 100 scenes) are taken: a smaller percentage takes some of those of a larger one.

    Args:
      films: with labels.
      percent: above 0, at most 100.
      seed: of the order.

    Returns:
      int64 `[k 2]`: number of the film and number of the border, in order.

    Raises:
      ValueError: a film has no labels or not one for each border, the percentage is out of range,
        or no scene border is among the chosen.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"labels_percent must be above 0 and at most 100, not {percent}")
    starts = [_starts(film) for film in films]
    # The scene of each border's first shot, counted over all films.
    firsts = np.cumsum([0] + [1 + int(s.sum()) for s in starts])
    scenes = int(firsts[-1])
    order = np.random.default_rng(derive_seed(seed, "labelled scenes")).permutation(scenes)
    chosen = np.zeros(scenes, bool)
    chosen[order[: math.ceil(percent / 100 * scenes)]] = True
    places, positives = [], 0
    for number, (first, start) in enumerate(zip(firsts, starts, strict=False)):
        scene = first + np.concatenate([[0], np.cumsum(start)])[: len(start)]
        borders = np.flatnonzero(chosen[scene])
        positives += int(start[borders].sum())
        places.append(np.stack([np.full(len(borders), number), borders], axis=1))
    if not positives:
        raise ValueError(
            f"none of the {len(films)} films has a scene border among its labels (labels_percent "
            f"{percent:g}): nothing can be learned; raise labels_percent or give labelled films"
        )
    return np.concatenate(places).astype(np.int64)


def _starts(film: Film) -> np.ndarray:
    """A film's labels, checked, bool [n-1]."""
    if film.starts is None:
        raise ValueError(f"film '{film.film}' has no scene labels: training on borders needs them")
    starts = np.asarray(film.starts)
    if starts.shape != (max(len(film) - 1, 0),):
        raise ValueError(
            f"film '{film.film}' has {len(film)} shots, so {max(len(film) - 1, 0)} borders, but "
            f"{len(starts)} labels: give one for each border between two shots"
        )
    return starts.astype(bool)


class BoundaryWindows:
    """Borders of labelled films as rows for training.

    Attributes:
      examples: labelled borders.
    """

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
        """Chooses the labelled borders; pixels are read when a batch is asked for.

        Args:
          films: with labels.
          before: shots before a border whose inputs are in its row.
          after: shots after it.
          similarity: reach of the local similarity matrix, which then takes the place of the shots'
            inputs; the films must have 'feature'.
          scale: of the matrix, see `vujax.data.shot_similarity.rescale`.
          labels_percent: share of the scenes whose labels are used, see `labelled_borders`.
          seed: of that choice.
          workers: processes that read; 0: threads of this one.

        Raises:
          ValueError: see `labelled_borders`; or a film has no 'feature' where it needs one, or
            features that are not finite.
        """
        if min(before, after) < 1:
            raise ValueError(f"before and after must be at least 1 shot, not {before} and {after}")
        self._films = tuple(films)
        self._places = select_labeled_boundaries(self._films, labels_percent, seed)
        self.examples, self._workers = len(self._places), workers
        self._window = dict(before=before, after=after, similarity=similarity)
        self._offsets = np.arange(1 - before, after + 1)
        self._local: tuple[LocalSimilarity, ...] | None = None
        if similarity is not None:
            self._local = tuple(_similarity(film, similarity, scale) for film in self._films)

    def shapes(self, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
        """The arrays of a batch of `rows` rows, of `train_batches`."""
        film = self._films[self._places[0, 0]]
        seen = {} if self._local else film.inputs(np.zeros(1, np.int64))
        inputs = {name: value.shape[1:] for name, value in seen.items()}
        return shapes(inputs, rows, **self._window)

    def load(self, examples: np.ndarray) -> Batch:
        """These examples, int `[b]` below `examples`.

        Returns:
          The shots' inputs `[b w ...]` (w = before + after; a shot past the film's end repeats the
          last one) or the rows of `LocalSimilarity`; mask bool `[b w]`, False past the film's ends;
          label int32 `[b]`.

        Raises:
          ValueError: a feature is not finite.
        """
        places = self._places[examples]
        batch: Batch = {}
        for number in np.unique(places[:, 0]):
            here = np.flatnonzero(places[:, 0] == number)
            for name, value in self._load_film(int(number), places[here, 1]).items():
                if name not in batch:
                    batch[name] = np.zeros((len(places), *value.shape[1:]), value.dtype)
                batch[name][here] = value
        return batch

    def _load_film(self, number: int, borders: np.ndarray) -> Batch:
        film = self._films[number]
        label = np.asarray(film.starts)[borders].astype(np.int32)
        if self._local is not None:
            return self._local[number].rows(borders) | {"label": label}
        shots = borders[:, None] + self._offsets
        mask = (shots >= 0) & (shots < len(film))
        different, place = np.unique(np.clip(shots, 0, len(film) - 1), return_inverse=True)
        inputs = film.inputs(different)
        _check_feature(film, different, inputs)
        rows = {name: value[place.reshape(shots.shape)] for name, value in inputs.items()}
        return rows | {"mask": mask, "label": label}

    def train_batches(
        self,
        *,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        host: int = 0,
        hosts: int = 1,
        workers: int | None = None,
    ) -> TrainBatches:
        """This host's rows of the batches of steps `start_step`, `start_step + 1`, ...

        Args:
          batch_size: rows of one batch on all hosts together.
          seed: of the order; each pass over the examples has one of its own.
          start_step: first step.
          host: this host's number.
          hosts: how many there are; host h has the h-th part of each batch.
          workers: on this host; None: as the constructor says.

        Returns:
          An endless iterator, with `close()`, of `load`'s dicts with index int32 `[b]` (position in
          the stream, modulo 2^31), b = batch_size / hosts.

        Raises:
          ValueError: batch_size does not divide among the hosts.
        """
        rows, mine = shard_for_host(batch_size, host, hosts, start_step)
        places = shuffle_examples(self.examples, derive_seed(seed, "order of borders"))
        batches = places.batch(rows)[mine].map(_LoadRows(self))
        count = self._workers if workers is None else workers
        return TrainBatches(iterate(batches, count), BadSampleCounter(0.0), alone=hosts == 1)


class _LoadRows:
    """(positions [b], examples [b]) -> one batch; a class, so that worker processes can have it."""

    def __init__(self, rows: BoundaryWindows) -> None:
        self._rows = rows

    def __call__(self, drawn: tuple[np.ndarray, np.ndarray]) -> Batch:
        positions, examples = drawn
        return self._rows.load(examples) | {"index": (positions % INDEX_PERIOD).astype(np.int32)}


def _check_feature(film: Film, shots: np.ndarray, inputs: Batch) -> None:
    if "feature" not in inputs or np.isfinite(inputs["feature"]).all():
        return
    bad = shots[np.flatnonzero(~np.isfinite(inputs["feature"]).all(axis=1))[0]]
    raise ValueError(
        f"film '{film.film}', shot {bad}: its feature holds NaN or infinity; compute it again"
    )


def _similarity(film: Film, reach: int, scale: str) -> LocalSimilarity:
    inputs: dict[str, Any] = film.inputs(np.arange(len(film)))
    if "feature" not in inputs:
        raise ValueError(
            f"film '{film.film}' has no 'feature' but {sorted(inputs)}: the similarity head needs "
            "vectors of its shots, choose an encoder for the films or another head"
        )
    try:
        return compute_local_similarity(inputs["feature"], film.seconds, reach, scale=scale)
    except ValueError as error:
        raise ValueError(f"film '{film.film}': {error}") from None
