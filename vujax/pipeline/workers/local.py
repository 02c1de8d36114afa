"""Workers that are processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

from vujax.pipeline.ingest.sources import Source
from vujax.pipeline.workers.pool import Event, Progress, Ready, Stage, StartFailed, WorkerDied

SPAWN = multiprocessing.get_context("spawn")  # libraries with threads do not survive a fork


class LocalEngine:
    """Processes; each makes a stage of its own and keeps it."""

    def __init__(self, make: Callable[[], Stage], *, cpu_only: bool) -> None:
        """Starts nothing yet.

        Args:
          make: gives a worker its stage; picklable.
          cpu_only: keep JAX off accelerators, of which only one process can have each.
        """
        self._make, self._cpu_only = make, cpu_only

    def start(self) -> "LocalWorker":
        """A new process."""
        return LocalWorker(self._make, self._cpu_only)

    def wait(self, workers: Sequence["LocalWorker"], timeout_s: float) -> None:
        """Until a process says something or ends."""
        wait([worker.pipe for worker in workers], timeout_s)


class LocalWorker:
    """A process; it ends when this one does, whatever ends this one.

    Attributes:
      pipe: to it; readable when it has said something, or ended.
    """

    def __init__(self, make: Callable[[], Stage], cpu_only: bool) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(theirs, make, cpu_only), daemon=True)
        with _deaf_children():
            self._process.start()
        theirs.close()  # else the pipe would outlive the process

    def give(self, source: Source) -> None:
        """Lets it read a film."""
        try:
            self.pipe.send(source)
        except OSError:  # it died; `events` says so
            return

    def events(self) -> list[Event]:
        """What it said since."""
        found: list[Event] = []
        try:
            while self.pipe.poll():
                found.append(self.pipe.recv())
        except (EOFError, OSError):
            if not found:  # what it said last comes first
                raise WorkerDied(self._last_word()) from None
        return found

    def stop(self) -> None:
        """Kills it."""
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _last_word(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started here do not hear Ctrl-C, which reaches the whole group; this one acts.

    A new process needs a second to import what it must before it can say so itself.
    """
    resource_tracker.ensure_running()  # multiprocessing's own; to start it ends the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Ends this process, even one that hangs, when there is nobody left to do so."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _serve(pipe: Connection, make: Callable[[], Stage], cpu_only: bool) -> None:
    """The process: does films until it is given none, or nobody listens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for good, whoever ends the block
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cpu_only:
        os.environ["JAX_PLATFORMS"] = "cpu"

    def say(event: Event) -> None:
        try:
            pipe.send(event)
        except OSError:  # nobody listens: leave the film unfinished, not with an error
            raise SystemExit(1) from None

    try:
        stage = make()
    except (ValueError, OSError, ImportError) as error:
        say(StartFailed(str(error)))
        return
    say(Ready())
    while True:
        try:
            source = pipe.recv()
        except (EOFError, OSError):
            return
        say(stage(source, lambda seconds, source=source: say(Progress(source, seconds))))
