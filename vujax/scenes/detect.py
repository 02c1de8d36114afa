"""Scene detection for many films: ingest, embed, find boundaries, write files.

    for film in detect_scenes("film.mp4", out="scenes/"):
        for scene in film.scenes:
            print(scene.number, scene.start_timecode, scene.end_timecode)

`detect_scenes` is the short way; the command line calls `run_scene_detection` with its workers.
"""

import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vujax import encoders
from vujax.catalog import Catalog, embeddings, schema
from vujax.encoders import base
from vujax.pipeline.extractors import resolve_model
from vujax.pipeline.ingest.detectors import DetectorSelector, open_detectors
from vujax.scenes import exports
from vujax.scenes.film import FilmProcessor, OutputFiles, ShotEmbeddings, load_shot_embeddings
from vujax.scenes.parts import find_parts
from vujax.scenes.series import EpisodeShots, SeriesStructure, analyze_series
from vujax.scenes.stages import (
    BackgroundEncoder,
    IngestOptions,
    InProcessStages,
    Stages,
)
from vujax.scenes.types import DetectedScenes, ExportOptions, Head, SceneDetectionOptions
from vujax.utils.io import write_json
from vujax.video.frame_rate import snap_rate

Detected = tuple[ShotEmbeddings, DetectedScenes]

CATALOG = "catalog"  # in the output directory
SERIES = "series.json"
SERIES_PAGE = "series.html"


@dataclass(frozen=True)
class SceneDetectionJob:
    """Request to detect the scenes of films.

    Attributes:
      paths: films and folders of films, or one catalog.
      out: output directory; None for a temporary catalog and no files.
      options: selection of the scene boundaries.
      encoder: see `encoders.open_encoder`, or a picklable callable that returns an encoder.
      shots: see `open_detectors`, or a picklable callable that returns detectors.
      formats: names of scene exports; see `exports.select`.
      series: whether the films are episodes of one series.
    """

    paths: Sequence[Path]
    out: Path | None
    options: SceneDetectionOptions = field(default_factory=SceneDetectionOptions)
    encoder: str | Callable[[], base.AnyEncoder] = "lite"
    shots: str | Callable[[], DetectorSelector] = "transnetv2"
    formats: tuple[str, ...] = field(default_factory=exports.select)
    series: bool = False


@dataclass
class SceneDetectionResult:
    """Result of a `SceneDetectionJob`.

    Attributes:
      films: films with their scenes.
      failed: path and reason of the other films.
      files: files that were written, and those that could not be.
      timings_s: seconds by stage.
      series: structure over the episodes of a series.
    """

    films: list[DetectedScenes] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    files: OutputFiles = field(default_factory=OutputFiles)
    timings_s: dict[str, float] = field(default_factory=dict)
    series: SeriesStructure | None = None


def detect_scenes(
    paths: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    encoder: str | Callable[[], base.AnyEncoder] = "lite",
    head: str | Head = "structure",
    threshold: float | None = None,
    scenes: int | None = None,
    min_duration: float | None = None,
    adapt: bool = False,
    detector: str | Callable[[], DetectorSelector] = "transnetv2",
    formats: Sequence[str] | None = None,
    series: bool = False,
    title: str | None = None,
    reel: str = "AX",
    start_timecode: str | None = None,
    edl_rate: float | Fraction | None = None,
) -> list[DetectedScenes]:
    """Detect the scenes of films in this process.

    Args:
      paths: a film, a folder of films, several of these, or a catalog.
      out: output directory for all files of `vujax scenes`; None to keep nothing.
      encoder: encoder of keyframes or shots: 'lite', or the folder of a model.
      head: name or path of the boundary head; 'structure' and 'gap' need no weights, 'default' is
        the head in the package.
      threshold: minimum score, 0 to 1; None for the head's own, or its expected number of scenes.
      scenes: number of scenes of each film; None to let the scores decide.
      min_duration: minimum length of a scene in seconds.
      adapt: train embeddings on these films first, without labels.
      detector: shot detector (transnetv2, adaptive, content), or a list of known shots.
      formats: names of the formats to write; None: those of `vujax scenes` without `--formats`.
      series: whether the films are episodes of a series, in order, whose recaps, intros and credits
        are found.
      title: title of the film; None for that of its metadata, or the file's name.
      reel: name of the source in EDLs.
      start_timecode: timecode of the first picture, 'HH:MM:SS:FF', or 'HH:MM:SS;FF' in drop-frame;
        None for the file's, or 00:00:00:00.
      edl_rate: frames per second of the EDL, such as 25 or 23.976; None for the film's.

    Returns:
      The scenes of each film that could be read; warnings name the others.

    Raises:
      ValueError: an argument is wrong, or no film could be read.
      OSError: a file or released weights are not available.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    options = SceneDetectionOptions(
        head=head,
        threshold=threshold,
        num_scenes=scenes,
        min_duration=min_duration,
        adapt=adapt,
        export=ExportOptions(
            title=title,
            reel=reel,
            start_timecode=start_timecode,
            edl_rate=_parse_rate(edl_rate),
        ),
    )
    job = SceneDetectionJob(
        paths=[Path(path) for path in several],
        out=Path(out) if out else None,
        options=options,
        encoder=encoder,
        shots=detector,
        formats=exports.select(formats),
        series=series,
    )
    result = run_scene_detection(job)
    if not result.films:
        raise ValueError("; ".join(f"{path}: {reason}" for path, reason in result.failed))
    for path, reason in result.failed:
        warnings.warn(f"{path}: {reason}", stacklevel=2)
    return result.films


def _parse_rate(rate: float | Fraction | None) -> Fraction | None:
    """Return the nominal rate; one that is not positive stays, for `ExportOptions` to refuse."""
    if rate is None or rate <= 0:
        return None if rate is None else Fraction(rate)
    return snap_rate(Fraction(rate))


def run_scene_detection(
    job: SceneDetectionJob,
    stages: Stages | None = None,
    report: Callable[[DetectedScenes], None] | None = None,
) -> SceneDetectionResult:
    """Run a job.

    Args:
      job: the request.
      stages: execution of ingest and embedding; None for this process.
      report: called with each film after its files are written.

    Raises:
      ValueError, OSError, ImportError: the whole job is impossible. Failures of one film or one
        format are part of the result instead.
    """
    head, stages, result = (
        job.options.load_head(),
        stages or InProcessStages(),
        SceneDetectionResult(),
    )
    make = encoders.make_opener(job.encoder) if isinstance(job.encoder, str) else job.encoder
    if job.out is not None:
        _check_writable(job.out, job.paths)
    with _open_catalog(job) as (root, is_new):
        ingest = _ingest_options(job) if is_new else None
        if ingest:
            schema.create_catalog(root)
        warm_up = stages.embeds_here and not (root / embeddings.FOLDER).exists()
        encoder = BackgroundEncoder(root, make, warm_up=warm_up)
        with _timed(result.timings_s, "shots"):
            films = (
                _ingest(job, root, stages, ingest, result) if ingest else schema.list_films(root)
            )
        if not films and not result.failed:
            raise ValueError(f"{', '.join(map(str, job.paths))} holds no film; name video files")
        with _timed(result.timings_s, "encoder"):
            films, name = _embed(root, encoder, films, stages, result)
        with _timed(result.timings_s, "rest"):
            _detect(Catalog(root), films, name, job, head, result, report)
        result.timings_s["rest"] -= result.timings_s.get("adapt", 0.0)
    return result


def analyze_episodes(episodes: Sequence[Detected]) -> SeriesStructure:
    """Find what recurs over the episodes of a series; see `vujax.scenes.series`.

    Args:
      episodes: embeddings and scenes of each episode, in order.
    """
    return analyze_series(
        [
            EpisodeShots(
                film=shots.film,
                vectors=shots.vectors,
                seconds=shots.seconds,
                boundaries=np.array([s.first_shot - 1 for s in scenes.scenes[1:]], np.int64),
            )
            for shots, scenes in episodes
        ]
    )


def _detect(
    catalog: Catalog,
    films: Sequence[str],
    encoder: str,
    job: SceneDetectionJob,
    head: Head | None,
    result: SceneDetectionResult,
    report: Callable[[DetectedScenes], None] | None,
) -> None:
    """Detect scenes film by film; embeddings of all films are held only for adaptation."""
    adapted = {}
    if job.options.adapt:
        with _timed(result.timings_s, "adapt"):
            adapted = _adapt(catalog, films, encoder)
    process = FilmProcessor(
        catalog=catalog,
        options=job.options,
        head=head,
        out=job.out,
        formats=job.formats,
        is_only=len(films) + len(result.failed) == 1,
        files=result.files,
    )
    detected: Iterable[Detected] = _detect_films(process, films, encoder, adapted, result)
    if job.series:
        detected = _analyze(list(detected), job, result)
    for shots, scenes in detected:
        try:
            vectors = adapted.get(shots.film, shots.vectors)
            scenes = process.write(scenes, vectors, result.timings_s)
        except (ValueError, OSError) as error:
            result.failed.append((catalog.manifest(shots.film)["path"], str(error)))
            continue
        result.films.append(scenes)
        if report:
            report(scenes)
    if result.series and job.out is not None and exports.PAGE in job.formats:
        _write_series_page(result, job.out / SERIES_PAGE, process)


def _write_series_page(result: SceneDetectionResult, path: Path, process: FilmProcessor) -> None:
    from vujax.scenes.series_page import write_series_page

    assert result.series is not None
    pages = {film.film: process.page_name(film.film) for film in result.films}
    result.files.written.append(write_series_page(result.series, result.films, path, pages))


def _detect_films(
    process: FilmProcessor,
    films: Sequence[str],
    encoder: str,
    adapted: Mapping[str, np.ndarray],
    result: SceneDetectionResult,
) -> Iterator[Detected]:
    """Yield the films whose scenes could be detected; nothing is written."""
    for film in films:
        try:
            shots = load_shot_embeddings(process.catalog, film, encoder)
            scenes = process.detect(shots, adapted.get(film, shots.vectors))
        except (ValueError, OSError) as error:
            result.failed.append((process.catalog.manifest(film)["path"], str(error)))
            continue
        yield shots, scenes


def _analyze(
    detected: list[Detected], job: SceneDetectionJob, result: SceneDetectionResult
) -> list[Detected]:
    """Analyze the films as a series and give each its parts, before files are written."""
    if not detected:
        return []
    result.series = analyze_episodes(detected)
    if job.out is not None:
        contents = dict(kind="vujax series", schema=1, **result.series.to_dict())
        result.files.written.append(write_json(job.out / SERIES, contents))
    return [
        (shots, replace(scenes, parts=find_parts(episode)))
        for (shots, scenes), episode in zip(detected, result.series.episodes, strict=True)
    ]


def _adapt(catalog: Catalog, films: Sequence[str], encoder: str) -> dict[str, np.ndarray]:
    """Return adapted shot embeddings by film; films without embeddings are missing."""
    from vujax.scenes.adapt import adapt_embeddings

    given = {}
    for film in films:
        with suppress(ValueError, OSError):  # reported when the film is processed
            given[film] = load_shot_embeddings(catalog, film, encoder).vectors
    return dict(zip(given, adapt_embeddings(list(given.values())), strict=True)) if given else {}


@contextmanager
def _timed(timings_s: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings_s[name] = timings_s.get(name, 0.0) + time.perf_counter() - start


def _check_writable(out: Path, paths: Sequence[Path]) -> None:
    """Fail before hours of work if the output cannot be written.

    Raises:
      ValueError: `out` is a file, or a folder of films, which would get copies among them.
      OSError: `out` cannot be written to.
    """
    if out.resolve() in [path.resolve() for path in paths if path.is_dir()]:
        raise ValueError(f"{out} is the folder of the films; name another output directory")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; name an output directory")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write to {out} ({error.strerror}); name another output directory"
        ) from None


@contextmanager
def _open_catalog(job: SceneDetectionJob) -> Iterator[tuple[Path, bool]]:
    """Yield the catalog's folder, and whether films must be ingested into it first."""
    if len(job.paths) == 1 and (job.paths[0] / schema.CATALOG_FILE).is_file():
        schema.check_catalog(job.paths[0])
        yield job.paths[0].resolve(), False
    elif job.out is not None:
        yield (job.out / CATALOG).resolve(), True
    else:
        folder = Path(tempfile.mkdtemp(prefix="vujax-"))
        try:
            yield folder / CATALOG, True
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _ingest_options(job: SceneDetectionJob) -> IngestOptions:
    make = open_detectors(job.shots) if isinstance(job.shots, str) else job.shots
    return IngestOptions(detectors=make, exclude=job.out)


def _ingest(
    job: SceneDetectionJob,
    root: Path,
    stages: Stages,
    options: IngestOptions,
    result: SceneDetectionResult,
) -> list[str]:
    """Ingest the films and return the ids of those that could be read."""
    outcomes = stages.ingest(job.paths, root, options)
    failed = [outcome for outcome in outcomes if outcome.status == "error"]
    result.failed += [(outcome.source.path, outcome.reason) for outcome in failed]
    return [outcome.film for outcome in outcomes if outcome.status != "error"]


def _embed(
    root: Path,
    encoder: BackgroundEncoder,
    films: Sequence[str],
    stages: Stages,
    result: SceneDetectionResult,
) -> tuple[list[str], str]:
    """Embed what is missing and return the films with embeddings, and the embeddings' name."""
    model = resolve_model(encoder.encoder(), Catalog(root))
    store = embeddings.EmbeddingStore(root, "shot", model)
    current = list(_readable(Catalog(root), films, result))
    missing = [film for film, source in current if not store.is_current(film, source)]
    outcomes = stages.embed(root, missing, encoder) if missing else []
    bad = {o.film: o.reason for o in outcomes if o.film in missing and o.reason}
    result.failed += [(film, bad[film]) for film in missing if film in bad]
    return [film for film, _ in current if film not in bad], model.folder


def _readable(
    catalog: Catalog, films: Sequence[str], result: SceneDetectionResult
) -> Iterator[tuple[str, str]]:
    """Yield films whose manifest can be read, and the source of their embeddings."""
    for film in films:
        try:
            yield film, embeddings.hash_source(catalog.manifest(film))
        except ValueError as error:
            result.failed.append((film, str(error)))
