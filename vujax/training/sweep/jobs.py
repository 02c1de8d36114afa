"""Independent jobs of one script as processes, for experiments that are no sweep."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

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
