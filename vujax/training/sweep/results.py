"""What the runs of a sweep left behind: the last evaluations of each, or its error.

Groups of seeds with 95% intervals, and their paired differences from a control.

The table of a sweep, as CSV for programs and Markdown for people.
"""

import csv
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from scipy.special import stdtrit

from vujax.training.sweep.launch import last_words
from vujax.training.sweep.plan import SEED, Plan, Run
from vujax.training.sweep.points import Overrides, labels, varying
from vujax.utils.io import write_atomically

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


class Estimate(NamedTuple):
    """A mean over n seeds and half the width of its 95% interval (None when n is 1)."""

    mean: float
    half: float | None
    n: int


class Group(NamedTuple):
    """The runs that differ in nothing but their seed."""

    overrides: Overrides
    results: tuple[Result, ...]

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.results if result.error]

    def values(self, metric: str) -> dict[int | None, float]:
        """The metric by seed, of the runs that have it."""
        having = [result for result in self.results if metric in result.metrics]
        return {r.run.overrides.get(SEED): r.metrics[metric] for r in having}


class Row(NamedTuple):
    """A group's estimate per metric, and per metric its difference from its control.

    `difference` holds None for the controls themselves; the whole is empty without a CONTROL.
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


def summarise(plan: Plan, results: Sequence[Result]) -> Summary:
    """Groups results by seed; metrics are those that the plan names, or all there are."""
    there = {metric for result in results for metric in result.metrics}
    metrics = tuple(sorted(there)) if plan.metrics is None else plan.metrics
    groups = group_by_seed(results)
    keys = tuple(dict.fromkeys(key for group in groups for key in group.overrides))
    rows = tuple(_row(group, groups, metrics, plan.control) for group in groups)
    return Summary(keys, metrics, rows, control=plan.control)


def group_by_seed(results: Iterable[Result]) -> list[Group]:
    """Groups of results in the order of their first runs."""
    groups: dict[str, tuple[Overrides, list[Result]]] = {}
    for result in results:
        rest = {key: value for key, value in result.run.overrides.items() if key != SEED}
        groups.setdefault(json.dumps(rest, sort_keys=True), (rest, []))[1].append(result)
    return [Group(overrides, tuple(members)) for overrides, members in groups.values()]


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean and Student's 95% interval of independent values; None without values."""
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, None, n)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Estimate(mean, float(stdtrit(n - 1, 0.975)) * math.sqrt(variance / n), n)


def paired_difference(group: Group, control: Group, metric: str) -> Estimate | None:
    """The mean over common seeds of the group's metric minus the control's, with its interval.

    A seed's luck (its data order, its initial weights) is in both and cancels, so this interval is
    narrower than the two groups' own ones suggest.
    """
    ours, theirs = group.values(metric), control.values(metric)
    return estimate([value - theirs[seed] for seed, value in ours.items() if seed in theirs])


def control_of(group: Group, groups: Sequence[Group], control: Overrides) -> Group | None:
    """The control that a group is compared with; None for the controls themselves.

    Controls are the groups with all overrides of `control`. One serves a group if its other
    overrides are the group's too (the same caption noise, say); the one that shares most is taken.
    """
    if _shares(group, control):
        return None
    serving = [
        other
        for other in groups
        if _shares(other, control)
        and _shares(group, {k: v for k, v in other.overrides.items() if k not in control})
    ]
    return max(serving, key=lambda other: len(other.overrides), default=None)


def _row(
    group: Group, groups: Sequence[Group], metrics: Sequence[str], control: Overrides | None
) -> Row:
    own = tuple(estimate(list(group.values(metric).values())) for metric in metrics)
    if control is None:
        return Row(group, own, ())
    other = control_of(group, groups, control)
    return Row(
        group, own, tuple(paired_difference(group, other, m) if other else None for m in metrics)
    )


def _shares(group: Group, overrides: Overrides) -> bool:
    return overrides.items() <= group.overrides.items()


T = TypeVar("T")


def write_csv(path: Path, summary: Summary) -> Path:
    """A row per group of seeds at full precision, and a row with its error per run without result.

    An empty cell is a missing value, or an override that the config's own default stands for.
    """
    parts = ("mean", "low", "high", "n")
    numbers = [f"{column} {part}" for column in _columns(summary) for part in parts]
    rows: list[list[Any]] = [[*summary.keys, SEED, *numbers, "error"]]
    for row in summary.rows:
        found = [part for e in _alternate(row.own, row.difference) for part in _csv_parts(e)]
        rows.append([*_values(summary.keys, row.group.overrides), "", *found, ""])
        for result in row.group.failed:
            values = _values([*summary.keys, SEED], result.run.overrides)
            rows.append([*values, *[""] * len(numbers), result.error])
    return write_atomically(path, lambda temporary: _write_rows(temporary, rows))


def markdown(summary: Summary) -> str:
    """Rows of mean ± half of the 95% interval over n seeds; runs without a result are rows too.

    Overrides that all runs share, and the control's, stand in lines above the table.
    """
    columns = _columns(summary)
    points = [row.group.overrides for row in summary.rows]
    keys = varying(points)
    shared = {key: value for key, value in points[0].items() if key not in keys}
    rows = [["run", "n", *columns]]
    for row, label in zip(summary.rows, labels(points, summary.control), strict=True):
        group, finished = row.group, len(row.group.results) - len(row.group.failed)
        own = [_cell(e, finished) for e in row.own]
        differences = [_cell(e, finished, sign="+") for e in row.difference]
        numbers = _alternate(own, differences)
        rows.append([label, finished, *numbers])
        for result in group.failed:
            failure = f"seed {result.run.overrides.get(SEED, '')}: {result.error}"
            rows.append([label, failure, *[""] * len(columns)])
    head, *lines = map(_markdown_row, rows)
    above = [*_stated("All runs", shared), *_stated("Control", summary.control or {})]
    return "\n".join([*above, head, "|" + " --- |" * len(rows[0]), *lines, ""])


def _stated(title: str, overrides: Overrides) -> list[str]:
    """A line of Markdown and an empty one, or nothing where there is nothing to state."""
    told = ", ".join(f"{key} {value}" for key, value in overrides.items())
    return [f"{title}: {told}.", ""] if told else []


def _columns(summary: Summary) -> list[str]:
    kinds = ("", " minus control") if summary.control is not None else ("",)
    return [f"{metric}{kind}" for metric in summary.metrics for kind in kinds]


def _alternate(own: Sequence[T], differences: Sequence[T]) -> list[T]:
    """Each metric's own cell and its difference, in the order of `_columns`."""
    if not differences:
        return list(own)
    return [cell for pair in zip(own, differences, strict=True) for cell in pair]


def _values(keys: Iterable[str], overrides: Overrides) -> list[Any]:
    return [overrides.get(key, "") for key in keys]


def _csv_parts(e: Estimate | None) -> list[Any]:
    if e is None:
        return ["", "", "", 0]
    if e.half is None:
        return [e.mean, "", "", e.n]
    return [e.mean, e.mean - e.half, e.mean + e.half, e.n]


def _cell(e: Estimate | None, finished: int, sign: str = "") -> str:
    """'0.412 ± 0.013', with two digits of the half-width, and n where it is not the row's."""
    if e is None:
        return ""
    count = "" if e.n == finished else f" (n={e.n})"
    if not e.half or not math.isfinite(e.half):
        return f"{e.mean:{sign}.4g}{count}"
    decimals = max(0, 1 - math.floor(math.log10(e.half)))
    return f"{e.mean:{sign}.{decimals}f} ± {e.half:.{decimals}f}{count}"


def _markdown_row(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _write_rows(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
