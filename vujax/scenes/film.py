"""Scene detection for one film: shot embeddings to scenes, catalog rows and exported files."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vujax.catalog import Catalog, embeddings
from vujax.catalog import scenes as scene_tables
from vujax.catalog.schema import build_clock
from vujax.scenes import break_cues, exports
from vujax.scenes.types import (
    DetectedScenes,
    ExportOptions,
    Head,
    SceneDetectionOptions,
    build_scenes,
)
from vujax.utils.formatting import format_short_clock, quote_unprintable
from vujax.video.timecode import Clock

SINGLE_FILM_STEM = "scenes"  # file stem when a run has one film
SINGLE_FILM_PAGE_STEM = "report"
COPY_STEM = "-chapters"  # behind the stem of a copy that would replace the film
RESERVED_STEMS = ("series",)  # series.json holds the structure of all films
MAX_NAMED = 3  # boundaries that a note about a film of one scene names


@dataclass(frozen=True)
class ShotEmbeddings:
    """Shots of one film with their embeddings.

    Attributes:
      film: catalog id.
      rows: rows of the film's shot table in the catalog.
      vectors: float32 `[shots d]`.
      model: model that computed them.
    """

    film: str
    rows: Sequence[Mapping[str, Any]]
    vectors: np.ndarray
    model: embeddings.EmbeddingModel

    @property
    def seconds(self) -> np.ndarray:
        """Start and end of each shot, float64 `[shots 2]`."""
        return np.array([(row["begin_s"], row["end_s"]) for row in self.rows], np.float64)


@dataclass(frozen=True)
class BoundaryPrediction:
    """Scores of shot boundaries and the scene boundaries among them.

    Attributes:
      scores: float32 `[shots - 1]`.
      boundaries: scene boundaries, int `[scenes - 1]`: a scene starts with shot boundary + 1.
      threshold: score threshold; None when none was used.
    """

    scores: np.ndarray
    boundaries: np.ndarray
    threshold: float | None


@dataclass
class OutputFiles:
    """Files of a run.

    Attributes:
      written: paths that were written.
      unwritten: path and reason of those that could not be written.
    """

    written: list[Path] = field(default_factory=list)
    unwritten: list[tuple[Path, str]] = field(default_factory=list)


def load_shot_embeddings(catalog: Catalog, film: str, encoder: str) -> ShotEmbeddings:
    """Load the shot embeddings of a film; a shot without keyframe takes those of the one before.

    Args:
      catalog: catalog of the film.
      film: catalog id.
      encoder: name of the embeddings, or name and hash.

    Raises:
      ValueError, FileNotFoundError: the film has no shots, or no such embeddings.
    """
    rows = catalog.shots(film).to_pylist()
    reason = catalog.manifest(film).get("reason")
    if not rows:
        raise ValueError(reason or "it has no shots")
    store = embeddings.open_store(catalog.path, "shot", encoder)
    table = catalog.embeddings("shot", encoder, film)
    if not len(table):
        raise ValueError(reason or "it has no keyframes")
    indices = np.searchsorted(table["shot"].to_numpy(), np.arange(len(rows)), side="right") - 1
    vectors = embeddings.to_matrix(table)[np.maximum(indices, 0)]
    return ShotEmbeddings(film, rows, vectors, store.model)


def predict_boundaries(
    vectors: np.ndarray,
    seconds: np.ndarray,
    options: SceneDetectionOptions,
    head: Head | None,
    *,
    original: np.ndarray | None = None,
) -> BoundaryPrediction:
    """Predict the scene boundaries of a film from its shot embeddings.

    Args:
      vectors: float32 `[shots d]`.
      seconds: start and end of each shot, float64 `[shots 2]`.
      options: selection of the boundaries.
      head: the loaded head of `options`.
      original: embeddings before adaptation, if `vectors` are adapted. They decide the number of
        boundaries, since scores of adapted embeddings have another scale; `vectors` decide which.

    Raises:
      ValueError: `options` asks for more scenes than there are shots.
    """
    shots = len(vectors)
    if options.num_scenes is not None and options.num_scenes > shots:
        raise ValueError(f"it has {shots} shots, too few for {options.num_scenes} scenes")
    if shots == 1:
        return BoundaryPrediction(np.zeros(0, np.float32), np.zeros(0, np.int64), None)
    from vujax.data.shot_similarity import compute_gap_scores
    from vujax.scenes import select

    score = compute_gap_scores if head is None else partial(head.scores, seconds=seconds)
    scores = score(vectors)
    if options.num_scenes is not None:
        chosen = select.select_k_scenes(vectors, options.num_scenes)
        return BoundaryPrediction(scores, chosen, None)
    if original is None or options.threshold is not None:
        return _select(scores, seconds, options, head)
    count = len(_select(score(original), seconds, options, head).boundaries)
    min_duration = options.min_scene_s
    chosen = select.select_highest(scores, seconds, count=count, min_duration=min_duration)
    return BoundaryPrediction(scores, chosen, None)


def _select(
    scores: np.ndarray, seconds: np.ndarray, options: SceneDetectionOptions, head: Head | None
) -> BoundaryPrediction:
    """Select boundaries by a threshold, by their expected number, or as peaks without a head."""
    from vujax.scenes import select

    threshold = options.threshold
    if threshold is None and head is not None:
        threshold = head.threshold
    more = dict(min_duration=options.min_scene_s)
    if threshold is not None:
        chosen = select.select_by_threshold(scores, seconds, threshold=threshold, **more)
    elif head is not None:
        expected = round(float(np.sum(scores, dtype=np.float64)))
        chosen = select.select_highest(scores, seconds, count=expected, **more)
    else:
        chosen = select.select_by_prominence(scores, seconds, **more)
    return BoundaryPrediction(scores, chosen, threshold)


def build_result(
    catalog: Catalog,
    shots: ShotEmbeddings,
    prediction: BoundaryPrediction,
    settings: Mapping,
    export: ExportOptions | None = None,
) -> DetectedScenes:
    """Build the result of one film.

    Args:
      catalog: catalog of the film.
      shots: shots of the film.
      prediction: boundaries of its scenes.
      settings: settings to record in the result's provenance.
      export: options of the film's files.

    Raises:
      ValueError: the start timecode names no frame at the film's rate.
    """
    export = export or ExportOptions()
    row = catalog.films(shots.film).to_pylist()[0]
    clock = build_clock(row)
    if export.start_timecode is not None:
        clock = _restart(clock, export.start_timecode)
    model = shots.model
    models = dict(detector=row["detector"], encoder=model.name, encoder_digest=model.digest)
    return DetectedScenes(
        film=shots.film,
        path=str(Path(row["folder"], row["path"])),
        title=export.title or str(row.get("title") or quote_unprintable(Path(row["path"]).name)),
        clock=clock,
        size=(row["width"], row["height"]),
        variable_rate=row["variable_rate"],
        reason=row["reason"],
        boundaries_s=tuple(shot["begin_s"] for shot in shots.rows[1:]),
        scores=tuple(map(float, prediction.scores)),
        threshold=prediction.threshold,
        provenance=models | dict(settings),
        scenes=build_scenes(
            shots.film,
            shots.rows,
            clock,
            prediction.scores,
            prediction.boundaries,
            row["variable_rate"],
        ),
        export=export,
    )


def _restart(clock: Clock, timecode: str) -> Clock:
    try:
        return clock.with_timecode(timecode)
    except ValueError as error:
        raise ValueError(f"{error}; give another --start-timecode") from None


def explain_one_scene(scenes: DetectedScenes, options: SceneDetectionOptions) -> str:
    """Return a sentence about a film of several shots without a scene boundary; '' for others.

    It names the highest scores, and the option that divides the film nevertheless.
    """
    if len(scenes.scenes) > 1 or not scenes.scores or options.num_scenes is not None:
        return ""
    order = np.argsort(-np.array(scenes.scores), kind="stable")[:MAX_NAMED]
    highest = ", ".join(
        f"{format_short_clock(scenes.boundaries_s[i])} ({scenes.scores[i]:.2f})" for i in order
    )
    limit = "" if scenes.threshold is None else f" above the threshold of {scenes.threshold:.2f}"
    return (
        f"No shot boundary was selected as a scene boundary{limit}; the highest scores are at "
        f"{highest}. --scenes N divides the film into N scenes."
    )


@dataclass(frozen=True)
class FilmProcessor:
    """Detection of a film's scenes, and writing of the catalog rows and files.

    Attributes:
      catalog: catalog of the films.
      options: selection of the boundaries.
      head: the loaded head of `options`.
      out: output directory; None to write no files.
      formats: names of scene exports, in the order of writing; see `exports.select`.
      is_only: whether the run has one film, whose files need not carry its name.
      files: collects the paths that are written.
    """

    catalog: Catalog
    options: SceneDetectionOptions
    head: Head | None
    out: Path | None
    formats: Sequence[str]
    is_only: bool
    files: OutputFiles

    def detect(self, shots: ShotEmbeddings, vectors: np.ndarray) -> DetectedScenes:
        """Detect the scenes of a film.

        Args:
          shots: shots of the film.
          vectors: float32 `[shots d]`, by which boundaries are scored; may be adapted.

        Raises:
          ValueError: the film has fewer shots than the wanted number of scenes.
        """
        start = time.perf_counter()
        prediction = predict_boundaries(
            vectors,
            shots.seconds,
            self.options,
            self.head,
            original=None if vectors is shots.vectors else shots.vectors,
        )
        settings = self.options.provenance(self.head)
        export = self.options.export
        notes = ()
        if export.title is not None and not self.is_only:
            export = replace(export, title=None)
            notes = ("The title was not used: it is for a run with one film.",)
        scenes = build_result(self.catalog, shots, prediction, settings, export)
        if note := explain_one_scene(scenes, self.options):
            notes = (*notes, note)
        scenes = self._add_cues(replace(scenes, notes=notes))
        return replace(scenes, timings_s={"rest": time.perf_counter() - start})

    def write(
        self, scenes: DetectedScenes, vectors: np.ndarray, timings_s: Mapping[str, float]
    ) -> DetectedScenes:
        """Write the scenes of a film into the catalog and into files.

        Args:
          scenes: of `detect`.
          vectors: as for `detect`.
          timings_s: seconds of the stages before detection.
        """
        start = time.perf_counter() - scenes.timings_s["rest"]
        self._write_catalog(scenes)
        if self.out is not None:
            scenes = self._write_files(scenes, vectors, dict(timings_s), start)
        rest = {"rest": time.perf_counter() - start}
        return replace(scenes, timings_s=dict(timings_s) | rest)

    def _add_cues(self, scenes: DetectedScenes) -> DetectedScenes:
        row = self.catalog.films(scenes.film).to_pylist()[0]
        try:
            cues, notes = break_cues.find_break_cues(scenes, repaired=bool(row["repaired"]))
        except (ValueError, OSError) as error:
            note = f"Break cues were not computed: {error}."
            return replace(scenes, notes=(*scenes.notes, note))
        return replace(scenes, cues=cues, notes=(*scenes.notes, *notes))

    def _write_catalog(self, scenes: DetectedScenes) -> None:
        shared = dict(film=scenes.film, threshold=scenes.threshold)
        shared |= {name: scenes.provenance[name] for name in ("encoder", "head")}
        rows = []
        for scene in scenes.scenes:
            fields = shared | dict(scene=scene.number - 1) | scene.to_row()
            rows.append({name: fields[name] for name in scene_tables.SCENES.names})
        source = embeddings.hash_source(self.catalog.manifest(scenes.film))
        provenance = dict(scenes.provenance)
        scene_tables.write_scenes(self.catalog.path, scenes.film, source, rows, provenance)

    def _write_files(
        self,
        scenes: DetectedScenes,
        vectors: np.ndarray,
        timings_s: dict[str, float],
        start: float,
    ) -> DetectedScenes:
        """Write all formats; JSON and the page come last and carry the notes of the others."""
        stem = self._stem(scenes.film)
        for name in self.formats:
            path = self._path(name, scenes, stem)
            rest = {"rest": time.perf_counter() - start}
            scenes = replace(scenes, timings_s=timings_s | rest)
            failures = Exception if exports.EXPORTS.is_plugin(name) else (ValueError, OSError)
            try:
                notes = self._write_format(name, scenes, vectors, path)
            except failures as error:
                reason = getattr(error, "strerror", None) or str(error)
                self.files.unwritten.append((path, reason))
                notes = [f"{path.name} could not be written: {reason}."]
            else:
                self.files.written.append(path)
            scenes = replace(scenes, notes=(*scenes.notes, *notes))
        return scenes

    def _path(self, name: str, scenes: DetectedScenes, stem: str) -> Path:
        if name == exports.PAGE:
            return self.out / self.page_name(scenes.film)
        single = SINGLE_FILM_STEM if self.is_only else stem
        export = exports.open_export(name)
        path = export.path(scenes, self.out, stem if export.names_film else single)
        if path.exists() and Path(scenes.path).exists() and path.samefile(scenes.path):
            return path.with_stem(f"{path.stem}{COPY_STEM}")  # a copy beside the film itself
        return path

    def _write_format(
        self, name: str, scenes: DetectedScenes, vectors: np.ndarray, path: Path
    ) -> list[str]:
        if name != exports.PAGE:
            return exports.open_export(name).write(scenes, path)
        from vujax.scenes.page import write_page

        siblings = [file for file in self.files.written if file.parent == path.parent]
        stems = (path.stem, f"{path.stem}{COPY_STEM}")
        names = [f.name for f in siblings if self.is_only or f.name.partition(".")[0] in stems]
        write_page(self.catalog, scenes, vectors, path, names)
        return []

    def page_name(self, film: str) -> str:
        """Return the file name of a film's page."""
        return f"{SINGLE_FILM_PAGE_STEM if self.is_only else self._stem(film)}.html"

    def _stem(self, film: str) -> str:
        """Return the film's slug; its id where another film, or a file of the run, has the slug."""
        slug = film.rpartition("-")[0]
        if slug in RESERVED_STEMS:
            return film
        namesakes = [other for other in self.catalog.film_ids() if other.rpartition("-")[0] == slug]
        return slug if len(namesakes) == 1 else film
