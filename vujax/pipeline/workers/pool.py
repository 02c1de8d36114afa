"""Workers that read films: who gets which, and what becomes of a film whose worker dies or hangs.

An engine says how workers are started and heard: processes of this machine, or Ray actors.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from vujax.pipeline.ingest.film import Outcome
from vujax.pipeline.ingest.sources import Source

TICK_S = 0.5
MAX_TRIES = 2
MAX_FAILED_STARTS = 3
START_S = 600.0  # imports over a network, weights, a cluster that has to make room


@dataclass(frozen=True)
class Ready:
    """A worker can take a film."""


@dataclass(frozen=True)
class Progress:
    """How far a film is."""

    source: Source
    seconds: float


@dataclass(frozen=True)
class StartFailed:
    """A worker cannot start, for a reason that holds for all: a setting, a missing package."""

    reason: str


Event = Ready | Progress | StartFailed | Outcome
Stage = Callable[[Source, Callable[[float], None]], Outcome]
"""What a worker does with a film; it tells the function how many seconds of the film are done."""


class WorkerDied(Exception):
    """A worker is gone: killed, out of memory, or crashed in a library."""


class Worker(Protocol):
    """One film at a time."""

    def give(self, source: Source) -> None:
        """Lets it read a film."""

    def events(self) -> Sequence[Event]:
        """What it said since it was asked last, without waiting; raises WorkerDied."""

    def stop(self) -> None:
        """Ends it at once, whatever it does."""


class Engine(Protocol):
    """Where workers live."""

    def start(self) -> Worker:
        """A new worker."""

    def wait(self, workers: Sequence[Worker], timeout_s: float) -> None:
        """Returns when one of them may have said something, or after `timeout_s`."""


@dataclass
class _Task:
    source: Source
    tries: int = 0


@dataclass
class _WorkerSlot:
    worker: Worker
    heard: float
    ready: bool = False
    turn: _Task | None = None


class Pool:
    """Lets workers read films; one that dies costs its film a retry, one that hangs its film."""

    def __init__(
        self,
        engine: Engine,
        workers: int,
        *,
        stall_s: float,
        fail: Callable[[Source, str], Outcome],
    ) -> None:
        """Starts nothing yet.

        Args:
          engine: where workers live.
          workers: how many.
          stall_s: a worker that says nothing for so long is ended.
          fail: gives a film its row when no worker can.
        """
        self._engine, self._workers = engine, workers
        self._stall_s, self._fail = stall_s, fail
        self._seats: list[_WorkerSlot] = []
        self._false_starts = 0
        self._waiting: deque[_Task] = deque()

    def run(self, sources: Sequence[Source]) -> Iterator[Progress | Outcome]:
        """Reads the films; an outcome for each, in the order in which they are ready.

        Raises:
          ValueError: workers cannot start, for a reason that the user can mend.
          RuntimeError: workers die before they are ready.
        """
        self._waiting = deque(_Task(source) for source in sources)
        try:
            while self._waiting or any(seat.turn for seat in self._seats):
                self._fill()
                self._engine.wait([seat.worker for seat in self._seats], TICK_S)
                for seat in list(self._seats):
                    yield from self._hear(seat)
        finally:
            for seat in self._seats:
                seat.worker.stop()

    def _fill(self) -> None:
        """Gives films to those who have none, and starts workers while films are waiting."""
        for seat in self._seats:
            if seat.ready and not seat.turn and self._waiting:
                seat.turn, seat.heard = self._waiting.popleft(), time.monotonic()
                seat.turn.tries += 1
                seat.worker.give(seat.turn.source)
        idle = sum(not seat.turn for seat in self._seats)
        free = min(self._workers - len(self._seats), len(self._waiting) - idle)
        for _ in range(free):
            self._seats.append(_WorkerSlot(self._engine.start(), time.monotonic()))

    def _hear(self, seat: _WorkerSlot) -> Iterator[Progress | Outcome]:
        try:
            for event in seat.worker.events():
                seat.heard = time.monotonic()
                if isinstance(event, StartFailed):
                    raise ValueError(event.reason)
                if isinstance(event, Ready):
                    seat.ready, self._false_starts = True, 0
                    continue
                if isinstance(event, Outcome):
                    seat.turn = None
                yield event
        except WorkerDied as died:
            yield from self._bury(seat, str(died))
            return
        patience = self._stall_s if seat.turn else float("inf") if seat.ready else START_S
        if time.monotonic() - seat.heard > patience:
            yield from self._bury(seat, "")

    def _bury(self, seat: _WorkerSlot, died: str) -> Iterator[Outcome]:
        """Ends a worker that died, or hangs (`died` is ''), and sees to its film."""
        seat.worker.stop()
        self._seats.remove(seat)
        turn = seat.turn
        if turn is None:
            if not seat.ready:
                self._false_start(died)
        elif died and turn.tries < MAX_TRIES:
            self._waiting.appendleft(turn)
        elif died:
            reason = f"its worker died {turn.tries} times ({died}): out of memory, or a bad file"
            yield self._fail(turn.source, reason)
        else:
            yield self._fail(turn.source, f"reading it made no progress for {self._stall_s:g} s")

    def _false_start(self, died: str) -> None:
        self._false_starts += 1
        if self._false_starts == MAX_FAILED_STARTS:
            why = died or f"not ready after {START_S:g} s"
            raise RuntimeError(f"{self._false_starts} workers did not start ({why})")
