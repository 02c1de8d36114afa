"""Results of a sweep: groups of seeds with 95% intervals and paired differences from a control.

The results of a run are its last evaluations, or its error; the table is CSV and Markdown.
"""

import csv
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from scipy.special import stdtrit

from vujax.training.sweep.launch import read_last_error
from vujax.training.sweep.plan import SEED, Overrides, Plan, Run, find_varying_keys, label_points
from vujax.utils.io import write_atomically

EVALUATION = re.compile(r"(?P<name>.+)-(?P<step>\d+)\.json")
T = TypeVar("T")


class Result(NamedTuple):
    """A run and its metrics by column 'evaluation/metric', or its error."""

    run: Run
    metrics: dict[str, float]
    error: str


def read_results(plan: Plan) -> list[Result]:
    """Read the result of every run of the plan from its files."""
    return [_read_result(run) for run in plan.runs]


def _read_result(run: Run) -> Result:
    if not run.is_finished:
        return Result(run, {}, read_last_error(run))
    try:
        return Result(run, read_metrics(run.workdir / "evaluations"), "")
    except ValueError as error:
        return Result(run, {}, str(error))


def read_metrics(folder: Path) -> dict[str, float]:
    """Read the last evaluation of each name in a workdir's `evaluations`, as 'name/metric'.

    Raises:
      ValueError: a file is not an evaluation.
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
            f"{path} is not an evaluation with metrics: remove the run's directory and run the "
            "sweep again"
        ) from error


class Estimate(NamedTuple):
    """A mean over n seeds and half the width of its 95% interval (None when n is 1)."""

    mean: float
    half_width: float | None
    n: int


class Group(NamedTuple):
    """The runs that differ in nothing but their seed."""

    overrides: Overrides
    results: tuple[Result, ...]

    @property
    def failed(self) -> list[Result]:
        """Results of the runs without metrics."""
        return [result for result in self.results if result.error]

    def values(self, metric: str) -> dict[int | None, float]:
        """Return the metric by seed, of the runs that have it."""
        results = [result for result in self.results if metric in result.metrics]
        return {r.run.overrides.get(SEED): r.metrics[metric] for r in results}


class Row(NamedTuple):
    """A group's estimate per metric, and per metric its difference from its control.

    `difference` holds None for the controls themselves, and is empty without a CONTROL.
    """

    group: Group
    own: tuple[Estimate | None, ...]
    difference: tuple[Estimate | None, ...]


class Summary(NamedTuple):
    """The rows of a sweep, its override keys (all but the seed), its metrics and its control."""

    keys: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    control: Overrides | None


def summarize(plan: Plan, results: Sequence[Result]) -> Summary:
    """Group results by seed; metrics are those of the plan, or all that any run has."""
    available = {metric for result in results for metric in result.metrics}
    metrics = tuple(sorted(available)) if plan.metrics is None else plan.metrics
    groups = group_by_seed(results)
    keys = tuple(dict.fromkeys(key for group in groups for key in group.overrides))
    rows = tuple(_row(group, groups, metrics, plan.control) for group in groups)
    return Summary(keys, metrics, rows, control=plan.control)


def group_by_seed(results: Iterable[Result]) -> list[Group]:
    """Group results that differ in nothing but the seed, in the order of their first runs."""
    groups: dict[str, tuple[Overrides, list[Result]]] = {}
    for result in results:
        rest = {key: value for key, value in result.run.overrides.items() if key != SEED}
        groups.setdefault(json.dumps(rest, sort_keys=True), (rest, []))[1].append(result)
    return [Group(overrides, tuple(members)) for overrides, members in groups.values()]


def compute_estimate(values: Sequence[float]) -> Estimate | None:
    """Compute the mean and Student's 95% interval of independent values; None without values."""
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, None, n)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Estimate(mean, float(stdtrit(n - 1, 0.975)) * math.sqrt(variance / n), n)


def paired_difference(group: Group, control: Group, metric: str) -> Estimate | None:
    """Compute the mean over common seeds of the group's metric minus the control's.

    The effects of a seed (data order, initial weights) are in both and cancel, so the interval is
    narrower than the groups' own intervals suggest.
    """
    values, controls = group.values(metric), control.values(metric)
    common = [seed for seed in values if seed in controls]
    return compute_estimate([values[seed] - controls[seed] for seed in common])


def find_control(group: Group, groups: Sequence[Group], control: Overrides) -> Group | None:
    """Return the control that a group is compared with; None for the controls themselves.

    Controls are the groups with all overrides of `control`. A control matches a group if its other
    overrides are the group's too (such as the same caption noise); the one that shares most is
    selected.
    """
    if _shares(group, control):
        return None
    matching = [
        other
        for other in groups
        if _shares(other, control)
        and _shares(group, {k: v for k, v in other.overrides.items() if k not in control})
    ]
    return max(matching, key=lambda other: len(other.overrides), default=None)


def _row(
    group: Group, groups: Sequence[Group], metrics: Sequence[str], control: Overrides | None
) -> Row:
    own = tuple(compute_estimate(list(group.values(metric).values())) for metric in metrics)
    if control is None:
        return Row(group, own, ())
    other = find_control(group, groups, control)
    return Row(
        group, own, tuple(paired_difference(group, other, m) if other else None for m in metrics)
    )


def _shares(group: Group, overrides: Overrides) -> bool:
    return overrides.items() <= group.overrides.items()


def write_csv(path: Path, summary: Summary) -> Path:
    """Write a row per group of seeds at full precision, and a row per failed run with its error.

    An empty cell is a missing value, or an override that keeps the config's default.
    """
    suffixes = ("mean", "low", "high", "n")
    numbers = [f"{column} {suffix}" for column in _columns(summary) for suffix in suffixes]
    rows: list[list[Any]] = [[*summary.keys, SEED, *numbers, "error"]]
    for row in summary.rows:
        parts = [part for e in _alternate(row.own, row.difference) for part in _csv_parts(e)]
        rows.append([*_values(summary.keys, row.group.overrides), "", *parts, ""])
        for result in row.group.failed:
            values = _values([*summary.keys, SEED], result.run.overrides)
            rows.append([*values, *[""] * len(numbers), result.error])
    return write_atomically(path, lambda temporary: _write_rows(temporary, rows))


def to_markdown(summary: Summary) -> str:
    """Return a table of mean ± half of the 95% interval over n seeds, and of failed runs.

    Overrides that all runs share, and the control's, are listed above the table.
    """
    columns = _columns(summary)
    points = [row.group.overrides for row in summary.rows]
    keys = find_varying_keys(points)
    shared = {key: value for key, value in points[0].items() if key not in keys}
    rows = [["run", "n", *columns]]
    for row, label in zip(summary.rows, label_points(points, summary.control), strict=True):
        group, finished = row.group, len(row.group.results) - len(row.group.failed)
        own = [_cell(e, finished) for e in row.own]
        differences = [_cell(e, finished, sign="+") for e in row.difference]
        numbers = _alternate(own, differences)
        rows.append([label, finished, *numbers])
        for result in group.failed:
            failure = f"seed {result.run.overrides.get(SEED, '')}: {result.error}"
            rows.append([label, failure, *[""] * len(columns)])
    head, *lines = map(_markdown_row, rows)
    above = [
        *_list_overrides("All runs", shared),
        *_list_overrides("Control", summary.control or {}),
    ]
    return "\n".join([*above, head, "|" + " --- |" * len(rows[0]), *lines, ""])


def _list_overrides(title: str, overrides: Overrides) -> list[str]:
    """Return a line of Markdown and an empty one, or nothing without overrides."""
    text = ", ".join(f"{key} {value}" for key, value in overrides.items())
    return [f"{title}: {text}.", ""] if text else []


def _columns(summary: Summary) -> list[str]:
    kinds = ("", " minus control") if summary.control is not None else ("",)
    return [f"{metric}{kind}" for metric in summary.metrics for kind in kinds]


def _alternate(own: Sequence[T], differences: Sequence[T]) -> list[T]:
    """Interleave each metric's own cell and its difference, in the order of `_columns`."""
    if not differences:
        return list(own)
    return [cell for pair in zip(own, differences, strict=True) for cell in pair]


def _values(keys: Iterable[str], overrides: Overrides) -> list[Any]:
    return [overrides.get(key, "") for key in keys]


def _csv_parts(e: Estimate | None) -> list[Any]:
    if e is None:
        return ["", "", "", 0]
    if e.half_width is None:
        return [e.mean, "", "", e.n]
    return [e.mean, e.mean - e.half_width, e.mean + e.half_width, e.n]


def _cell(e: Estimate | None, finished: int, sign: str = "") -> str:
    """Format as '0.412 ± 0.013', with two digits of the half-width, and n if not the row's."""
    if e is None:
        return ""
    count = "" if e.n == finished else f" (n={e.n})"
    if not e.half_width or not math.isfinite(e.half_width):
        return f"{e.mean:{sign}.4g}{count}"
    decimals = max(0, 1 - math.floor(math.log10(e.half_width)))
    return f"{e.mean:{sign}.{decimals}f} ± {e.half_width:.{decimals}f}{count}"


def _markdown_row(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _write_rows(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
