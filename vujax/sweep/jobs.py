"""Commands that are independent of each other, some at once: for experiments that are no sweep."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

Job = tuple[str, Sequence[str]]
"""A name, and the arguments of the calling script that make it."""


def run_jobs(script: str, jobs: Iterable[Job], logs: Path, at_once: int) -> None:
    """Runs a script once for each job, each in a process of its own.

    Args:
      script: path of a Python file.
      jobs: names, and arguments.
      logs: folder; `NAME.log` is what a job printed.
      at_once: how many processes.

    Raises:
      RuntimeError: a job failed; those that run beside it are finished first.
    """
    logs.mkdir(parents=True, exist_ok=True)
    waiting, running, failed = list(jobs)[::-1], [], []
    while running or (waiting and not failed):
        while waiting and not failed and len(running) < at_once:
            name, words = waiting.pop()
            with (logs / f"{name}.log").open("w") as log:
                command = [sys.executable, script, *words]
                process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            running.append((name, process))
        name, process = running.pop(0)
        if process.wait():
            failed.append(name)
        else:
            print(name, flush=True)
    if failed:
        raise RuntimeError(f"{failed[0]} failed: see {logs / failed[0]}.log")
