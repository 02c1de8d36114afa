"""Ingest a folder: find the films, let workers read them, resume where a run ended."""

import functools
import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vujax.catalog import schema
from vujax.catalog.metadata import Metadata
from vujax.catalog.writer import sweep_staging
from vujax.pipeline.ingest.film import (
    DetectorSelector,
    IngestJob,
    IngestStage,
    Outcome,
    record_failure,
)
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.ingest.sources import Source, SourceListing, find_films
from vujax.pipeline.workers.local import LocalEngine
from vujax.pipeline.workers.pool import Engine, Pool, Progress
from vujax.utils.system import count_cores

STALL_S = 600.0

RUNNERS = ("local", "ray")


@dataclass(frozen=True)
class RunnerOptions:
    """Who reads the films.

    Attributes:
      name: 'local' or 'ray'.
      workers: films at once; None: one for each core.
      stall_s: a film that makes no progress for so long is given up.
      host: number of this machine among those that share the catalogue.
      hosts: how many they are; each takes its share of the films.
    """

    name: str = "local"
    workers: int | None = None
    stall_s: float = STALL_S
    host: int = 0
    hosts: int = 1

    def __post_init__(self) -> None:
        if self.name not in RUNNERS:
            raise ValueError(f"there is no runner {self.name!r}: there are {', '.join(RUNNERS)}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"there must be at least 1 worker, not {self.workers}")
        if not 0 <= self.host < self.hosts:
            raise ValueError(f"host must be in 0..{self.hosts - 1}, not {self.host}")

    def share(self, sources: Sequence[Source]) -> list[Source]:
        """The films of this host: dealt by the hash of their slug, so that they stay with it."""
        return [s for s in sources if _number(s.slug) % self.hosts == self.host]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@dataclass(frozen=True)
class Run:
    """A run that can be iterated once, for what happens.

    Attributes:
      found: all films.
      sources: those of this host.
      events: progress, and an outcome for each of `sources`.
    """

    found: SourceListing
    sources: Sequence[Source]
    events: Generator[Progress | Outcome, None, None]


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
    """Finds the films of `paths` and prepares to read them into the catalogue at `root`.

    Films that the catalogue has, as they are now and read with these settings, are passed over; so
    the same call again finishes what was interrupted, by whatever means.

    Args:
      paths: folders and files.
      root: of the catalogue; made when it is not there.
      detectors: picklable; called once in each worker for what gives each film its detector, such
        as `functools.partial(for_all, make)` of `vujax.pipeline.ingest.film`.
      settings: how films are read.
      metadata: CSV or Parquet table to join to the films.
      runner: who reads them.
      leave_out: a folder in which no films are looked for; None: the catalogue's.

    Raises:
      FileNotFoundError: a path does not exist.
      ValueError: an argument is wrong, or `root` is no catalogue of this version.
      ImportError: the runner's package is missing.
    """
    runner = runner or RunnerOptions()
    root = root.resolve()
    found = find_films(paths, leave_out or root)
    if metadata is not None:
        metadata = metadata.resolve()
        Metadata.read(metadata)  # what is wrong with it is better said now
    schema.create_catalog(root)
    sweep_staging(root)
    sources = runner.share(found.sources)
    work = IngestJob(root, settings or IngestSettings(), detectors, metadata)
    return Run(found, sources, _events(work, runner, sources))


def _events(
    work: IngestJob, runner: RunnerOptions, sources: list[Source]
) -> Generator[Progress | Outcome, None, None]:
    if not sources:
        return
    workers = min(runner.workers or count_cores(), len(sources))
    engine, workers = _engine(work, runner.name, workers)
    give_up = functools.partial(record_failure, work.root)
    try:
        yield from Pool(engine, workers, stall_s=runner.stall_s, fail=give_up).run(sources)
    finally:
        sweep_staging(work.root)  # of workers that were killed in this run


def _engine(work: IngestJob, name: str, workers: int) -> tuple[Engine, int]:
    make = functools.partial(IngestStage, work)
    if name == "local":
        return LocalEngine(make, cpu_only=workers > 1), workers
    from vujax.pipeline.workers.ray import RayEngine

    engine = RayEngine(make)
    return engine, min(workers, engine.places)
