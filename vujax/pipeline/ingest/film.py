"""The stage: one film in, its parts in the catalogue out."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from vujax.catalog import schema as layout
from vujax.catalog.ids import NO_FINGERPRINT, compute_fingerprint, is_id_of_path, make_slug
from vujax.catalog.metadata import FilmMetadata, Metadata
from vujax.catalog.parquet import read_parquet, write_parquet
from vujax.catalog.writer import Staging, read_manifest, remove_film
from vujax.pipeline.ingest.reader import FilmReading, Report, read_film
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.ingest.sources import Source
from vujax.video.probe import FilmError, quote_path
from vujax.video.shots.base import ShotDetector

PACKAGES = ("vujax", "av", "pyarrow", "pillow", "numpy")


DetectorSelector = Callable[[Source], ShotDetector]


def share_detector(make: Callable[[], ShotDetector]) -> DetectorSelector:
    """One detector for all films; `functools.partial(for_all, make)` is what `Work` needs."""
    detector = make()
    return lambda source: detector


@dataclass(frozen=True)
class IngestJob:
    """What a worker needs besides films; picklable.

    Attributes:
      root: of the catalogue.
      settings: how films are read.
      detectors: called once in each worker; what it returns gives each film its detector.
      metadata: a table to join, or None.
    """

    root: Path
    settings: IngestSettings
    detectors: Callable[[], DetectorSelector]
    metadata: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How it went with one film.

    Attributes:
      source: the film.
      film: its id.
      status: 'whole', 'partial' or 'error'.
      reason: why it is not whole.
      done: False when it was in the catalogue before.
      seconds: of film in the catalogue.
      shots: in the catalogue.
      keyframes: in the catalogue.
    """

    source: Source
    film: str
    status: str
    reason: str = ""
    done: bool = True
    seconds: float = 0.0
    shots: int = 0
    keyframes: int = 0


@dataclass
class _Row:
    """A film on its way: its row among the films, and what its manifest says."""

    source: Source
    film: str
    settings: dict[str, Any]
    extra: FilmMetadata
    row: dict[str, Any] = field(default_factory=dict)
    final: bool = True
    stamp: list[int] | None = None


class IngestStage:
    """Reads films into a catalogue, one by one."""

    def __init__(self, work: IngestJob) -> None:
        """Makes the detectors and reads the metadata.

        Raises:
          ValueError, OSError: either cannot be had.
        """
        self._work = work
        self._detector_of = work.detectors()
        self._metadata = None if work.metadata is None else Metadata.read(work.metadata)

    def __call__(self, source: Source, report: Report = lambda seconds: None) -> Outcome:
        """Reads a film, unless the catalogue has it, as it is now and read with these settings.

        Whatever is wrong with the film becomes its row's reason; nothing is raised for it.
        """
        root = self._work.root
        try:
            detector = self._detector_of(source)
        except (ValueError, OSError) as error:  # of a list of known shots
            return record_failure(root, source, str(error))
        film, stamp = _identify(source)
        made = self._start(source, film, stamp, self._work.settings.facts(detector.name))
        old = read_manifest(root, film)
        if old and self._is_same(old, made):
            return self._refresh(old, made)
        with Staging(root, film) as staging:
            try:
                self._read(made, detector, staging, report)
            except ValueError as error:
                _fail(made, str(error), final=isinstance(error, FilmError))
            except OSError as error:
                _fail(made, _why(error, source), final=False)
            except Exception as error:  # one film must not stop the others
                _fail(made, f"{type(error).__name__}: {error}", final=False)
            return _commit(root, staging, made)

    def _start(
        self, source: Source, film: str, stamp: list[int] | None, settings: dict[str, Any]
    ) -> _Row:
        if self._metadata:
            extra = self._metadata.of(film, source.path)
        else:
            extra = _carried(self._work.root, film)
        return _Row(source, film, settings, extra, stamp=stamp)

    def _read(self, made: _Row, detector: ShotDetector, staging: Staging, report: Report) -> None:
        source = made.source
        if source.refused:
            raise FilmError(f"{quote_path(source.file)}: {source.refused}")
        args = (source.file, made.film, detector, self._work.settings, staging, report)
        reading = read_film(*args)
        if not reading.shots:
            raise FilmError(f"{quote_path(source.file)}: {reading.status.reason}")
        write_parquet(staging.path("shots.parquet"), reading.shots, layout.SHOTS)
        write_parquet(staging.path("keyframes.parquet"), reading.keyframes, layout.KEYFRAMES)
        if reading.audio:
            write_parquet(staging.path("audio.parquet"), reading.audio, layout.AUDIO)
        made.row |= _facts(reading)
        if made.stamp != _stamp(source.file):
            made.final = False
            changed = "the file changed or vanished while it was read"
            made.row["reason"] = "; ".join(filter(None, (made.row["reason"], changed)))
        made.row["status"] = "partial" if made.row["reason"] else "whole"

    def _is_same(self, old: dict[str, Any], made: _Row) -> bool:
        """Whether the catalogue has the file, read with these settings, for good."""
        same = old.get("settings") == made.settings and old.get("stamp") == made.stamp
        here = all(
            layout.part_path(self._work.root, name, made.film).exists() for name in old["files"]
        )
        return same and here and bool(old.get("final")) and made.stamp is not None

    def _refresh(self, old: dict[str, Any], made: _Row) -> Outcome:
        """Brings the film's metadata and its place up to date; its shots stay."""
        root, film = self._work.root, made.film
        path = layout.part_path(root, "films.parquet", film)
        outcome = _outcome(made.source, old, done=False)
        if layout.manifest_path(root, unread := f"{made.source.slug}-{NO_FINGERPRINT}").exists():
            remove_film(root, unread)
        moved = old["path"] != made.source.path or old["folder"] != made.source.folder
        if old["metadata"] == made.extra.digest and not moved:
            return outcome
        row = {name: read_parquet(path)[name][0].as_py() for name in layout.FILMS.names}
        made.row |= row
        with Staging(root, film) as staging:
            _write_row(staging, made)
            staging.commit(_manifest(made), keep=old)
        return outcome


def record_failure(root: Path, source: Source, reason: str) -> Outcome:
    """Gives a film whose worker could not even say so a row with its reason."""
    film, stamp = _identify(source)
    made = _Row(source, film, {}, _carried(root, film), stamp=stamp)
    with Staging(root, film) as staging:
        _fail(made, reason, final=False)
        return _commit(root, staging, made)


def _identify(source: Source) -> tuple[str, list[int] | None]:
    """The film's id and the file's size and time of change; None when it cannot be read."""
    try:
        if source.refused or not source.file.is_file():  # to open a pipe would wait for a writer
            return f"{source.slug}-{NO_FINGERPRINT}", None
        return f"{source.slug}-{compute_fingerprint(source.file)}", _stamp(source.file)
    except OSError:
        return f"{source.slug}-{NO_FINGERPRINT}", None


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _why(error: OSError, source: Source) -> str:
    """What an error says; those of the system do not always name the file."""
    return str(error) if error.errno is None else f"{quote_path(source.file)}: {error.strerror}"


def _fail(made: _Row, reason: str, *, final: bool) -> None:
    reason = " ".join(reason.split()).encode(errors="backslashreplace").decode()
    made.row = dict(status="error", reason=reason, frames=0, shots=0, keyframes=0)
    made.final = final


def _facts(reading: FilmReading) -> dict[str, Any]:
    film, picture, ended = reading.film, reading.film.video, reading.status
    clock = picture.clock
    fractions = {"rate": clock.rate, "time_base": clock.time_base, "start": clock.start}
    sound = reading.sound_reason and f"sound: {reading.sound_reason}"
    return dict(
        reason="; ".join(filter(None, (ended.reason, sound))),
        frames=ended.frames,
        shots=len(reading.shots),
        keyframes=len(reading.keyframes),
        begin_s=float(clock.seconds(reading.begin_pts)),
        end_s=float(clock.seconds(reading.end_pts)),
        width=picture.shown[0],
        height=picture.shown[1],
        **{f"{name}_num": value.numerator for name, value in fractions.items()},
        **{f"{name}_den": value.denominator for name, value in fractions.items()},
        format=film.format,
        codec=picture.codec,
        rotation=picture.rotation,
        variable_rate=picture.variable_rate,
        interlaced=picture.interlaced,
        hdr=picture.hdr,
        bits=picture.bits,
        sound=film.audio is not None,
        damaged=ended.damaged,
        repaired=ended.repaired,
    )


def _commit(root: Path, staging: Staging, made: _Row) -> Outcome:
    if made.row["status"] == "error":
        for name in layout.PARTS:
            staging.path(name).unlink(missing_ok=True)
    _write_row(staging, made)
    manifest = _manifest(made)
    if made.final:  # a film that cannot be read today must not lose what was read of it
        _supersede(root, made)  # first: killed after it, the next run reads the film again
    staging.commit(manifest)
    return _outcome(made.source, manifest, done=True)


def _write_row(staging: Staging, made: _Row) -> None:
    source = made.source
    place = dict(film=made.film, path=source.path, folder=source.folder)
    row = made.row | place | dict(detector=made.settings.get("detector")) | dict(made.extra.row)
    schema = pa.schema([*layout.FILMS, *made.extra.schema])
    write_parquet(staging.path("films.parquet"), [row], schema)


def _manifest(made: _Row) -> dict[str, Any]:
    row = made.row
    seconds = (row.get("end_s") or 0.0) - (row.get("begin_s") or 0.0)
    return dict(
        schema=layout.SCHEMA,
        film=made.film,
        path=made.source.path,
        folder=made.source.folder,
        stamp=made.stamp,
        settings=made.settings,
        metadata=made.extra.digest,
        status=row["status"],
        reason=row["reason"],
        final=made.final,
        seconds=seconds,
        counts={name: row[name] for name in ("frames", "shots", "keyframes")},
        versions={name: importlib.metadata.version(name) for name in PACKAGES},
    )


def _outcome(source: Source, manifest: dict[str, Any], *, done: bool) -> Outcome:
    counts = manifest["counts"]
    return Outcome(
        source,
        manifest["film"],
        manifest["status"],
        manifest["reason"],
        done,
        manifest["seconds"],
        counts["shots"],
        counts["keyframes"],
    )


def _carried(root: Path, film: str) -> FilmMetadata:
    """The metadata that the film has in the catalogue."""
    path = layout.part_path(root, "films.parquet", film)
    none = FilmMetadata(pa.schema([]), {})
    try:
        table = read_parquet(path)
    except (OSError, ValueError):
        return none
    names = [name for name in table.schema.names if name not in layout.FILMS.names]
    if not len(table) or not names:
        return none
    schema = pa.schema([table.schema.field(name) for name in names])
    return FilmMetadata(schema, {name: table[name][0].as_py() for name in names})


def _supersede(root: Path, made: _Row) -> None:
    """Removes what the same file was in the catalogue before it changed, or had a namesake."""
    here = (made.source.folder, made.source.path)
    for path in (root / layout.MANIFESTS).glob(f"{make_slug(made.source.path)}-*.json"):
        if path.stem == made.film or not is_id_of_path(path.stem, made.source.path):
            continue
        old = read_manifest(root, path.stem)
        if old and (old["folder"], old["path"]) == here:
            remove_film(root, path.stem)
