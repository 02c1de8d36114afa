"""One film of a catalogue: the vectors of its shots to scenes.

The end of the road for one film: its scenes, into the catalogue and into files.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vujax.catalog import Catalog, embeddings
from vujax.catalog import scenes as kept
from vujax.catalog.schema import build_clock
from vujax.scenes import break_cues, exports
from vujax.scenes.types import Head, How, Scenes, divided
from vujax.utils.formatting import quote_unprintable


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
    model: embeddings.EmbeddingModel

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
    shelf = embeddings.open_store(catalog.path, "shot", encoder)
    table = catalog.embeddings("shot", encoder, film)
    if not len(table):
        raise ValueError(reason or "it has no keyframes")
    at = np.searchsorted(table["shot"].to_numpy(), np.arange(len(rows)), side="right") - 1
    return ShotVectors(film, rows, embeddings.to_matrix(table)[np.maximum(at, 0)], shelf.model)


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
    from vujax.data.shot_similarity import compute_gap_scores
    from vujax.scenes import select

    scores = compute_gap_scores(found) if head is None else head.scores(found, seconds)
    if how.scenes is not None:
        return Division(scores, select.by_count(found, how.scenes), None)
    least = how.min_duration or 0.0
    threshold = how.threshold
    if threshold is None and head is not None:
        threshold = head.threshold
    if threshold is None:
        return Division(scores, select.by_prominence(scores, seconds, min_duration=least), None)
    borders = select.by_threshold(scores, seconds, threshold=threshold, min_duration=least)
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
    clock = build_clock(row)
    model = shots.model
    made = dict(detector=row["detector"], encoder=model.name, encoder_digest=model.digest)
    return Scenes(
        film=shots.film,
        path=str(Path(row["folder"], row["path"])),
        title=str(row.get("title") or quote_unprintable(Path(row["path"]).name)),
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


ONE = "scenes"  # name of the files when there is one film

ONE_PAGE = "report"


@dataclass
class Files:
    """What a run wrote.

    Attributes:
      written: files.
      unwritten: path and reason of those that could not be.
    """

    written: list[Path] = field(default_factory=list)
    unwritten: list[tuple[Path, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Finish:
    """Divides films and writes what was found.

    Attributes:
      catalog: that they are in.
      how: borders are found.
      head: that `how` names.
      out: folder of the files; None: none are written.
      formats: of `exports.FORMATS`.
      is_only: there is one film, whose files need not bear its name.
      files: takes note of what is written.
    """

    catalog: Catalog
    how: How
    head: Head | None
    out: Path | None
    formats: Sequence[str]
    is_only: bool
    files: Files

    def __call__(self, shots: ShotVectors, seen: np.ndarray, took: Mapping[str, float]) -> Scenes:
        """The scenes of a film.

        Args:
          shots: of it.
          seen: float32 `[shots d]`, by which borders are scored.
          took: seconds that came before.

        Raises:
          ValueError: it cannot have as many scenes as are wished for.
        """
        begun = time.perf_counter()
        division = divide(seen, shots.seconds, self.how, self.head)
        scenes = scenes_of(self.catalog, shots, division, self.how.facts(self.head))
        scenes = self._with_cues(scenes)
        self._keep(scenes)
        if self.out is not None:
            scenes = self._write(scenes, seen, dict(took), begun)
        return replace(scenes, took=dict(took) | {"rest": time.perf_counter() - begun})

    def _with_cues(self, scenes: Scenes) -> Scenes:
        row = self.catalog.films(scenes.film).to_pylist()[0]
        try:
            found, notes = break_cues.find(scenes, repaired=bool(row["repaired"]))
        except (ValueError, OSError) as error:
            note = f"Places for breaks were not looked for: {error}."
            return replace(scenes, notes=(*scenes.notes, note))
        return replace(scenes, cues=found, notes=(*scenes.notes, *notes))

    def _keep(self, scenes: Scenes) -> None:
        """Writes the scenes into the catalogue."""
        about = dict(film=scenes.film, threshold=scenes.threshold)
        about |= {name: scenes.made[name] for name in ("encoder", "head")}
        rows = [
            about
            | dict(scene=scene.number - 1)
            | {name: getattr(scene, name) for name in kept.SCENES.names if hasattr(scene, name)}
            for scene in scenes.scenes
        ]
        source = embeddings.hash_source(self.catalog.manifest(scenes.film))
        kept.write_scenes(self.catalog.path, scenes.film, source, rows, dict(scenes.made))

    def _write(
        self, scenes: Scenes, seen: np.ndarray, took: dict[str, float], begun: float
    ) -> Scenes:
        """Writes the formats; those that say all come last and know what the others lack."""
        stem = self._stem(scenes.film)
        for name in (name for name in exports.FORMATS if name in self.formats):
            one = ONE_PAGE if name == exports.PAGE else ONE
            path = exports.path_of(scenes, name, self.out, one if self.is_only else stem)
            scenes = replace(scenes, took=took | {"rest": time.perf_counter() - begun})
            try:
                notes = self._format(name, scenes, seen, path)
            except (ValueError, OSError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                self.files.unwritten.append((path, reason))
                notes = [f"{path.name} could not be written: {reason}."]
            else:
                self.files.written.append(path)
            scenes = replace(scenes, notes=(*scenes.notes, *notes))
        return scenes

    def _format(self, name: str, scenes: Scenes, seen: np.ndarray, path: Path) -> list[str]:
        if name != exports.PAGE:
            return exports.writer(name)(scenes, path)
        from vujax.scenes.page import write_page

        beside = [file for file in self.files.written if file.parent == path.parent]
        mine = [file.name for file in beside if self.is_only or file.stem == path.stem]
        write_page(self.catalog, scenes, seen, path, mine)
        return []

    def _stem(self, film: str) -> str:
        """The film's slug; its id where another film of the catalogue has the same slug."""
        slug = film.rpartition("-")[0]
        namesakes = [one for one in self.catalog.ids() if one.rpartition("-")[0] == slug]
        return slug if len(namesakes) == 1 else film
