"""The plan of a sweep file: points, which are dicts of dotted overrides, and the runs of them.

Each run has a unique name and a command line.
"""

import hashlib
import itertools
import json
import re
import runpy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Overrides = dict[str, Any]


def over(key: str, values: Iterable[Any]) -> list[Overrides]:
    """Return one point per value of one key: `over('seed', range(3))`."""
    return [{key: value} for value in values]


def product(*sweeps: Iterable[Overrides]) -> list[Overrides]:
    """Return all combinations of one point from each sweep; the last sweep varies fastest."""
    return [_merge(points) for points in itertools.product(*sweeps)]


def zipped(*sweeps: Iterable[Overrides]) -> list[Overrides]:
    """Merge the first points of all sweeps, then the second ones, and so on.

    Raises:
      ValueError: the sweeps differ in length.
    """
    columns = [list(sweep) for sweep in sweeps]
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise ValueError(f"zipped() needs sweeps of one length, got {lengths} points")
    return [_merge(points) for points in zip(*columns, strict=True)]


def chain(*sweeps: Iterable[Overrides]) -> list[Overrides]:
    """Return the points of all sweeps, one sweep after the other; equal points are one run."""
    return list(itertools.chain.from_iterable(sweeps))


def find_varying_keys(points: Sequence[Overrides]) -> list[str]:
    """Return the keys in which points differ, in order of their first appearance."""
    keys = dict.fromkeys(key for point in points for key in point)
    return [key for key in keys if len({repr(point.get(key)) for point in points}) > 1]


def shorten_keys(keys: Sequence[str]) -> list[str]:
    """Return the last parts of keys where those are unique, else the complete keys."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]


def label_points(points: Sequence[Overrides], control: Overrides | None = None) -> list[str]:
    """Return a label per point of the values that differ: 'target swapped, seed 1'.

    Values that a point shares with `control` are left out: 'control, seed 1', 'share 0.8, seed 1'.
    """
    keys, control = find_varying_keys(points), control or {}
    names = dict(zip(keys, shorten_keys(keys), strict=True))

    def label(point: Overrides) -> str:
        parts = ["control"] if control and control.items() <= point.items() else []
        own = [key for key in keys if key in point and (key, point[key]) not in control.items()]
        parts += [f"{names[key]} {point[key]}" for key in own]
        return ", ".join(parts) or "default"

    return [label(point) for point in points]


def _merge(points: Iterable[Overrides]) -> Overrides:
    merged: Overrides = {}
    for point in points:
        for key, value in point.items():
            if key in merged:
                raise ValueError(
                    f"the override '{key}' is in two sweeps of one product or zip: remove one"
                )
            merged[key] = value
    return merged


SEED = "seed"
MAX_NAME = 80  # characters of a run's name, without seed and hash
SCALARS = (str, int, float, bool, type(None))


class Run(NamedTuple):
    """One training run.

    Attributes:
      name: unique in the sweep.
      overrides: dotted config keys and their values.
      directory: of the sweep.
    """

    name: str
    overrides: Overrides
    directory: Path

    @property
    def workdir(self) -> Path:
        """Workdir of the training."""
        return self.directory / self.name

    @property
    def log(self) -> Path:
        """Output of the run; also the lock that keeps a second process off its workdir."""
        return self.directory / f"{self.name}.log"

    @property
    def is_finished(self) -> bool:
        """True if the run wrote its release's config, the last file that a training writes."""
        return (self.workdir / "release" / "config.json").is_file()


class Plan(NamedTuple):
    """The content of a sweep file.

    Attributes:
      config: as for `vujax.main --config`.
      runs: the points in the order of the file, each once.
      metrics: columns 'evaluation/metric' of the table, or None for all.
      control: the overrides that mark the runs that the others are compared with, or None.
    """

    config: str
    runs: tuple[Run, ...]
    metrics: tuple[str, ...] | None
    control: Overrides | None


def read_plan(sweep: str, directory: Path) -> Plan:
    """Run the Python file `FILE[:ARG]` and read its CONFIG, METRICS, CONTROL and sweep().

    Raises:
      FileNotFoundError: the sweep's file or its config's file is missing.
      ValueError: no sweep(), an empty one, or a point or value that no command line can carry.
    """
    file = _existing(sweep, "the sweep")
    module = runpy.run_path(str(file))
    if not callable(module.get("sweep")):
        raise ValueError(f"{file} defines no sweep(): add one that returns dicts of overrides")
    if "CONFIG" not in module and "get_config" not in module:
        raise ValueError(f"{file} names no config: add CONFIG = 'configs/distill.py'")
    config = module.get("CONFIG", sweep)
    _existing(config, f"the CONFIG of {file}")
    points = [_checked(point, file) for point in module["sweep"]()]
    if not points:
        raise ValueError(f"sweep() of {file} returned no points")
    # A dict keeps the first of equal points, in order: chained sweeps often share their control.
    named = {name_run(config, point): point for point in points}
    runs = tuple(Run(name, point, directory) for name, point in named.items())
    control = module.get("CONTROL")
    if control is not None and not any(control.items() <= r.overrides.items() for r in runs):
        raise ValueError(f"no point of sweep() in {file} has the overrides CONTROL = {control}")
    metrics = module.get("METRICS")
    return Plan(config, runs, None if metrics is None else tuple(metrics), control)


def _existing(path: str, what: str) -> Path:
    file = Path(path.partition(":")[0])
    if not file.is_file():
        raise FileNotFoundError(
            f"{what} is not a file: '{file}' (paths are relative to {Path.cwd()})"
        )
    return file


def _checked(point: Overrides, file: Path) -> Overrides:
    for key, value in point.items():
        if not all(part.isidentifier() for part in key.split(".")):
            raise ValueError(f"{file}: '{key}' is not a dotted config key such as 'model.width'")
        parts = value if isinstance(value, tuple) else (value,)
        # By exact type: a numpy number is a float too, but its repr is no number.
        if unsupported := [type(part).__name__ for part in parts if type(part) not in SCALARS]:
            raise ValueError(
                f"{file}: the override '{key}' holds a {unsupported[0]}, which a command line "
                "cannot express: use a string, number, bool, None, or a tuple of these"
            )
    return point


def name_run(config: str, point: Overrides) -> str:
    """Return a readable name with a hash of config and overrides, unique to the point."""
    settings = "_".join(_readable(k, v) for k, v in sorted(point.items()) if k != SEED)
    seed = _readable(SEED, point[SEED]) if SEED in point else ""
    readable = "_".join(filter(None, [settings[:MAX_NAME], seed])) or "default"
    identity = json.dumps([config, point], sort_keys=True)
    return f"{readable}_{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def _readable(key: str, value: Any) -> str:
    """Return 'key-value' without characters that are special in a path or a shell."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{key.rpartition('.')[2]}-{_text(value)}")


def build_command(plan: Plan, run: Run, program: Sequence[str]) -> list[str]:
    """Return the run's command line as arguments, for a process without a shell."""
    overrides = [f"--config.{key}={_text(value)}" for key, value in run.overrides.items()]
    return [*program, f"--config={plan.config}", f"--workdir={run.workdir}", *overrides]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
