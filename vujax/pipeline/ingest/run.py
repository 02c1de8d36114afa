"""Ingest of many films: search for the files, workers that read them, resuming of a run."""

import functools
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from vujax.catalog import schema
from vujax.catalog.metadata import Metadata
from vujax.catalog.writer import sweep_staging
from vujax.pipeline.ingest.detectors import DetectorSelector
from vujax.pipeline.ingest.film import IngestJob, IngestStage, record_failure
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.run import Run, RunnerOptions
from vujax.pipeline.sources import Source, find_films
from vujax.pipeline.stage import Outcome, Progress
from vujax.pipeline.workers.local import LocalEngine
from vujax.pipeline.workers.pool import Engine, Pool
from vujax.utils.system import count_cores


def ingest(
    paths: Sequence[Path],
    root: Path,
    detectors: Callable[[], DetectorSelector],
    settings: IngestSettings | None = None,
    *,
    metadata: Path | None = None,
    runner: RunnerOptions | None = None,
    leave_out: Path | None = None,
) -> Run:
    """Find the films of `paths` and prepare to ingest them into the catalog at `root`.

    Films that the catalog has, in their current version and with these settings, are skipped; the
    same call again therefore finishes an interrupted run.

    Args:
      paths: folders and files.
      root: folder of the catalog; created if it does not exist.
      detectors: picklable; called once per worker, and returns the selector that gives each film
        its detector, such as `functools.partial(share_detector, make)`.
      settings: keyframe, frame size and audio settings.
      metadata: CSV or Parquet table to join to the films.
      runner: place and number of the workers.
      leave_out: folder that is not searched for films; None for the catalog's.

    Raises:
      FileNotFoundError: a path does not exist.
      ValueError: an argument is invalid, or `root` is not a catalog of this version.
      ImportError: the runner's package is not installed.
    """
    runner = runner or RunnerOptions()
    root = root.resolve()
    listing = find_films(paths, leave_out or root)
    if metadata is not None:
        metadata = metadata.resolve()
        Metadata.read(metadata)  # an error in it must stop the run before it starts
    schema.create_catalog(root)
    sweep_staging(root)
    sources = runner.share(listing.sources)
    job = IngestJob(root, settings or IngestSettings(), detectors, metadata)
    return Run(listing, sources, _events(job, runner, sources))


def _events(
    job: IngestJob, runner: RunnerOptions, sources: list[Source]
) -> Generator[Progress | Outcome, None, None]:
    if not sources:
        return
    workers = min(runner.workers or count_cores(), len(sources))
    engine, workers = _open_engine(job, runner.name, workers)
    fail = functools.partial(record_failure, job.root)
    try:
        yield from Pool(engine, workers, stall_s=runner.stall_s, fail=fail).run(sources)
    finally:
        sweep_staging(job.root)  # left by workers that were killed in this run


def _open_engine(job: IngestJob, name: str, workers: int) -> tuple[Engine, int]:
    make = functools.partial(IngestStage, job)
    if name == "local":
        return LocalEngine(make, cpu_only=workers > 1), workers
    from vujax.pipeline.workers.ray import RayEngine

    engine = RayEngine(make)
    return engine, min(workers, engine.num_slots)
