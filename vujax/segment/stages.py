"""What comes before scenes: films to shots and keyframes, and those to vectors.

Both are `vujax.ingest` and `vujax.embed`: what is done already is passed over. `Here` does it in
this process, which a plain script can call; the command line gives it to workers.
"""

import functools
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from vujax.catalog import layout
from vujax.catalog.staging import sweep
from vujax.embed.encoders import Encoder
from vujax.ingest.film import Detectors, Ingest, Outcome, Work
from vujax.ingest.pool import Progress
from vujax.ingest.run import cores
from vujax.ingest.settings import Settings
from vujax.ingest.sources import Source, find

DETECTORS = ("transnetv2", "adaptive", "content")


class Stages(Protocol):
    """Who reads films and makes vectors."""

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


@dataclass(frozen=True)
class Making:
    """An encoder in this process, and how another one makes its own.

    Attributes:
      encoder: that is here.
      make: picklable.
    """

    encoder: Encoder
    make: Callable[[], Encoder]


class Here:
    """One film after the other, in this process."""

    def read(self, paths: Sequence[Path], root: Path, reading: Reading) -> list[Outcome]:
        """See `Stages`."""
        found = find(paths, reading.leave_out or root)
        layout.create(root)
        sweep(root)
        stage = Ingest(Work(root, Settings(), reading.detectors))
        return [stage(source) for source in found.sources]

    def embed(self, root: Path, films: Sequence[str], encoder: Making) -> list[Outcome]:
        """See `Stages`."""
        events = embedding(root, [source_of(root, film) for film in films], encoder.encoder)
        return [event for event in events if isinstance(event, Outcome)]


def embedding(
    root: Path, sources: Sequence[Source], encoder: Encoder
) -> Generator[Progress | Outcome, None, None]:
    """Makes vectors in this process, and says how far it is."""
    from vujax.embed import film  # here, so that what only reads a catalogue does not wait

    stage, said = film.Embed(film.Work(root, lambda: encoder, decoders=cores())), SimpleQueue()
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
    """A film of a catalogue as work for `vujax.embed`."""
    path = layout.part(root, "keyframes", film)
    return Source(str(root), film, path, film, path.stat().st_size if path.exists() else 0)


def detectors(shots: str) -> Callable[[], Detectors]:
    """What finds the shots; picklable.

    Args:
      shots: name of a detector, or path of a list of known shots, or of a folder of such lists.

    Raises:
      FileNotFoundError: there is no such file.
      OSError: the detector's weights cannot be had.
    """
    from vujax.ingest import detectors

    if shots in DETECTORS:
        if shots == "transnetv2":  # once, here, and not in each worker
            from vujax import weights

            weights.fetch(shots)
        return functools.partial(detectors.named, shots, {})
    path = Path(shots)
    if not path.exists():
        raise FileNotFoundError(
            f"{shots} is no detector ({', '.join(DETECTORS)}) and no list of shots that exists"
        )
    return functools.partial(detectors.known, path.resolve(), {})
