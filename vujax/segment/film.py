"""One film of a catalogue: the vectors of its shots to scenes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vujax.catalog import Catalog, vectors
from vujax.catalog.clock import clock_of
from vujax.catalog.words import printable
from vujax.segment.scene import Scenes, divided
from vujax.segment.settings import Head, How


@dataclass(frozen=True)
class ShotVectors:
    """A film's shots as the head sees them.

    Attributes:
      film: its id.
      rows: of its shots in the catalogue.
      vectors: float32 `[shots d]`.
      model: that made them.
    """

    film: str
    rows: Sequence[Mapping[str, Any]]
    vectors: np.ndarray
    model: vectors.Model

    @property
    def seconds(self) -> np.ndarray:
        """Begins and ends, float64 `[shots 2]`."""
        return np.array([(row["begin_s"], row["end_s"]) for row in self.rows], np.float64)


@dataclass(frozen=True)
class Division:
    """Where scenes begin.

    Attributes:
      scores: float32 `[shots - 1]`.
      borders: int `[scenes - 1]`, those that were chosen.
      threshold: by which; None where there is none.
    """

    scores: np.ndarray
    borders: np.ndarray
    threshold: float | None


def shot_vectors(catalog: Catalog, film: str, encoder: str) -> ShotVectors:
    """A film's shots; one that has no keyframe takes the vector of the shot before it.

    Args:
      catalog: that it is in.
      film: its id.
      encoder: name of the vectors, or name and hash.

    Raises:
      ValueError, FileNotFoundError: it has no shots, or no such vectors.
    """
    rows = catalog.shots(film).to_pylist()
    reason = catalog.manifest(film).get("reason")
    if not rows:
        raise ValueError(reason or "it has no shots")
    shelf = vectors.find(catalog.path, "shot", encoder)
    table = catalog.vectors("shot", encoder, film)
    if not len(table):
        raise ValueError(reason or "it has no keyframes")
    at = np.searchsorted(table["shot"].to_numpy(), np.arange(len(rows)), side="right") - 1
    return ShotVectors(film, rows, vectors.matrix(table)[np.maximum(at, 0)], shelf.model)


def divide(found: np.ndarray, seconds: np.ndarray, how: How, head: Head | None) -> Division:
    """Vectors of a film's shots to the borders of its scenes.

    Args:
      found: float32 `[shots d]`.
      seconds: float64 `[shots 2]`.
      how: to choose.
      head: that `how` names.

    Raises:
      ValueError: more scenes are wished for than there are shots.
    """
    shots = len(found)
    if how.scenes is not None and how.scenes > shots:
        raise ValueError(f"it has {shots} shots, which cannot be {how.scenes} scenes")
    if shots == 1:
        return Division(np.zeros(0, np.float32), np.zeros(0, np.int64), None)
    from vujax.evals.gap import gap_scores
    from vujax.segment import choose

    scores = gap_scores(found) if head is None else head.scores(found, seconds)
    if how.scenes is not None:
        return Division(scores, choose.by_count(found, how.scenes), None)
    least = how.min_duration or 0.0
    threshold = how.threshold
    if threshold is None and head is not None:
        threshold = head.threshold
    if threshold is None:
        return Division(scores, choose.by_prominence(scores, seconds, min_duration=least), None)
    borders = choose.by_threshold(scores, seconds, threshold=threshold, min_duration=least)
    return Division(scores, borders, float(threshold))


def scenes_of(catalog: Catalog, shots: ShotVectors, division: Division, how: Mapping) -> Scenes:
    """The result of one film.

    Args:
      catalog: that it is in.
      shots: of the film.
      division: of it.
      how: what the result keeps of how the borders were found.
    """
    row = catalog.films(shots.film).to_pylist()[0]
    clock = clock_of(row)
    model = shots.model
    made = dict(detector=row["detector"], encoder=model.name, encoder_digest=model.digest)
    return Scenes(
        film=shots.film,
        path=str(Path(row["folder"], row["path"])),
        title=str(row.get("title") or printable(Path(row["path"]).name)),
        clock=clock,
        size=(row["width"], row["height"]),
        variable_rate=row["variable_rate"],
        reason=row["reason"],
        borders_s=tuple(shot["begin_s"] for shot in shots.rows[1:]),
        scores=tuple(map(float, division.scores)),
        threshold=division.threshold,
        made=made | dict(how),
        scenes=divided(shots.film, shots.rows, clock, division.scores, division.borders),
    )
