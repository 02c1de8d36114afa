"""Scene boundaries by a model in training: by its shot embeddings, or by its head."""

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
from vujax.evals.base import Evaluator
from vujax.evals.features import Variables, extract, padded_size, read_batches
from vujax.evals.histogram_baseline import color_histogram
from vujax.evals.metrics.boundaries import FilmScores, compute_baselines, evaluate
from vujax.evals.metrics.positives import measure_positives


class BoundaryEvaluator(Evaluator):
    """The shared part of both evaluators; a subclass computes the scores of each film.

    Attributes:
      headline: 'macro/ap'.
      hits: None: intervals are over films, see `vujax.evals.metrics.boundaries.compute_interval`.
      baselines: after a call, the scores of shot durations, of random scores and of features
        without training (`compute_untrained_features`).
      scores: after a call, the films' `FilmScores`.
    """

    headline = "macro/ap"

    def __init__(
        self, mesh: Mesh, films: Mapping[str, Mapping[str, Any]], threshold: float, batch_size: int
    ) -> None:
        self._mesh, self._sets = mesh, films
        self._threshold, self._batch_size = threshold, batch_size

        self.scores: list[FilmScores] = []

    @functools.cached_property
    def films(self) -> list[Film]:
        """The labeled films with more than one shot.

        Raises:
          ValueError: a film has no labels.
        """
        films = open_sets(self._sets)
        if bare := next((film.film for film in films if film.starts is None), None):
            raise ValueError(f"film {bare!r} has no scene labels; an evaluation needs them")
        return [film for film in films if len(film) > 1]

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Score `variables` on all films, both protocols, corrected mode."""
        scores = self._film_scores(variables)
        self.scores = [
            FilmScores.from_film(film, s) for film, s in zip(self.films, scores, strict=True)
        ]
        if not self.baselines:
            self.baselines = compute_baselines(self.scores) | self._untrained_baselines()
        return evaluate(self.scores, threshold=self._threshold)

    def _untrained_baselines(self) -> dict[str, dict[str, float]]:
        return {}

    def _film_scores(self, variables: Variables) -> list[np.ndarray]:
        raise NotImplementedError

    def _extract(self, encode: Any, variables: Variables, count: int, read: Any) -> np.ndarray:
        """Run `encode` on examples 0 .. count-1; `read(positions)` returns their arrays."""
        size = padded_size(count, self._batch_size, self._mesh)
        batches = read_batches(read, count, size)
        return extract(encode, variables, batches, mesh=self._mesh)["embeddings"]


class GapBoundaries(BoundaryEvaluator):
    """Label-free: the gap score (`vujax.data.shot_similarity`) of shot embeddings."""

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
        positives: int = 0,
    ) -> None:
        """Store the options; films are opened at the first call.

        Args:
          model: a `vujax.models.projection.ContrastModel`.
          mesh: devices to use, along 'data'.
          films: `{name: dict(kind=..., **options)}`, see `vujax.data.films`.
          reach: shots on each side of a shot boundary.
          vector: 'encoder', or 'projection' for the embeddings that the loss compares.
          threshold: above it the score is a predicted boundary; AP and AUC need none.
          batch_size: shots at once, of all hosts together.
          positives: neighbors on each side for statistics of nearest positives, 'positives/...' of
            the result, see `vujax.evals.metrics.positives`; 0: none.
        """
        super().__init__(mesh, films, threshold, batch_size)
        if vector not in ("encoder", "projection"):
            raise ValueError(f"unknown vector {vector!r}; expected one of: encoder, projection")
        self._reach, which = reach, ("encoder", "projection").index(vector)
        self._encode = lambda variables, shots: model.apply(variables, shots)[which]
        self._neighbours = positives
        self._statistics: dict[str, float] = {}

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Score `variables` on all films, and measure the nearest positives."""
        result = super().__call__(variables)
        return result | {f"positives/{name}": x for name, x in self._statistics.items()}

    def _film_scores(self, variables: Variables) -> list[np.ndarray]:
        start = np.cumsum([0, *map(len, self.films)])
        read = functools.partial(_shots, self.films, start)
        embeddings = self._extract(self._encode, variables, int(start[-1]), read)
        parts = np.split(embeddings, start[1:-1])
        if self._neighbours:
            self._statistics = measure_positives(parts, neighbours=self._neighbours)
        return [compute_gap_scores(part, self._reach) for part in parts]

    def _untrained_baselines(self) -> dict[str, dict[str, float]]:
        scores: dict[str, list[FilmScores]] = {}
        for film in self.films:
            for name, features in compute_untrained_features(film).items():
                gap_scores = compute_gap_scores(features, self._reach)
                scores.setdefault(name, []).append(FilmScores.from_film(film, gap_scores))
        return {
            name: evaluate(own, threshold=self._threshold)
            for name, own in scores.items()
            if len(own) == len(self.films)
        }


def compute_untrained_features(film: Film) -> dict[str, np.ndarray]:
    """Return `untrained_shot_features` of a film."""
    return untrained_shot_features(film.inputs(np.arange(len(film))))


def untrained_shot_features(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return features of shots that need no training, `[n d]`, by name.

    Args:
      inputs: any of the shots' inputs. 'feature' `[n ...]` is returned as 'features', unchanged; of
        'image' `[n k h w 3]` 'histogram' counts the colors of all of a shot's keyframes.
    """
    features = {"features": inputs["feature"]} if "feature" in inputs else {}
    if "image" in inputs:
        image = inputs["image"]
        tall = image.reshape((len(image), -1, *image.shape[-2:]))
        features["histogram"] = np.asarray(color_histogram(tall))
    return features


def _shots(films: Sequence[Film], start: np.ndarray, positions: np.ndarray) -> dict:
    """Return the encoder inputs of shots, numbered over all films."""
    number = np.searchsorted(start, positions, side="right") - 1
    parts = [
        films[n].inputs(positions[number == n] - start[n]) for n in np.unique(number)
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
        """Store the options; films are opened at the first call.

        Args:
          model: a `vujax.models.boundary.BoundaryModel`.
          mesh: devices to use, along 'data'.
          films: `{name: dict(kind=..., **options)}`, see `vujax.data.films`.
          threshold: above it a probability is a predicted boundary.
          batch_size: shot boundaries at once, of all hosts together.
        """
        super().__init__(mesh, films, threshold, batch_size)
        self._window = model.window

        def encode(variables: Variables, rows: dict[str, jax.Array]) -> jax.Array:
            logits, _ = model.apply(variables, rows | {"mask": rows["is_shot"]})
            return jax.nn.sigmoid(logits)

        self._encode = encode

    @functools.cached_property
    def _rows(self) -> BoundaryWindows:
        return BoundaryWindows(self.films, **self._window)

    def _read(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        rows = self._rows.load(positions)
        rows["is_shot"] = rows.pop("mask")  # `extract` has a mask of its own
        return rows

    def _film_scores(self, variables: Variables) -> list[np.ndarray]:
        scores = self._extract(self._encode, variables, self._rows.examples, self._read)
        return np.split(scores, np.cumsum([len(film) - 1 for film in self.films])[:-1])
