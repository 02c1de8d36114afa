"""What comes before scenes: films to shots and keyframes, and those to vectors.

Both are `vujax.pipeline.ingest` and `vujax.encoders`: what is done already is passed over. `Here`
does it in this process, which a plain script can call; the command line gives it to workers.
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
from vujax.pipeline.ingest.film import Detectors, Ingest, Outcome, Work
from vujax.pipeline.ingest.settings import Settings
from vujax.pipeline.ingest.sources import Source, find
from vujax.pipeline.workers.pool import Progress
from vujax.utils.system import count_cores

if TYPE_CHECKING:
    from vujax.pipeline.embed import Embed

DETECTORS = ("transnetv2", "adaptive", "content")


class Stages(Protocol):
    """Who reads films and makes vectors.

    Attributes:
      embeds_here: vectors are made in this process.
    """

    embeds_here: bool

    def read(self, paths: Sequence[Path], root: Path, reading: "Reading") -> list[Outcome]:
        """Films into the catalogue at `root`; one outcome for each film."""

    def embed(self, root: Path, films: Sequence[str], encoder: "Making") -> list[Outcome]:
        """Vectors of these films of the catalogue, where they are missing."""


@dataclass(frozen=True)
class Reading:
    """How films are read.

    Attributes:
      detectors: of shots; picklable.
      leave_out: a folder in which no films are looked for, for its films are copies.
    """

    detectors: Callable[[], Detectors]
    leave_out: Path | None


class Making:
    """An encoder that gets ready in a thread, while films are read.

    Attributes:
      make: makes another one elsewhere; picklable.
    """

    def __init__(self, root: Path, make: Callable[[], AnyEncoder], *, soon: bool) -> None:
        """Begins.

        Args:
          root: of the catalogue.
          make: makes the encoder; picklable.
          soon: vectors will be missing, and made in this process, so it is tried out too.
        """
        self.make, self._root = make, root
        with_one = ThreadPoolExecutor(1, "encoder")
        self._encoder = with_one.submit(make)
        self._stage = with_one.submit(self._try) if soon else None
        with_one.shutdown(wait=False)

    def encoder(self) -> AnyEncoder:
        """The encoder, which says which vectors would be its own.

        Raises:
          ValueError, OSError: it cannot be had.
        """
        return self._encoder.result()

    def stage(self) -> "Embed":
        """What makes vectors; compiled.

        Raises:
          ValueError, OSError: the encoder cannot be had, or cannot run.
        """
        return self._stage.result() if self._stage else self._try()

    def _try(self) -> "Embed":
        from vujax.pipeline import (
            embed as film,  # here, so that what only reads a catalogue does not wait
        )

        return film.Embed(film.Work(self._root, self.encoder, decoders=count_cores()))


class Here:
    """One film after the other, in this process."""

    embeds_here = True

    def read(self, paths: Sequence[Path], root: Path, reading: Reading) -> list[Outcome]:
        """See `Stages`."""
        found = find(paths, reading.leave_out or root)
        schema.create_catalog(root)
        sweep_staging(root)
        stage = Ingest(Work(root, Settings(), reading.detectors))
        return [stage(source) for source in found.sources]

    def embed(self, root: Path, films: Sequence[str], encoder: Making) -> list[Outcome]:
        """See `Stages`."""
        events = embedding([source_of(root, film) for film in films], encoder.stage())
        return [event for event in events if isinstance(event, Outcome)]


def embedding(
    sources: Sequence[Source], stage: "Embed"
) -> Generator[Progress | Outcome, None, None]:
    """Makes vectors in this process, and says how far it is."""
    said: SimpleQueue = SimpleQueue()
    with ThreadPoolExecutor(1) as thread:
        for source in sources:
            told = functools.partial(_tell, said, source)
            thread.submit(stage, source, told).add_done_callback(lambda f: said.put(f.result()))
            event = None
            while not isinstance(event, Outcome):
                event = said.get()
                yield event


def _tell(said: SimpleQueue, source: Source, seconds: float) -> None:
    said.put(Progress(source, seconds))


def source_of(root: Path, film: str) -> Source:
    """A film of a catalogue as work for `vujax.encoders`."""
    path = schema.part_path(root, "keyframes", film)
    return Source(str(root), film, path, film, path.stat().st_size if path.exists() else 0)


def detectors(shots: str) -> Callable[[], Detectors]:
    """What finds the shots; picklable.

    Args:
      shots: name of a detector, or path of a list of known shots, or of a folder of such lists.

    Raises:
      FileNotFoundError: there is no such file.
      OSError: the detector's weights cannot be had.
    """
    from vujax.pipeline.ingest import detectors

    if shots in DETECTORS:
        if shots == "transnetv2":  # once, here, and not in each worker
            from vujax.models import pretrained

            pretrained.fetch(shots)
        return functools.partial(detectors.one_for_all, shots, {})
    path = Path(shots)
    if not path.exists():
        raise FileNotFoundError(
            f"{shots} is no detector ({', '.join(DETECTORS)}) and no list of shots that exists"
        )
    return functools.partial(detectors.known, path.resolve(), {})
