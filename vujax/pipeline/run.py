"""Execution of a pipeline: runner options, a host's share of the films, and prepared runs."""

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from vujax.pipeline.sources import Source, SourceListing
from vujax.pipeline.stage import Outcome, Progress

RUNNERS = ("local", "ray")
STALL_S = 600.0


@dataclass(frozen=True)
class RunnerOptions:
    """Place and number of the workers.

    Attributes:
      name: 'local' (processes of this machine) or 'ray' (actors of a cluster).
      workers: number of films at once; None for one per core.
      stall_s: seconds without progress after which a film is given up.
      host: index of this machine among those that share the catalog.
      hosts: number of these machines; each takes its share of the films.
    """

    name: str = "local"
    workers: int | None = None
    stall_s: float = STALL_S
    host: int = 0
    hosts: int = 1

    def __post_init__(self) -> None:
        if self.name not in RUNNERS:
            raise ValueError(f"unknown runner {self.name!r}; expected one of: {', '.join(RUNNERS)}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")
        if not 0 <= self.host < self.hosts:
            raise ValueError(f"host must be in 0..{self.hosts - 1}, got {self.host}")

    def share(self, sources: Sequence[Source]) -> list[Source]:
        """Return the films of this host; a hash of the slug keeps a film with its host."""
        return [s for s in sources if _hash_number(s.slug) % self.hosts == self.host]


@dataclass(frozen=True)
class Run:
    """Prepared run, started by iterating `events` once.

    Attributes:
      listing: all films.
      sources: films of this host.
      events: progress, and one outcome per film of `sources`.
    """

    listing: SourceListing
    sources: Sequence[Source]
    events: Generator[Progress | Outcome, None, None]


def _hash_number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
