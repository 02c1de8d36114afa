"""Engine whose workers are Ray actors, on the cluster of RAY_ADDRESS or on a new local one.

Ray's own retries are off: the pool treats a film whose worker dies or hangs as it does on one
machine. All machines of the cluster must see the folder of the catalog.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from vujax.pipeline.sources import Source
from vujax.pipeline.stage import Outcome, Progress, Stage
from vujax.pipeline.workers.pool import Event, Ready, StartFailed, WorkerDied


class RayEngine:
    """`Engine` of actors with one CPU each, and one GPU each on request if the cluster has any.

    Attributes:
      num_slots: number of actors that fit on the cluster.
    """

    def __init__(self, make: Callable[[], Stage], *, accelerators: bool = False) -> None:
        """Connect to the cluster, or start one.

        Args:
          make: makes an actor's stage; picklable.
          accelerators: give each actor a GPU, if the cluster has any.

        Raises:
          ImportError: Ray is not installed.
        """
        if importlib.util.find_spec("ray") is None:
            raise ImportError("--runner ray needs Ray: pip install 'vujax[ray]'")
        import ray

        self._ray = ray
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0)) if accelerators else 0
        self.num_slots = gpus or max(1, int(resources.get("CPU", 1)))
        options = dict(num_cpus=1, max_concurrency=2, max_restarts=0, max_task_retries=0)
        self._actor = ray.remote(**options, num_gpus=1 if gpus else 0)(_Actor)
        self._make = ray.put(make)

    def start(self) -> "RayWorker":
        """Start a new actor."""
        return RayWorker(self._ray, self._actor.remote(self._make))

    def wait(self, workers: Sequence["RayWorker"], timeout_s: float) -> None:
        """Wait until an actor has a result, at most `timeout_s` seconds."""
        refs = [worker.answer for worker in workers if worker.answer is not None]
        self._ray.wait(refs, timeout=timeout_s) if refs else None


class RayWorker:
    """`Worker` in an actor.

    Attributes:
      answer: reference to its pending result: readiness, or a film's outcome.
    """

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self.answer: Any = actor.start.remote()
        self._beat: Any = None
        self._beats = 0
        self._source: Source | None = None

    def submit(self, source: Source) -> None:
        """Send a film to the actor."""
        self._source, self._beats = source, 0
        self.answer = self._actor.run.remote(source)

    def poll(self) -> list[Event]:
        """Return the events since the last call; raises like `Worker.poll`."""
        try:
            found = self._progress()
            if self.answer is not None and self._is_available(self.answer):
                found.append(self._ray.get(self.answer))
                self.answer = self._beat = None
            return found
        except self._ray.exceptions.RayError as error:
            raise WorkerDied(str(error).splitlines()[0]) from None

    def stop(self) -> None:
        """Kill the actor."""
        self._ray.kill(self._actor)

    def _progress(self) -> list[Event]:
        """Request the position in the film, and return it once the answer is available."""
        found: list[Event] = []
        if self._beat is not None and self._is_available(self._beat):
            beats, seconds = self._ray.get(self._beat)
            if beats > self._beats and self._source:
                found.append(Progress(self._source, seconds))
            self._beats, self._beat = beats, None
        if self._beat is None and self.answer is not None:
            self._beat = self._actor.get_progress.remote()
        return found

    def _is_available(self, ref: Any) -> bool:
        return bool(self._ray.wait([ref], timeout=0)[0])


class _Actor:
    """Stage in a process of the cluster; `get_progress` answers while `run` works."""

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

    def run(self, source: Source) -> Outcome:
        self._beats = 0

        def report(seconds: float) -> None:
            self._beats, self._seconds = self._beats + 1, seconds

        return self._stage(source, report)

    def get_progress(self) -> tuple[int, float]:
        return self._beats, self._seconds
