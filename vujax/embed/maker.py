"""What stands between a film and an encoder: by what that sees, pictures, shots or scenes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from vujax.catalog import Catalog, vectors
from vujax.catalog.vectors import Model
from vujax.ingest.reading import Report


@dataclass(frozen=True)
class Tables:
    """A film's rows in the catalogue.

    Attributes:
      film: its id.
      shots: of it.
      keyframes: of it.
      scenes: of it, where they matter.
    """

    film: str
    shots: pa.Table
    keyframes: pa.Table
    scenes: pa.Table | None

    def rows(self, level: str) -> pa.Table:
        """See `vectors.rows`."""
        return vectors.rows(level, self.shots, self.keyframes, self.scenes)


class Maker(Protocol):
    """Makes vectors at the levels that an encoder sees."""

    def trial(self) -> np.ndarray:
        """Runs the encoder once, on nothing; float32 `[n dim]`."""

    def __call__(self, level: str, tables: Tables, report: Report) -> np.ndarray:
        """Vectors of a film, one for each of its rows of the level: float32 `[n dim]`."""


def maker_of(encoder: Any, catalog: Catalog, batch: int, threads: ThreadPoolExecutor) -> Maker:
    """The maker for an encoder.

    Args:
      encoder: see `vujax.embed.encoders`.
      catalog: that the films are in.
      batch: pictures or shots at once, about.
      threads: that decode pictures.

    Raises:
      FileNotFoundError: the catalogue has not the vectors that the encoder takes.
    """
    if encoder.sees[0] == "frame":
        from vujax.embed.frame_maker import FrameMaker

        return FrameMaker(encoder, catalog, batch, threads)
    from vujax.embed.shot_maker import ShotMaker  # brings JAX

    return ShotMaker(encoder, catalog, batch)


def model_of(encoder: Any, catalog: Catalog) -> Model:
    """What vectors in a catalogue say that they are made by.

    An encoder that takes the vectors of another one is a model with that one.

    Raises:
      FileNotFoundError: the catalogue has not the vectors that the encoder takes.
    """
    digest = encoder.digest
    if encoder.vectors:
        under = vectors.find(catalog.path, "shot", encoder.vectors).model
        digest = vectors.joined(digest, under.digest)
    return Model(encoder.name, digest, encoder.dim)
