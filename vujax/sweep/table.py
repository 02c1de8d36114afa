"""The table of a sweep, as CSV for programs and Markdown for people."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from vujax.files import write_atomically
from vujax.sweep.plan import SEED
from vujax.sweep.points import Overrides, labels, varying
from vujax.sweep.summary import Estimate, Summary

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
