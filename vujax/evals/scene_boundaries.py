"""Scene boundaries by a model in training: without labels by its vectors, or by its head."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vujax.data.boundary_windows import BoundaryWindows
from vujax.data.films import Film
from vujax.data.registry import open_sets
from vujax.data.shot_similarity import compute_gap_scores
from vujax.evals.base import Example
from vujax.evals.features import Variables, extract, padded_size, read_batches
from vujax.evals.histogram_baseline import color_histogram
from vujax.evals.metrics.boundaries import FilmScores, compute_baselines, evaluate


class BoundaryEvaluator:
    """What both evaluators share; each says what it reads and how that becomes scores.

    Attributes:
      headline: 'macro/ap'.
      hits: None: intervals are over films, see `vujax.evals.metrics.boundaries.compute_interval`.
      baselines: after a call, what durations, chance and what has not learned (`untrained`) reach.
      scores: after a call, the films' `FilmScores`.
    """

    headline = "macro/ap"
    hits = None

    def __init__(
        self, mesh: Mesh, films: Mapping[str, Mapping[str, Any]], threshold: float, batch_size: int
    ) -> None:
        self._mesh, self._sets = mesh, films
        self._threshold, self._batch_size = threshold, batch_size
        self.baselines: dict[str, dict[str, float]] = {}
        self.scores: list[FilmScores] = []

    @functools.cached_property
    def films(self) -> list[Film]:
        """The labelled films with more than one shot.

        Raises:
          ValueError: one has no labels.
        """
        films = open_sets(self._sets)
        if bare := next((film.film for film in films if film.starts is None), None):
            raise ValueError(f"film '{bare}' has no scene labels: an evaluation needs them")
        return [film for film in films if len(film) > 1]

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Scores `variables` on all films, both protocols, corrected mode."""
        scores = self._film_scores(variables)
        self.scores = [
            FilmScores.from_film(film, s) for film, s in zip(self.films, scores, strict=True)
        ]
        if not self.baselines:
            self.baselines = compute_baselines(self.scores) | self._raw()
        return evaluate(self.scores, threshold=self._threshold)

    def examples(self, queries: int) -> list[Example]:
        """None: nothing is retrieved here."""
        del queries
        return []

    def _raw(self) -> dict[str, dict[str, float]]:
        return {}

    def _film_scores(self, variables: Variables) -> list[np.ndarray]:
        raise NotImplementedError

    def _extract(self, encode: Any, variables: Variables, count: int, read: Any) -> np.ndarray:
        """`encode` of examples 0 .. count-1, `read(positions)` giving their arrays."""
        size = padded_size(count, self._batch_size, self._mesh)
        batches = read_batches(read, count, size)
        return extract(encode, variables, batches, mesh=self._mesh)["embeddings"]


class GapBoundaries(BoundaryEvaluator):
    """Label-free: the gap score (`vujax.data.shot_similarity`) of a shot encoder's vectors."""

    def __init__(
        self,
        model: Any,
        mesh: Mesh,
        *,
        films: Mapping[str, Mapping[str, Any]],
        reach: int = 4,
        vector: str = "encoder",
        threshold: float = 0.5,
        batch_size: int = 256,
    ) -> None:
        """Names what to read; films are opened at the first call.

        Args:
          model: a `vujax.models.projection.ShotContrast`.
          mesh: devices to use, along 'data'.
          films: `{name: dict(kind=..., **options)}`, see `vujax.data.films`.
          reach: shots on each side of a border.
          vector: 'encoder', or 'projection' for the vectors that the loss compares.
          threshold: above it the score is a predicted boundary; AP and AUC know none.
          batch_size: shots at once, of all hosts together.
        """
        super().__init__(mesh, films, threshold, batch_size)
        if vector not in ("encoder", "projection"):
            raise ValueError(f"vector is {vector!r}: use 'encoder' or 'projection'")
        self._reach, which = reach, ("encoder", "projection").index(vector)
        self._encode = lambda variables, shots: model.apply(variables, shots)[which]

    def _film_scores(self, variables: Variables) -> list[np.ndarray]:
        begin = np.cumsum([0, *map(len, self.films)])
        read = functools.partial(_shots, self.films, begin)
        vectors = self._extract(self._encode, variables, int(begin[-1]), read)
        return [compute_gap_scores(part, self._reach) for part in np.split(vectors, begin[1:-1])]

    def _raw(self) -> dict[str, dict[str, float]]:
        found: dict[str, list[FilmScores]] = {}
        for film in self.films:
            for name, vectors in compute_untrained_features(film).items():
                scores = FilmScores.from_film(film, compute_gap_scores(vectors, self._reach))
                found.setdefault(name, []).append(scores)
        return {
            name: evaluate(scores, threshold=self._threshold)
            for name, scores in found.items()
            if len(scores) == len(self.films)
        }


def compute_untrained_features(film: Film) -> dict[str, np.ndarray]:
    """`untrained_shots` of a film."""
    return untrained_shot_features(film.inputs(np.arange(len(film))))


def untrained_shot_features(seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What shots look like before anything is learned, `[n d]`, by name.

    Args:
      seen: any of their inputs. 'feature' `[n ...]` is given as 'features', as they are; of 'image'
        `[n k h w 3]` 'histogram' counts the colours of all of a shot's keyframes.
    """
    found = {"features": seen["feature"]} if "feature" in seen else {}
    if "image" in seen:
        image = seen["image"]
        tall = image.reshape(len(image), -1, *image.shape[-2:])
        found["histogram"] = np.asarray(color_histogram(tall))
    return found


def _shots(films: Sequence[Film], begin: np.ndarray, positions: np.ndarray) -> dict:
    """What an encoder sees of shots, counted over all films."""
    number = np.searchsorted(begin, positions, side="right") - 1
    parts = [
        films[n].inputs(positions[number == n] - begin[n]) for n in np.unique(number)
    ]  # positions are in order
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class HeadBoundaries(BoundaryEvaluator):
    """A boundary head's probabilities."""

    def __init__(
        self,
        model: Any,
        mesh: Mesh,
        *,
        films: Mapping[str, Mapping[str, Any]],
        threshold: float = 0.5,
        batch_size: int = 256,
    ) -> None:
        """Names what to read; films are opened at the first call.

        Args:
          model: a `vujax.models.boundary.BoundaryModel`.
          mesh: devices to use, along 'data'.
          films: `{name: dict(kind=..., **options)}`, see `vujax.data.films`.
          threshold: above it a probability is a predicted boundary.
          batch_size: borders at once, of all hosts together.
        """
        super().__init__(mesh, films, threshold, batch_size)
        self._window = model.window

        def encode(variables: Variables, rows: dict[str, jax.Array]) -> jax.Array:
            logits, _ = model.apply(variables, rows | {"mask": rows["there"]})
            return jax.nn.sigmoid(logits)

        self._encode = encode

    @functools.cached_property
    def _rows(self) -> BoundaryWindows:
        return BoundaryWindows(self.films, **self._window)

    def _read(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        rows = self._rows.load(positions)
        rows["there"] = rows.pop("mask")  # `extract` has a mask of its own
        return rows

    def _film_scores(self, variables: Variables) -> list[np.ndarray]:
        scores = self._extract(self._encode, variables, self._rows.examples, self._read)
        return np.split(scores, np.cumsum([len(film) - 1 for film in self.films])[:-1])
