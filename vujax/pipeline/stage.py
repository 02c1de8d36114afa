"""Interface of a pipeline stage: one film in, its outcome out, with progress on the way.

`ingest.film.IngestStage` and `embed.EmbedStage` are stages; `workers.pool.Pool` runs them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from vujax.pipeline.sources import Source

STATUSES = ("whole", "partial", "error")
"""Values of `Outcome.status`, as in the catalog's column `status`."""

Report = Callable[[float], None]
"""Callback for the seconds of film that are done; a worker that does not call it for long hangs."""


@dataclass(frozen=True)
class Progress:
    """Position of a worker in a film.

    Attributes:
      source: the film.
      seconds: seconds of film that are done.
    """

    source: Source
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """Result of a stage for one film.

    Attributes:
      source: the film.
      film: id of the film.
      status: one of STATUSES.
      reason: what is missing and why; '' for status 'whole'.
      done: False if the catalog had the result already.
      seconds: seconds of film in the catalog.
      shots: number of shots in the catalog.
      keyframes: number of keyframes in the catalog.
    """

    source: Source
    film: str
    status: str
    reason: str = ""
    done: bool = True
    seconds: float = 0.0
    shots: int = 0
    keyframes: int = 0


Stage = Callable[[Source, Report], Outcome]
"""Work of a worker on one film; it reports progress on the way."""
