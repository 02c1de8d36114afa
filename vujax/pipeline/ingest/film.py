"""Ingest stage: one film in, its parts in the catalog out."""

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
from vujax.pipeline.ingest.detectors import DetectorSelector
from vujax.pipeline.ingest.reader import FilmReading, read_film
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.sources import Source
from vujax.pipeline.stage import Outcome, Report
from vujax.video.probe import FilmError, quote_path
from vujax.video.shots.base import ShotDetector

PACKAGES = ("vujax", "av", "pyarrow", "pillow", "numpy")
"""Packages whose versions a manifest records."""


@dataclass(frozen=True)
class IngestJob:
    """Settings of an ingest worker; picklable.

    Attributes:
      root: folder of the catalog.
      settings: keyframe, frame size and audio settings.
      detectors: called once per worker; returns the selector that gives each film its detector.
      metadata: table to join to the films, or None.
    """

    root: Path
    settings: IngestSettings
    detectors: Callable[[], DetectorSelector]
    metadata: Path | None = None


@dataclass
class _FilmRecord:
    """State of a film in work.

    Attributes:
      source: the film.
      film: id of the film.
      settings: settings for its manifest.
      extra: columns of the metadata table.
      row: row of the films table.
      final: False to read the film again in the next run, whatever its manifest.
      stamp: size and modification time of the file; None if it is not readable.
      versions: of the runtime that detected its shots, see `ShotDetector`.
    """

    source: Source
    film: str
    settings: dict[str, Any]
    extra: FilmMetadata
    row: dict[str, Any] = field(default_factory=dict)
    final: bool = True
    stamp: list[int] | None = None
    versions: dict[str, str] = field(default_factory=dict)


class IngestStage:
    """Stage that reads films into a catalog, one by one."""

    def __init__(self, job: IngestJob) -> None:
        """Make the detectors and read the metadata.

        Raises:
          ValueError, OSError: either is not available.
        """
        self._job = job
        self._select_detector = job.detectors()
        self._metadata = None if job.metadata is None else Metadata.read(job.metadata)

    def __call__(self, source: Source, report: Report = lambda seconds: None) -> Outcome:
        """Read a film, unless the catalog has its current version with these settings.

        An error of the film becomes the reason of its row and is not raised.
        """
        root = self._job.root
        try:
            detector = self._select_detector(source)
        except (ValueError, OSError) as error:  # of a shot list
            return record_failure(root, source, str(error))
        film, stamp = _identify(source)
        settings = self._job.settings.to_manifest(detector.name)
        record = _FilmRecord(source, film, settings, self._find_metadata(source, film), stamp=stamp)
        record.versions = dict(getattr(detector, "versions", {}))
        old = read_manifest(root, film)
        if old and self._is_current(old, record):
            return self._refresh(old, record)
        with Staging(root, film) as staging:
            try:
                self._read(record, detector, staging, report)
            except ValueError as error:
                _fail(record, str(error), final=isinstance(error, FilmError))
            except OSError as error:
                _fail(record, _describe_error(error, source), final=False)
            except Exception as error:  # one film must not stop the others
                _fail(record, f"{type(error).__name__}: {error}", final=False)
            return _commit(root, staging, record)

    def _find_metadata(self, source: Source, film: str) -> FilmMetadata:
        if self._metadata:
            return self._metadata.lookup(film, source.path)
        return _read_metadata(self._job.root, film)

    def _read(
        self, record: _FilmRecord, detector: ShotDetector, staging: Staging, report: Report
    ) -> None:
        source = record.source
        if source.refused:
            raise FilmError(f"{quote_path(source.file)}: {source.refused}")
        reading = read_film(
            source.file,
            record.film,
            detector=detector,
            settings=self._job.settings,
            staging=staging,
            report=report,
        )
        if not reading.shots:
            raise FilmError(f"{quote_path(source.file)}: {reading.status.reason}")
        write_parquet(staging.path("shots.parquet"), reading.shots, layout.SHOTS)
        write_parquet(staging.path("keyframes.parquet"), reading.keyframes, layout.KEYFRAMES)
        if reading.audio:
            write_parquet(staging.path("audio.parquet"), reading.audio, layout.AUDIO)
        record.row |= _build_row(reading)
        if record.stamp != _read_stamp(source.file):
            record.final = False
            changed = "the file changed or vanished while it was read"
            record.row["reason"] = "; ".join(filter(None, (record.row["reason"], changed)))
        record.row["status"] = "partial" if record.row["reason"] else "whole"

    def _is_current(self, old: dict[str, Any], record: _FilmRecord) -> bool:
        """Return True if the catalog has this version of the file, with these settings."""
        root, film = self._job.root, record.film
        is_same = old.get("settings") == record.settings and old.get("stamp") == record.stamp
        has_parts = all(layout.part_path(root, name, film).exists() for name in old["files"])
        return is_same and has_parts and bool(old.get("final")) and record.stamp is not None

    def _refresh(self, old: dict[str, Any], record: _FilmRecord) -> Outcome:
        """Update the metadata and path of a film whose shots stay."""
        root, film = self._job.root, record.film
        path = layout.part_path(root, "films.parquet", film)
        outcome = _build_outcome(record.source, old, done=False)
        unread = f"{record.source.slug}-{NO_FINGERPRINT}"
        if layout.manifest_path(root, unread).exists():
            remove_film(root, unread)
        has_moved = old["path"] != record.source.path or old["folder"] != record.source.folder
        if old["metadata"] == record.extra.digest and not has_moved:
            return outcome
        table = read_parquet(path)
        present = [name for name in layout.FILMS.names if name in table.schema.names]
        record.row |= {name: table[name][0].as_py() for name in present}
        with Staging(root, film) as staging:
            _write_row(staging, record)
            staging.commit(_build_manifest(record), keep=old)
        return outcome


def record_failure(root: Path, source: Source, reason: str) -> Outcome:
    """Write an error row for a film whose worker could not write it."""
    film, stamp = _identify(source)
    record = _FilmRecord(source, film, {}, _read_metadata(root, film), stamp=stamp)
    with Staging(root, film) as staging:
        _fail(record, reason, final=False)
        return _commit(root, staging, record)


def _identify(source: Source) -> tuple[str, list[int] | None]:
    """Return the film's id and the stamp of its file, which is None if it is not readable."""
    unread = f"{source.slug}-{NO_FINGERPRINT}"
    try:
        if source.refused or not source.file.is_file():  # opening a pipe would wait for a writer
            return unread, None
        return f"{source.slug}-{compute_fingerprint(source.file)}", _read_stamp(source.file)
    except OSError:
        return unread, None


def _read_stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _describe_error(error: OSError, source: Source) -> str:
    """Return an error's message with the file, which the system's messages may not name."""
    return str(error) if error.errno is None else f"{quote_path(source.file)}: {error.strerror}"


def _fail(record: _FilmRecord, reason: str, *, final: bool) -> None:
    reason = " ".join(reason.split()).encode(errors="backslashreplace").decode()
    record.row = dict(status="error", reason=reason, frames=0, shots=0, keyframes=0)
    record.final = final


def _build_row(reading: FilmReading) -> dict[str, Any]:
    film, video, status = reading.film, reading.film.video, reading.status
    clock = video.clock
    fractions = {"rate": clock.rate, "time_base": clock.time_base, "start": clock.start}
    sound = reading.audio_reason and f"sound: {reading.audio_reason}"
    return dict(
        reason="; ".join(filter(None, (status.reason, sound))),
        frames=status.frames,
        shots=len(reading.shots),
        keyframes=len(reading.keyframes),
        begin_s=float(clock.seconds(reading.start_pts)),
        end_s=float(clock.seconds(reading.end_pts)),
        width=video.shown[0],
        height=video.shown[1],
        **{f"{name}_num": value.numerator for name, value in fractions.items()},
        **{f"{name}_den": value.denominator for name, value in fractions.items()},
        format=film.format,
        codec=video.codec,
        rotation=video.rotation,
        variable_rate=video.variable_rate,
        interlaced=video.interlaced,
        hdr=video.hdr,
        bits=video.bits,
        sound=film.audio is not None,
        damaged=status.damaged,
        repaired=status.repaired,
        source_timecode=video.timecode,
    )


def _commit(root: Path, staging: Staging, record: _FilmRecord) -> Outcome:
    if record.row["status"] == "error":
        for name in layout.PARTS:
            staging.path(name).unlink(missing_ok=True)
    _write_row(staging, record)
    manifest = _build_manifest(record)
    if record.final:  # a film that is not readable today must not lose what was read of it
        _remove_superseded(root, record)  # before the commit: a kill then leads to a new reading
    staging.commit(manifest)
    return _build_outcome(record.source, manifest, done=True)


def _write_row(staging: Staging, record: _FilmRecord) -> None:
    source = record.source
    place = dict(film=record.film, path=source.path, folder=source.folder)
    detector = dict(detector=record.settings.get("detector"))
    row = record.row | place | detector | dict(record.extra.row)
    schema = pa.schema([*layout.FILMS, *record.extra.schema])
    write_parquet(staging.path("films.parquet"), [row], schema)


def _build_manifest(record: _FilmRecord) -> dict[str, Any]:
    row = record.row
    seconds = (row.get("end_s") or 0.0) - (row.get("begin_s") or 0.0)
    return dict(
        schema=layout.SCHEMA,
        film=record.film,
        path=record.source.path,
        folder=record.source.folder,
        stamp=record.stamp,
        settings=record.settings,
        metadata=record.extra.digest,
        status=row["status"],
        reason=row["reason"],
        final=record.final,
        seconds=seconds,
        counts={name: row[name] for name in ("frames", "shots", "keyframes")},
        versions={name: importlib.metadata.version(name) for name in PACKAGES} | record.versions,
    )


def _build_outcome(source: Source, manifest: dict[str, Any], *, done: bool) -> Outcome:
    counts = manifest["counts"]
    return Outcome(
        source,
        manifest["film"],
        manifest["status"],
        manifest["reason"],
        done=done,
        seconds=manifest["seconds"],
        shots=counts["shots"],
        keyframes=counts["keyframes"],
    )


def _read_metadata(root: Path, film: str) -> FilmMetadata:
    """Return the metadata that the film has in the catalog."""
    path = layout.part_path(root, "films.parquet", film)
    empty = FilmMetadata(pa.schema([]), {})
    try:
        table = read_parquet(path)
    except (OSError, ValueError):
        return empty
    names = [name for name in table.schema.names if name not in layout.FILMS.names]
    if not len(table) or not names:
        return empty
    schema = pa.schema([table.schema.field(name) for name in names])
    return FilmMetadata(schema, {name: table[name][0].as_py() for name in names})


def _remove_superseded(root: Path, record: _FilmRecord) -> None:
    """Remove the entries of the same file from before it changed, or before its slug did."""
    place = (record.source.folder, record.source.path)
    for path in (root / layout.MANIFESTS).glob(f"{make_slug(record.source.path)}-*.json"):
        if path.stem == record.film or not is_id_of_path(path.stem, record.source.path):
            continue
        old = read_manifest(root, path.stem)
        if old and (old["folder"], old["path"]) == place:
            remove_film(root, path.stem)
