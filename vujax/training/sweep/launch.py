"""Runs of a sweep as processes of this machine, a few at once."""

import fcntl
import os
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO, NamedTuple

from vujax.training.sweep import points
from vujax.training.sweep.plan import Plan, Run, command

POLL_S = 0.05
NOTE = "sweep: "
ERROR = re.compile(r"([A-Za-z_]\w*\.)*\w*(Error|Exception|Exit)\b.*")
LOG_TAIL_BYTES = 1 << 16


class Child(NamedTuple):
    """A run in progress, on its share of the cores."""

    run: Run
    process: subprocess.Popen[bytes]
    cores: frozenset[int]
    started_s: float


def launch(
    plan: Plan, program: Sequence[str], parallel: int, say: Callable[[str], None] = print
) -> bool:
    """Runs what is not finished, at most `parallel` at once, each on its share of the cores.

    A run that fails leaves its error in its log and the others go on. On SIGINT or SIGTERM the runs
    get SIGTERM, on which they save a checkpoint; a second signal kills them.

    Returns:
      Whether every run had its turn; False when a signal stopped the sweep.
    """
    todo = deque(run for run in plan.runs if not run.finished)
    if done := len(plan.runs) - len(todo):
        say(f"{done} of {len(plan.runs)} runs are finished already")
    pool = _Pool(plan, program, parallel, say)
    with _stop_signals() as signals:
        while pool.children or (todo and not signals):
            while todo and pool.free and not signals:
                pool.start(todo.popleft())
            time.sleep(POLL_S)
            pool.heed(len(signals))
            pool.reap(waiting=len(todo))
    return not signals


def last_words(run: Run) -> str:
    """Why a run that is not finished ended: the last error in its log, in one line."""
    if not run.log.exists():
        return "not run yet"
    with run.log.open("rb") as log:
        if not _lock(log):
            return "still running"
        log.seek(max(0, run.log.stat().st_size - LOG_TAIL_BYTES))
        text = log.read().decode("utf-8", "replace")
    # Progress bars end their lines with a carriage return.
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    if lines and lines[-1].startswith(NOTE):
        return lines[-1].removeprefix(NOTE)
    errors = [line for line in lines if ERROR.match(line)]
    return (errors or lines or ["ended without a word"])[-1][:300]


class _Pool:
    """The runs in progress, and the shares of the cores that wait for one."""

    def __init__(
        self, plan: Plan, program: Sequence[str], parallel: int, say: Callable[[str], None]
    ) -> None:
        self.plan, self.program, self.parallel, self.say = plan, program, parallel, say
        labels = points.labels([run.overrides for run in plan.runs], plan.control)
        self.title = {
            run.name: f"run {i} of {len(labels)} ({label})"
            for i, (run, label) in enumerate(zip(plan.runs, labels, strict=True), 1)
        }
        self.free = _core_shares(parallel)
        self.children: list[Child] = []
        self.durations_s: list[float] = []
        self.heeded = 0

    def start(self, run: Run) -> None:
        child = _start(self.plan, run, self.program, self.free[-1])
        if child:
            self.children.append(child)
            self.free.pop()
        self.say(f"{self.title[run.name]} {'starts' if child else 'runs elsewhere'}: {run.log}")

    def heed(self, signals: int) -> None:
        """On the first signal asks the runs to save and end; then ends them and their workers."""
        if signals == self.heeded:
            return
        self.heeded = signals
        self.say(f"stopping {len(self.children)} runs; another Ctrl-C ends them unsaved")
        for child in self.children:
            if signals == 1:
                child.process.terminate()
            else:
                os.killpg(child.process.pid, signal.SIGKILL)

    def reap(self, waiting: int) -> None:
        """Takes note of the runs that ended, and says how and when the rest will."""
        for child in [c for c in self.children if c.process.poll() is not None]:
            self.children.remove(child)
            self.free.append(child.cores)
            took_s = time.monotonic() - child.started_s
            if child.run.finished:
                self.durations_s.append(took_s)
            ending = _ending(child, stopped=self.heeded > 0)
            left = self._time_left(waiting + len(self.children))
            self.say(f"{self.title[child.run.name]} {ending} after {_span(took_s)}{left}")

    def _time_left(self, remaining: int) -> str:
        if not remaining or not self.durations_s or self.heeded:
            return ""
        mean_s = sum(self.durations_s) / len(self.durations_s)
        return f"; about {_span(mean_s * remaining / self.parallel)} left"


def _start(plan: Plan, run: Run, program: Sequence[str], cores: frozenset[int]) -> Child | None:
    """Starts the run, or gives None when another process has it."""
    run.log.parent.mkdir(parents=True, exist_ok=True)
    with run.log.open("ab") as log:
        if not _lock(log):
            return None
        log.truncate(0)
        with _on_cores(cores):
            process = subprocess.Popen(
                command(plan, run, program),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Away from the terminal's Ctrl-C, which would reach it beside our own signal.
                start_new_session=True,
            )
    return Child(run, process, cores, time.monotonic())


def _lock(log: IO[bytes]) -> bool:
    """Locks the log unless another process has it.

    The lock belongs to the open file, which a run holds as its output: it ends with the run, even
    when the sweep that started the run is killed before.
    """
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ending(child: Child, stopped: bool) -> str:
    """How a run ended; puts into its log what it could not say itself."""
    if child.run.finished:
        return "finished"
    code = child.process.returncode
    note = ""
    if stopped:
        note = "stopped before its end: the same sweep command resumes it"
    elif code < 0:
        note = f"killed by {signal.Signals(-code).name}"
    elif code == 0:
        note = "ended without a release: the same sweep command resumes it"
    if note:
        with child.run.log.open("a") as log:
            log.write(f"\n{NOTE}{note}\n")
    return "stopped" if stopped else f"failed ({last_words(child.run)})"


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """The SIGINT and SIGTERM that came, as a list: no exception between a start and its record."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _core_shares(parallel: int) -> list[frozenset[int]]:
    """This process's cores dealt out to `parallel` runs; runs beyond the cores share them."""
    if not hasattr(os, "sched_getaffinity"):
        return [frozenset()] * parallel
    cores = sorted(os.sched_getaffinity(0))
    return [frozenset(cores[i % len(cores) :: parallel]) for i in range(parallel)]


@contextmanager
def _on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Processes started inside inherit these cores: XLA and grain size their pools by them."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
