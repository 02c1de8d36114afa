"""Workers that are Ray actors: on the cluster that RAY_ADDRESS names, or a local one of our own.

Ray itself retries nothing here: a film whose worker dies, or hangs, must be treated as on one
machine. The catalogue's folder must be one that all machines of the cluster see.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from vujax.pipeline.ingest.film import Outcome
from vujax.pipeline.ingest.sources import Source
from vujax.pipeline.workers.pool import Event, Progress, Ready, Stage, StartFailed, WorkerDied


class RayEngine:
    """Actors, one CPU each, and one GPU each if that is wished for and the cluster has any.

    Attributes:
      places: how many actors the cluster has room for.
    """

    def __init__(self, make: Callable[[], Stage], *, accelerators: bool = False) -> None:
        """Connects to the cluster, or starts one.

        Args:
          make: gives an actor its stage; picklable.
          accelerators: each actor gets a GPU, where there are any.

        Raises:
          ImportError: Ray is not installed.
        """
        if importlib.util.find_spec("ray") is None:
            raise ImportError("--runner ray needs Ray: pip install 'vujax[ray]'")
        import ray

        self._ray = ray
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        there = ray.cluster_resources()
        gpus = int(there.get("GPU", 0)) if accelerators else 0
        self.places = gpus or max(1, int(there.get("CPU", 1)))
        options = dict(num_cpus=1, max_concurrency=2, max_restarts=0, max_task_retries=0)
        self._actor = ray.remote(**options, num_gpus=1 if gpus else 0)(_Actor)
        self._make = ray.put(make)

    def start(self) -> "RayWorker":
        """A new actor."""
        return RayWorker(self._ray, self._actor.remote(self._make))

    def wait(self, workers: Sequence["RayWorker"], timeout_s: float) -> None:
        """Until an actor has done its film, or the time is up."""
        refs = [worker.answer for worker in workers if worker.answer is not None]
        self._ray.wait(refs, timeout=timeout_s) if refs else None


class RayWorker:
    """An actor.

    Attributes:
      answer: what it owes: that it is ready, or a film's outcome.
    """

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self.answer: Any = actor.start.remote()
        self._beat: Any = None
        self._beats = 0
        self._source: Source | None = None

    def give(self, source: Source) -> None:
        """Lets it read a film."""
        self._source, self._beats = source, 0
        self.answer = self._actor.read.remote(source)

    def events(self) -> list[Event]:
        """What it said since."""
        try:
            found = self._progress()
            if self.answer is not None and self._is_there(self.answer):
                found.append(self._ray.get(self.answer))
                self.answer = self._beat = None
            return found
        except self._ray.exceptions.RayError as error:
            raise WorkerDied(str(error).splitlines()[0]) from None

    def stop(self) -> None:
        """Kills it."""
        self._ray.kill(self._actor)

    def _progress(self) -> list[Event]:
        """Asks, and never waits for, how far the film is."""
        found: list[Event] = []
        if self._beat is not None and self._is_there(self._beat):
            beats, seconds = self._ray.get(self._beat)
            if beats > self._beats and self._source:
                found.append(Progress(self._source, seconds))
            self._beats, self._beat = beats, None
        if self._beat is None and self.answer is not None:
            self._beat = self._actor.heard.remote()
        return found

    def _is_there(self, ref: Any) -> bool:
        return bool(self._ray.wait([ref], timeout=0)[0])


class _Actor:
    """Runs in a process of the cluster; `heard` answers while `read` works."""

    def __init__(self, make: Callable[[], Stage]) -> None:
        self._make = make
        self._beats, self._seconds = 0, 0.0
        self._stage: Stage | None = None

    def start(self) -> Ready | StartFailed:
        try:
            self._stage = self._make()
        except (ValueError, OSError, ImportError) as error:
            return StartFailed(str(error))
        return Ready()

    def read(self, source: Source) -> Outcome:
        self._beats = 0

        def report(seconds: float) -> None:
            self._beats, self._seconds = self._beats + 1, seconds

        return self._stage(source, report)

    def heard(self) -> tuple[int, float]:
        return self._beats, self._seconds
