"""Pool of workers: assignment of films, retries after a crash, and an end to workers that hang.

An engine starts workers and receives their events: processes of this machine, or Ray actors.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from vujax.pipeline.sources import Source
from vujax.pipeline.stage import Outcome, Progress

TICK_S = 0.5
MAX_TRIES = 2
MAX_FAILED_STARTS = 3
START_S = 600.0  # imports over a network, weights, a cluster that has to make room


@dataclass(frozen=True)
class Ready:
    """Event of a worker that can take a film."""


@dataclass(frozen=True)
class StartFailed:
    """Event of a worker that cannot start, for a reason common to all: an option, a package.

    Attributes:
      reason: the error's message.
    """

    reason: str


Event = Ready | Progress | StartFailed | Outcome


class WorkerDied(Exception):
    """A worker ended without a result: killed, out of memory, or crashed in a library."""


class Worker(Protocol):
    """Worker for one film at a time."""

    def submit(self, source: Source) -> None:
        """Start the work on a film."""

    def poll(self) -> Sequence[Event]:
        """Return the events since the last call, without waiting.

        Raises:
          WorkerDied: the worker ended, and all its events were returned.
        """

    def stop(self) -> None:
        """End the worker at once, whatever it does."""


class Engine(Protocol):
    """Place where workers run."""

    def start(self) -> Worker:
        """Start a new worker."""

    def wait(self, workers: Sequence[Worker], timeout_s: float) -> None:
        """Wait until one of the workers may have an event, at most `timeout_s` seconds."""


@dataclass
class _Task:
    """Film to be worked on, with the number of tries so far."""

    source: Source
    tries: int = 0


@dataclass
class _WorkerSlot:
    """Worker with its current task; `heard` is the time of its last event."""

    worker: Worker
    heard: float
    ready: bool = False
    task: _Task | None = None


class Pool:
    """Pool of workers for films: a dead worker's film is retried, a hanging worker's film fails."""

    def __init__(
        self,
        engine: Engine,
        workers: int,
        *,
        stall_s: float,
        fail: Callable[[Source, str], Outcome],
    ) -> None:
        """Set up the pool; `run` starts the workers.

        Args:
          engine: place where workers run.
          workers: maximum number of workers.
          stall_s: seconds without an event after which a worker is ended.
          fail: returns the outcome of a film that no worker can finish, with the reason.
        """
        self._engine, self._workers = engine, workers
        self._stall_s, self._fail = stall_s, fail
        self._slots: list[_WorkerSlot] = []
        self._failed_starts = 0
        self._waiting: deque[_Task] = deque()

    def run(self, sources: Sequence[Source]) -> Iterator[Progress | Outcome]:
        """Work on the films; yield progress, and one outcome per film as it is ready.

        Raises:
          ValueError: workers cannot start, for a reason that the user can fix.
          RuntimeError: workers die before they are ready.
        """
        self._waiting = deque(_Task(source) for source in sources)
        try:
            while self._waiting or any(slot.task for slot in self._slots):
                self._assign()
                self._engine.wait([slot.worker for slot in self._slots], TICK_S)
                for slot in list(self._slots):
                    yield from self._poll(slot)
        finally:
            for slot in self._slots:
                slot.worker.stop()

    def _assign(self) -> None:
        """Give films to idle workers, and start workers while films are waiting."""
        for slot in self._slots:
            if slot.ready and not slot.task and self._waiting:
                slot.task, slot.heard = self._waiting.popleft(), time.monotonic()
                slot.task.tries += 1
                slot.worker.submit(slot.task.source)
        num_idle = sum(not slot.task for slot in self._slots)
        num_new = min(self._workers - len(self._slots), len(self._waiting) - num_idle)
        for _ in range(num_new):
            self._slots.append(_WorkerSlot(self._engine.start(), time.monotonic()))

    def _poll(self, slot: _WorkerSlot) -> Iterator[Progress | Outcome]:
        try:
            for event in slot.worker.poll():
                slot.heard = time.monotonic()
                if isinstance(event, StartFailed):
                    raise ValueError(event.reason)
                if isinstance(event, Ready):
                    slot.ready, self._failed_starts = True, 0
                    continue
                if isinstance(event, Outcome):
                    slot.task = None
                yield event
        except WorkerDied as error:
            yield from self._remove(slot, str(error))
            return
        timeout_s = self._stall_s if slot.task else float("inf") if slot.ready else START_S
        if time.monotonic() - slot.heard > timeout_s:
            yield from self._remove(slot, "")

    def _remove(self, slot: _WorkerSlot, death: str) -> Iterator[Outcome]:
        """End a worker that died, or hangs (`death` is ''), and retry or fail its film."""
        slot.worker.stop()
        self._slots.remove(slot)
        task = slot.task
        if task is None:
            if not slot.ready:
                self._count_failed_start(death)
        elif death and task.tries < MAX_TRIES:
            self._waiting.appendleft(task)
        elif death:
            reason = f"its worker died {task.tries} times ({death}): out of memory, or a bad file"
            yield self._fail(task.source, reason)
        else:
            yield self._fail(task.source, f"reading it made no progress for {self._stall_s:g} s")

    def _count_failed_start(self, death: str) -> None:
        self._failed_starts += 1
        if self._failed_starts == MAX_FAILED_STARTS:
            reason = death or f"not ready after {START_S:g} s"
            raise RuntimeError(f"{self._failed_starts} workers did not start ({reason})")
