"""Vectors of all films of a catalogue, by workers that need not finish."""

import functools
from collections.abc import Callable, Generator
from pathlib import Path

from vujax.catalog import Catalog, layout
from vujax.cores import cores
from vujax.embed.encoders import AnyEncoder
from vujax.embed.film import Embed, Work, fail
from vujax.ingest.film import Outcome
from vujax.ingest.local import LocalEngine
from vujax.ingest.pool import Engine, Pool, Progress
from vujax.ingest.run import Run, Runner
from vujax.ingest.sources import Found, Source

ACTOR_DECODERS = 2  # threads of a Ray actor that decode


def embed(
    root: Path,
    encoder: Callable[[], AnyEncoder],
    *,
    levels: tuple[str, ...] | None = None,
    batch: int = 32,
    runner: Runner | None = None,
) -> Run:
    """Prepares to make the vectors that a catalogue's films lack.

    Films whose vectors are there, by the same model and of the film as it is, are passed over; so
    the same call again finishes what was interrupted.

    Args:
      root: of the catalogue.
      encoder: picklable; called once in each worker.
      levels: of `vectors.LEVELS`; None: keyframes and shots, see `film.USUAL`.
      batch: pictures that the network sees at once, or shots.
      runner: 'local' is one process that has this machine's accelerators, with `workers` threads
        that decode; 'ray' has `workers` actors, each with a GPU if the cluster has any.

    Raises:
      FileNotFoundError, ValueError: an argument is wrong, or `root` is no catalogue.
      ImportError: the runner's package is missing.
    """
    runner = runner or Runner()
    root = root.resolve()
    sources = tuple(_source(root, film) for film in Catalog(root).ids())
    decoders = (runner.workers or cores()) if runner.name == "local" else ACTOR_DECODERS
    work = Work(root, encoder, levels, batch, decoders)
    share = runner.share(sources)
    return Run(Found(sources, 0, 0), share, _events(work, runner, share))


def _source(root: Path, film: str) -> Source:
    path = layout.part(root, "keyframes", film)
    return Source(str(root), film, path, film, path.stat().st_size if path.exists() else 0)


def _events(
    work: Work, runner: Runner, sources: list[Source]
) -> Generator[Progress | Outcome, None, None]:
    if sources:
        engine, workers = _engine(functools.partial(Embed, work), runner)
        yield from Pool(engine, workers, stall_s=runner.stall_s, fail=fail).run(sources)


def _engine(make: Callable[[], Embed], runner: Runner) -> tuple[Engine, int]:
    if runner.name == "local":
        return LocalEngine(make, cpu_only=False), 1
    from vujax.ingest.on_ray import RayEngine

    engine = RayEngine(make, accelerators=True)
    return engine, min(runner.workers or engine.places, engine.places)
