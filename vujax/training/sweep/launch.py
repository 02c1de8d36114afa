"""Runs of a sweep, and independent jobs of one script, as parallel processes of this machine."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, NamedTuple

from vujax.training.sweep.plan import Plan, Run, build_command, label_points

POLL_S = 0.05
NOTE = "sweep: "  # prefix of a line that the sweep appends to a run's log
ERROR = re.compile(r"([A-Za-z_]\w*\.)*\w*(Error|Exception|Exit)\b.*")
LOG_TAIL_BYTES = 1 << 16
MAX_ERROR = 300  # characters


class Child(NamedTuple):
    """A run in progress, on its share of the cores."""

    run: Run
    process: subprocess.Popen[bytes]
    cores: frozenset[int]
    started_s: float


def launch(
    plan: Plan, program: Sequence[str], parallel: int, say: Callable[[str], None] = print
) -> bool:
    """Run all unfinished runs, at most `parallel` at a time, each on its share of the cores.

    A run that fails leaves its error in its log, and the others continue. On SIGINT or SIGTERM the
    runs get SIGTERM, on which they save a checkpoint; a second signal kills them.

    Args:
      plan: of the sweep.
      program: command that starts one training.
      parallel: maximum number of runs at a time.
      say: prints a line.

    Returns:
      True if every run was started; False when a signal stopped the sweep.
    """
    waiting = deque(run for run in plan.runs if not run.is_finished)
    if done := len(plan.runs) - len(waiting):
        say(f"{done} of {len(plan.runs)} runs are finished already")
    pool = _Pool(plan, program, parallel, say)
    with _stop_signals() as signals:
        while pool.children or (waiting and not signals):
            while waiting and pool.free and not signals:
                pool.start(waiting.popleft())
            time.sleep(POLL_S)
            pool.handle_signals(len(signals))
            pool.reap(waiting=len(waiting))
    return not signals


def read_last_error(run: Run) -> str:
    """Return one line on the end of an unfinished run: the last error in its log."""
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
    return (errors or lines or ["ended without output"])[-1][:MAX_ERROR]


class _Pool:
    """The runs in progress, and the shares of the cores that are free."""

    def __init__(
        self, plan: Plan, program: Sequence[str], parallel: int, say: Callable[[str], None]
    ) -> None:
        self.plan, self.program, self.parallel, self.say = plan, program, parallel, say
        labels = label_points([run.overrides for run in plan.runs], plan.control)
        self.titles = {
            run.name: f"run {i} of {len(labels)} ({label})"
            for i, (run, label) in enumerate(zip(plan.runs, labels, strict=True), 1)
        }
        self.free = _core_shares(parallel)
        self.children: list[Child] = []
        self.durations_s: list[float] = []
        self.num_signals = 0

    def start(self, run: Run) -> None:
        child = _start(self.plan, run, self.program, self.free[-1])
        if child:
            self.children.append(child)
            self.free.pop()
        self.say(f"{self.titles[run.name]} {'starts' if child else 'runs elsewhere'}: {run.log}")

    def handle_signals(self, count: int) -> None:
        """Ask the runs to save and end on the first signal; kill them and their workers on more."""
        if count == self.num_signals:
            return
        self.num_signals = count
        self.say(f"stopping {len(self.children)} runs; another Ctrl-C ends them unsaved")
        for child in self.children:
            if count == 1:
                child.process.terminate()
            else:
                os.killpg(child.process.pid, signal.SIGKILL)

    def reap(self, waiting: int) -> None:
        """Remove the runs that ended, and print their endings and the time left."""
        for child in [c for c in self.children if c.process.poll() is not None]:
            self.children.remove(child)
            self.free.append(child.cores)
            elapsed_s = time.monotonic() - child.started_s
            if child.run.is_finished:
                self.durations_s.append(elapsed_s)
            ending = _ending(child, is_stopped=self.num_signals > 0)
            left = self._time_left(waiting + len(self.children))
            self.say(f"{self.titles[child.run.name]} {ending} after {_span(elapsed_s)}{left}")

    def _time_left(self, remaining: int) -> str:
        if not remaining or not self.durations_s or self.num_signals:
            return ""
        mean_s = sum(self.durations_s) / len(self.durations_s)
        return f"; about {_span(mean_s * remaining / self.parallel)} left"


def _start(plan: Plan, run: Run, program: Sequence[str], cores: frozenset[int]) -> Child | None:
    """Start the run; return None if another process has it."""
    run.log.parent.mkdir(parents=True, exist_ok=True)
    with run.log.open("ab") as log:
        if not _lock(log):
            return None
        log.truncate(0)
        with _on_cores(cores):
            process = subprocess.Popen(
                build_command(plan, run, program),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # The terminal's Ctrl-C must not reach it beside our own signal.
                start_new_session=True,
            )
    return Child(run, process, cores, time.monotonic())


def _lock(log: IO[bytes]) -> bool:
    """Lock the log; return False if another process has it.

    The lock belongs to the open file, which a run holds as its output: it ends with the run, even
    when the sweep that started the run is killed before.
    """
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ending(child: Child, is_stopped: bool) -> str:
    """Return a word on a run's end; append to its log a reason that is not in its output."""
    if child.run.is_finished:
        return "finished"
    code = child.process.returncode
    note = ""
    if is_stopped:
        note = "stopped before its end: the same sweep command resumes it"
    elif code < 0:
        note = f"killed by {signal.Signals(-code).name}"
    elif code == 0:
        note = "ended without a release: the same sweep command resumes it"
    if note:
        with child.run.log.open("a") as log:
            log.write(f"\n{NOTE}{note}\n")
    return "stopped" if is_stopped else f"failed ({read_last_error(child.run)})"


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list: no exception between a start and its record."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _core_shares(parallel: int) -> list[frozenset[int]]:
    """Divide this process's cores among `parallel` runs; runs beyond the cores share them."""
    if not hasattr(os, "sched_getaffinity"):
        return [frozenset()] * parallel
    cores = sorted(os.sched_getaffinity(0))
    return [frozenset(cores[i % len(cores) :: parallel]) for i in range(parallel)]


@contextmanager
def _on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Start processes on these cores, by which XLA and grain size their thread pools."""
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


Job = tuple[str, Sequence[str]]
"""Name of a job, and its arguments of the script."""


def run_jobs(script: str, jobs: Iterable[Job], logs: Path, num_parallel: int) -> None:
    """Run a script once per job, each in its own process.

    Args:
      script: path of a Python file.
      jobs: names and arguments.
      logs: directory; `NAME.log` is the output of a job.
      num_parallel: number of processes.

    Raises:
      RuntimeError: a job failed; those that run beside it are finished first.
    """
    logs.mkdir(parents=True, exist_ok=True)
    waiting, running, failed = list(jobs)[::-1], [], []
    while running or (waiting and not failed):
        while waiting and not failed and len(running) < num_parallel:
            name, arguments = waiting.pop()
            with (logs / f"{name}.log").open("w") as log:
                command = [sys.executable, script, *arguments]
                process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            running.append((name, process))
        name, process = running.pop(0)
        if process.wait():
            failed.append(name)
        else:
            print(name, flush=True)
    if failed:
        raise RuntimeError(f"{failed[0]} failed: see {logs / failed[0]}.log")
