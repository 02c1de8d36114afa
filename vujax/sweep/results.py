"""What the runs of a sweep left behind: the last evaluations of each, or its error."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from vujax.sweep.launch import last_words
from vujax.sweep.plan import Plan, Run

EVALUATION = re.compile(r"(?P<name>.+)-(?P<step>\d+)\.json")


class Result(NamedTuple):
    """A run and its metrics by column 'evaluation/metric', or the error that stands for them."""

    run: Run
    metrics: dict[str, float]
    error: str


def read_results(plan: Plan) -> list[Result]:
    """The state of every run of the plan, from its files."""
    return [_read_result(run) for run in plan.runs]


def _read_result(run: Run) -> Result:
    if not run.finished:
        return Result(run, {}, last_words(run))
    try:
        return Result(run, read_metrics(run.workdir / "evaluations"), "")
    except ValueError as error:
        return Result(run, {}, str(error))


def read_metrics(folder: Path) -> dict[str, float]:
    """The last evaluation of each name in a workdir's `evaluations`, as 'name/metric' columns.

    Raises:
      ValueError: a file there is no evaluation.
    """
    last: dict[str, tuple[int, Path]] = {}
    for path in folder.glob("*.json"):
        if match := EVALUATION.fullmatch(path.name):
            name, step = match["name"], int(match["step"])
            last[name] = max(last.get(name, (step, path)), (step, path))
    return {
        f"{name}/{metric}": value
        for name, (_, path) in sorted(last.items())
        for metric, value in _metrics(path).items()
    }


def _metrics(path: Path) -> dict[str, float]:
    try:
        metrics = json.loads(path.read_text())["metrics"]
        return {key: float(value) for key, value in metrics.items() if value is not None}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no evaluation with metrics: remove the run's folder and run the sweep again"
        ) from error
