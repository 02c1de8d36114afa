"""Stages before scene detection: films to shots and keyframes, and those to embeddings.

The work is that of `vujax.pipeline`; finished films are skipped. `InProcessStages` runs them one
after the other in this process; the command line provides stages that use its workers.
"""

import functools
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from vujax.catalog import schema
from vujax.catalog.writer import sweep_staging
from vujax.encoders.base import AnyEncoder
from vujax.pipeline.ingest.detectors import DetectorSelector
from vujax.pipeline.ingest.film import IngestJob, IngestStage
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.sources import Source, build_embed_source, find_films
from vujax.pipeline.stage import Outcome, Progress
from vujax.utils.system import count_cores

if TYPE_CHECKING:
    from vujax.pipeline.embed import EmbedStage


class Stages(Protocol):
    """Execution of ingest and embedding.

    Attributes:
      embeds_here: whether embeddings are computed in this process.
    """

    embeds_here: bool

    def ingest(self, paths: Sequence[Path], root: Path, options: "IngestOptions") -> list[Outcome]:
        """Ingest films into the catalog at `root` and return one outcome per film."""

    def embed(
        self, root: Path, films: Sequence[str], encoder: "BackgroundEncoder"
    ) -> list[Outcome]:
        """Compute missing embeddings of films of the catalog at `root`."""


@dataclass(frozen=True)
class IngestOptions:
    """Options of the ingest stage.

    Attributes:
      detectors: returns the shot detectors; picklable.
      exclude: a folder that is not searched for films, because it receives copies of them.
    """

    detectors: Callable[[], DetectorSelector]
    exclude: Path | None


class BackgroundEncoder:
    """An encoder that a thread loads and compiles while films are ingested.

    Attributes:
      make: returns another encoder in a worker; picklable.
    """

    def __init__(self, root: Path, make: Callable[[], AnyEncoder], *, warm_up: bool) -> None:
        """Start to load the encoder.

        Args:
          root: root of the catalog.
          make: returns the encoder; picklable.
          warm_up: whether to compile it too, because this process will compute embeddings.
        """
        self.make, self._root = make, root
        executor = ThreadPoolExecutor(1, "encoder")
        self._encoder = executor.submit(make)
        self._stage = executor.submit(self._compile) if warm_up else None
        executor.shutdown(wait=False)

    def encoder(self) -> AnyEncoder:
        """Return the encoder, which names its embeddings.

        Raises:
          ValueError, OSError: the encoder is not available.
        """
        return self._encoder.result()

    def stage(self) -> "EmbedStage":
        """Return the compiled embedding stage.

        Raises:
          ValueError, OSError: the encoder is not available, or cannot run.
        """
        return self._stage.result() if self._stage else self._compile()

    def _compile(self) -> "EmbedStage":
        from vujax.pipeline import embed  # slow to import, and not needed to read a catalog

        return embed.EmbedStage(embed.EmbedJob(self._root, self.encoder, decoders=count_cores()))


class InProcessStages:
    """`Stages` in this process, one film after the other."""

    embeds_here = True

    def ingest(self, paths: Sequence[Path], root: Path, options: IngestOptions) -> list[Outcome]:
        """See `Stages`."""
        listing = find_films(paths, options.exclude or root)
        schema.create_catalog(root)
        sweep_staging(root)
        stage = IngestStage(IngestJob(root, IngestSettings(), options.detectors))
        return [stage(source) for source in listing.sources]

    def embed(self, root: Path, films: Sequence[str], encoder: BackgroundEncoder) -> list[Outcome]:
        """See `Stages`."""
        sources = [build_embed_source(root, film) for film in films]
        events = embed_with_progress(sources, encoder.stage())
        return [event for event in events if isinstance(event, Outcome)]


def embed_with_progress(
    sources: Sequence[Source], stage: "EmbedStage"
) -> Generator[Progress | Outcome, None, None]:
    """Compute embeddings in this process, and yield progress and one outcome per source."""
    events: SimpleQueue = SimpleQueue()
    with ThreadPoolExecutor(1) as thread:
        for source in sources:
            report = functools.partial(_report, events, source)
            future = thread.submit(stage, source, report)
            future.add_done_callback(lambda f: events.put(f.result()))
            event = None
            while not isinstance(event, Outcome):
                event = events.get()
                yield event


def _report(events: SimpleQueue, source: Source, seconds: float) -> None:
    events.put(Progress(source, seconds))
