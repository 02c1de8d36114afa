"""What comes before scenes: films to shots and keyframes, and those to vectors.

Both are `vujax.ingest` and `vujax.embed`: what is done already is passed over. `Here` does it in
this process, which a plain script can call; the command line gives it to workers.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from vujax.catalog import layout
from vujax.catalog.staging import sweep
from vujax.embed.encoders import Encoder
from vujax.ingest.film import Detectors, Ingest, Outcome, Work
from vujax.ingest.settings import Settings
from vujax.ingest.sources import Source, find

DETECTORS = ("transnetv2", "adaptive", "content")


class Stages(Protocol):
    """Who reads films and makes vectors."""

    def read(
        self, paths: Sequence[Path], root: Path, detectors: Callable[[], Detectors]
    ) -> list[Outcome]:
        """Films into the catalogue at `root`; one outcome for each film."""

    def embed(self, root: Path, make: Callable[[], Encoder], films: Sequence[str]) -> list[Outcome]:
        """Vectors of these films of the catalogue, where they are missing."""


class Here:
    """One film after the other, in this process."""

    def read(
        self, paths: Sequence[Path], root: Path, detectors: Callable[[], Detectors]
    ) -> list[Outcome]:
        """See `Stages`."""
        found = find(paths, root)
        layout.create(root)
        sweep(root)
        stage = Ingest(Work(root, Settings(), detectors))
        return [stage(source) for source in found.sources]

    def embed(self, root: Path, make: Callable[[], Encoder], films: Sequence[str]) -> list[Outcome]:
        """See `Stages`."""
        from vujax.embed import film  # here, so that what only reads a catalogue does not wait

        stage = film.Embed(film.Work(root, make, decoders=2))
        return [stage(source_of(root, name)) for name in films]


def source_of(root: Path, film: str) -> Source:
    """A film of a catalogue as work for `vujax.embed`."""
    return Source(str(root), film, layout.part(root, "keyframes", film), film, 0)


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
