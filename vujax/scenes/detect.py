"""From films to the files that say when their scenes begin."""

import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vujax.catalog import Catalog, embeddings, schema
from vujax.encoders import base
from vujax.pipeline.embed import model_of
from vujax.pipeline.ingest.film import Detectors
from vujax.scenes import exports
from vujax.scenes.film import Files, Finish, ShotVectors, shot_vectors
from vujax.scenes.stages import Here, Making, Reading, Stages, detectors
from vujax.scenes.types import Head, How, Scenes
from vujax.utils.io import write_json

CATALOG = "catalog"  # in the output's folder
SERIES = "series.json"


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
      paths: films and folders of them, or one catalogue.
      out: folder of the output; None: a catalogue that is thrown away, and no files.
      how: scenes are found.
      encoder: see `encoders.open_encoder`, or a picklable call that makes one.
      shots: see `stages.detectors`, or a picklable call that makes detectors.
      formats: of `exports.FORMATS`.
      series: the films are episodes of one series.
    """

    paths: Sequence[Path]
    out: Path | None
    how: How = field(default_factory=How)
    encoder: str | Callable[[], base.AnyEncoder] = "lite"
    shots: str | Callable[[], Detectors] = "transnetv2"
    formats: tuple[str, ...] = tuple(exports.FORMATS)
    series: bool = False


@dataclass
class Result:
    """What came of it.

    Attributes:
      films: those whose scenes are known.
      failed: path and reason of the others.
      files: what was written, and what could not be.
      took: seconds, by what on.
      series: what was found over the episodes.
    """

    films: list[Scenes] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    files: Files = field(default_factory=Files)
    took: dict[str, float] = field(default_factory=dict)
    series: Any = None


def segment(
    paths: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    encoder: str | Callable[[], base.AnyEncoder] = "lite",
    head: str | Head = "default",
    threshold: float | None = None,
    scenes: int | None = None,
    min_duration: float | None = None,
    adapt: bool = False,
    detector: str | Callable[[], Detectors] = "transnetv2",
    formats: Sequence[str] = tuple(exports.FORMATS),
) -> list[Scenes]:
    """Finds the scenes of films, in this process.

    Args:
      paths: a film, a folder of films, several of these, or a catalogue.
      out: folder for all files that `vujax scenes` writes; None: nothing is kept.
      encoder: of the keyframes, or of shots: 'lite', or the folder of a model.
      head: name or path of what scores borders; 'none': by how little their sides are alike.
      threshold: of the scores, 0 to 1; None: the head's own.
      scenes: how many are wished for in each film.
      min_duration: seconds of the shortest scene.
      adapt: first train vectors on these films, without labels.
      detector: of shots: transnetv2, adaptive, content, or a list of known shots.
      formats: to write, of `exports.FORMATS`.

    Returns:
      The scenes of each film that could be read; a warning names the others.

    Raises:
      ValueError: an argument is wrong, or no film could be read.
      OSError: a file or released weights cannot be had.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    how = How(head, threshold, scenes, min_duration, adapt)
    given = [Path(path) for path in several], out and Path(out), how, encoder, detector
    result = run(Job(*given, formats=exports.check(formats)))
    if not result.films:
        raise ValueError("; ".join(f"{path}: {reason}" for path, reason in result.failed))
    for path, reason in result.failed:
        warnings.warn(f"{path}: {reason}", stacklevel=2)
    return result.films


def run(
    job: Job, stages: Stages | None = None, say: Callable[[Scenes], None] | None = None
) -> Result:
    """Does a job.

    Args:
      job: to do.
      stages: who reads films and makes vectors; None: this process.
      say: told of each film when its files are written.

    Raises:
      ValueError, OSError, ImportError: nothing can be done. What is wrong with one film or one
        format only stands in the result.
    """
    head, stages, result = job.how.load(), stages or Here(), Result()
    make = _encoder(job.encoder)
    if job.out is not None:
        _writable(job.out, job.paths)
    with _catalogue(job) as (root, is_new):
        reading = _reading(job) if is_new else None
        if reading:
            schema.create_catalog(root)
        soon = stages.embeds_here and not (root / embeddings.FOLDER).exists()
        encoder = Making(root, make, soon=soon)
        with _timed(result.took, "shots"):
            films = (
                _read(job, root, stages, reading, result) if reading else schema.list_films(root)
            )
        if not films and not result.failed:
            raise ValueError(f"{', '.join(map(str, job.paths))} holds no film: name video files")
        with _timed(result.took, "encoder"):
            films, name = _embedded(root, encoder, films, stages, result)
        with _timed(result.took, "rest"):
            _finish(Catalog(root), films, name, job, head, result, say)
        result.took["rest"] -= result.took.get("adapt", 0.0)
    return result


def _finish(
    catalog: Catalog,
    films: Sequence[str],
    encoder: str,
    job: Job,
    head: Head | None,
    result: Result,
    say: Callable[[Scenes], None] | None,
) -> None:
    """Scenes of the films, one after the other; the vectors of all are held only when they must."""
    seen = {}
    if job.how.adapt:
        with _timed(result.took, "adapt"):
            seen = _adapted(catalog, films, encoder)
    is_only = len(films) + len(result.failed) == 1
    finish = Finish(catalog, job.how, head, job.out, job.formats, is_only, result.files)
    episodes = []
    for film in films:
        try:
            shots = shot_vectors(catalog, film, encoder)
            scenes = finish(shots, seen.get(film, shots.vectors), result.took)
        except (ValueError, OSError) as error:
            result.failed.append((catalog.manifest(film)["path"], str(error)))
            continue
        result.films.append(scenes)
        if job.series:
            episodes.append((shots, scenes))
        if say:
            say(scenes)
    if episodes:
        result.series = found_in_series(episodes)
        if job.out is not None:
            found = dict(kind="vujax series", schema=1, **asdict(result.series))
            result.files.written.append(write_json(job.out / SERIES, found))


def _adapted(catalog: Catalog, films: Sequence[str], encoder: str) -> dict[str, np.ndarray]:
    """Vectors trained on the films, by film; one that has none is missing."""
    from vujax.scenes.adapt import adapt

    given = {}
    for film in films:
        with suppress(ValueError, OSError):  # said when its turn comes
            given[film] = shot_vectors(catalog, film, encoder).vectors
    return dict(zip(given, adapt(list(given.values())), strict=True)) if given else {}


def found_in_series(episodes: Sequence[tuple[ShotVectors, Scenes]]) -> Any:
    """What returns over the episodes of a series: see `vujax.scenes.series`.

    Args:
      episodes: vectors and scenes of each, in order.
    """
    from vujax.scenes import series

    given = [
        series.EpisodeShots(
            film=shots.film,
            vectors=shots.vectors,
            seconds=shots.seconds,
            borders=np.array([scene.first_shot - 1 for scene in scenes.scenes[1:]], np.int64),
        )
        for shots, scenes in episodes
    ]
    return series.repeats(given)


@contextmanager
def _timed(took: dict[str, float], name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    took[name] = took.get(name, 0.0) + time.perf_counter() - begun


def _encoder(encoder: str | Callable[[], base.AnyEncoder]) -> Callable[[], base.AnyEncoder]:
    if not isinstance(encoder, str):
        return encoder
    return base.opener(encoder)


def _writable(out: Path, paths: Sequence[Path]) -> None:
    """Raises before hours of work when the output cannot go there.

    Raises:
      ValueError: it is a file, or a folder of films, which would have copies among them.
      OSError: it cannot be written to.
    """
    if out.resolve() in [path.resolve() for path in paths if path.is_dir()]:
        raise ValueError(f"{out} is where the films are: name another folder for the output")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: name a folder for the output")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OSError(
            f"{out} cannot be written to ({error.strerror}): name another folder"
        ) from None


@contextmanager
def _catalogue(job: Job) -> Iterator[tuple[Path, bool]]:
    """The catalogue's folder, and whether films are to be read into it first."""
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


def _reading(job: Job) -> Reading:
    make = detectors(job.shots) if isinstance(job.shots, str) else job.shots
    return Reading(make, job.out)


def _read(job: Job, root: Path, stages: Stages, reading: Reading, result: Result) -> list[str]:
    """Ids of the films that were read."""
    outcomes = stages.read(job.paths, root, reading)
    failed = [outcome for outcome in outcomes if outcome.status == "error"]
    result.failed += [(outcome.source.path, outcome.reason) for outcome in failed]
    return [outcome.film for outcome in outcomes if outcome.status != "error"]


def _embedded(
    root: Path, encoder: Making, films: Sequence[str], stages: Stages, result: Result
) -> tuple[list[str], str]:
    """The films that have vectors now, and the vectors' name."""
    made = encoder.encoder()
    model = model_of(made, Catalog(root))
    shelf = embeddings.EmbeddingStore(root, "shot", model)
    sources = list(_known(Catalog(root), films, result))
    missing = [film for film, source in sources if not shelf.is_current(film, source)]
    outcomes = stages.embed(root, missing, encoder) if missing else []
    bad = {o.film: o.reason for o in outcomes if o.film in missing and o.reason}
    result.failed += [(film, bad[film]) for film in missing if film in bad]
    return [film for film, _ in sources if film not in bad], model.folder


def _known(catalog: Catalog, films: Sequence[str], result: Result) -> Iterator[tuple[str, str]]:
    """Films whose manifest can be read, and the source of their vectors."""
    for film in films:
        try:
            yield film, embeddings.hash_source(catalog.manifest(film))
        except ValueError as error:
            result.failed.append((film, str(error)))
