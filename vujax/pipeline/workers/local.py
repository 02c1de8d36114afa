"""Engine whose workers are processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

from vujax.pipeline.sources import Source
from vujax.pipeline.stage import Progress, Stage
from vujax.pipeline.workers.pool import Event, Ready, StartFailed, WorkerDied

SPAWN = multiprocessing.get_context("spawn")  # libraries with threads do not survive a fork


class LocalEngine:
    """`Engine` of processes, each of which makes its own stage once."""

    def __init__(self, make: Callable[[], Stage], *, cpu_only: bool) -> None:
        """Set up the engine; `start` starts a process.

        Args:
          make: makes a worker's stage; picklable.
          cpu_only: keep JAX off accelerators, each of which only one process can use.
        """
        self._make, self._cpu_only = make, cpu_only

    def start(self) -> "LocalWorker":
        """Start a new process."""
        return LocalWorker(self._make, self._cpu_only)

    def wait(self, workers: Sequence["LocalWorker"], timeout_s: float) -> None:
        """Wait until a process sends an event or ends."""
        wait([worker.pipe for worker in workers], timeout_s)


class LocalWorker:
    """`Worker` in a process, which ends when this one does, for whatever reason.

    Attributes:
      pipe: connection to the process; readable after it sent an event, or ended.
    """

    def __init__(self, make: Callable[[], Stage], cpu_only: bool) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(theirs, make, cpu_only), daemon=True)
        with _sigint_blocked():
            self._process.start()
        theirs.close()  # else the pipe would outlive the process

    def submit(self, source: Source) -> None:
        """Send a film to the process."""
        try:
            self.pipe.send(source)
        except OSError:  # it died; `poll` raises
            return

    def poll(self) -> list[Event]:
        """Return the events since the last call; raises like `Worker.poll`."""
        found: list[Event] = []
        try:
            while self.pipe.poll():
                found.append(self.pipe.recv())
        except (EOFError, OSError):
            if not found:  # its last events come first
                raise WorkerDied(self._describe_exit()) from None
        return found

    def stop(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _describe_exit(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which reaches the whole group; only this one acts on it.

    A new process cannot block the signal itself during its first second of imports.
    """
    resource_tracker.ensure_running()  # multiprocessing's own; starting it would end the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Exit when the parent process ends, even if this process hangs."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _serve(pipe: Connection, make: Callable[[], Stage], cpu_only: bool) -> None:
    """Work on films until the pipe closes; the main function of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for good, even after the block ends
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cpu_only:
        os.environ["JAX_PLATFORMS"] = "cpu"

    def send(event: Event) -> None:
        try:
            pipe.send(event)
        except OSError:  # the pipe is closed: leave the film unfinished, not with an error
            raise SystemExit(1) from None

    try:
        stage = make()
    except (ValueError, OSError, ImportError) as error:
        send(StartFailed(str(error)))
        return
    send(Ready())
    while True:
        try:
            source = pipe.recv()
        except (EOFError, OSError):
            return
        send(stage(source, lambda seconds, source=source: send(Progress(source, seconds))))
