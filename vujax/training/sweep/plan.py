"""What a sweep file asks for: its runs, each with a name of its own and its command line.

Commands that are independent of each other, some at once: for experiments that are no sweep.
"""

import hashlib
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vujax.training.sweep.points import Overrides

SEED = "seed"

NAME_LENGTH = 80

SCALARS = (str, int, float, bool, type(None))


class Run(NamedTuple):
    """One training run: its overrides and where it lives."""

    name: str
    overrides: Overrides
    directory: Path

    @property
    def workdir(self) -> Path:
        return self.directory / self.name

    @property
    def log(self) -> Path:
        """What the run prints; also the lock that keeps a second process off its workdir."""
        return self.directory / f"{self.name}.log"

    @property
    def finished(self) -> bool:
        """Whether the run wrote its release's config, the last thing that a training does."""
        return (self.workdir / "release" / "config.json").is_file()


class Plan(NamedTuple):
    """A sweep file, read.

    Attributes:
      config: what `vujax.main --config` takes.
      runs: the points in the order of the file, each once.
      metrics: columns 'evaluation/metric' of the table, or None for all there are.
      control: the overrides that mark the runs that the others are compared with, or None.
    """

    config: str
    runs: tuple[Run, ...]
    metrics: tuple[str, ...] | None
    control: Overrides | None


def read_plan(sweep: str, directory: Path) -> Plan:
    """Runs the Python file `FILE[:ARG]` and takes its CONFIG, METRICS, CONTROL and sweep().

    Raises:
      FileNotFoundError: the sweep's file or its config's is not there.
      ValueError: no sweep(), an empty one, or a point or value that no command line can carry.
    """
    file = _existing(sweep, "the sweep")
    module = runpy.run_path(str(file))
    if not callable(module.get("sweep")):
        raise ValueError(f"{file} defines no sweep(): add one that gives dicts of overrides")
    if "CONFIG" not in module and "get_config" not in module:
        raise ValueError(f"{file} names no config: add CONFIG = 'configs/distill.py'")
    config = module.get("CONFIG", sweep)
    _existing(config, f"the CONFIG of {file}")
    points = [_checked(point, file) for point in module["sweep"]()]
    if not points:
        raise ValueError(f"sweep() of {file} gave no points")
    # A dict keeps the first of equal points, in order: chained sweeps often share their control.
    named = {run_name(config, point): point for point in points}
    runs = tuple(Run(name, point, directory) for name, point in named.items())
    control = module.get("CONTROL")
    if control is not None and not any(control.items() <= r.overrides.items() for r in runs):
        raise ValueError(f"no point of sweep() in {file} has the overrides CONTROL = {control}")
    metrics = module.get("METRICS")
    return Plan(config, runs, None if metrics is None else tuple(metrics), control)


def _existing(path: str, what: str) -> Path:
    file = Path(path.partition(":")[0])
    if not file.is_file():
        raise FileNotFoundError(f"{what} is no file: '{file}' (paths are relative to {Path.cwd()})")
    return file


def _checked(point: Overrides, file: Path) -> Overrides:
    for key, value in point.items():
        if not all(part.isidentifier() for part in key.split(".")):
            raise ValueError(f"{file}: '{key}' is no dotted config key, like 'model.width'")
        parts = value if isinstance(value, tuple) else (value,)
        # By exact type: a numpy number is a float too, but its repr is no number.
        if strange := [type(part).__name__ for part in parts if type(part) not in SCALARS]:
            raise ValueError(
                f"{file}: the override '{key}' holds a {strange[0]}, which a command line cannot "
                "carry: use a string, number, bool, None, or a tuple of these"
            )
    return point


def run_name(config: str, point: Overrides) -> str:
    """A readable name and a hash of config and overrides: another point never has this workdir."""
    settings = "_".join(_readable(k, v) for k, v in sorted(point.items()) if k != SEED)
    seed = _readable(SEED, point[SEED]) if SEED in point else ""
    readable = "_".join(filter(None, [settings[:NAME_LENGTH], seed])) or "default"
    identity = json.dumps([config, point], sort_keys=True)
    return f"{readable}_{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def _readable(key: str, value: Any) -> str:
    """Without a character that a path or a shell reads."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{key.rpartition('.')[2]}-{_text(value)}")


def command(plan: Plan, run: Run, program: Sequence[str]) -> list[str]:
    """The run's command line as arguments, for a process without a shell."""
    overrides = [f"--config.{key}={_text(value)}" for key, value in run.overrides.items()]
    return [*program, f"--config={plan.config}", f"--workdir={run.workdir}", *overrides]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


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
