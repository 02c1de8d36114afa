"""Runs of several seeds beside their controls, with intervals over films and seeds.

Results of an experiment that is a script of its own: tables, and a picture with intervals.
"""

import csv
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from vujax.evals.metrics.boundaries import FilmScores, compute_interval
from vujax.utils.io import write_atomically, write_json, write_text

TableRow = Mapping[str, Any]

LEFT, WIDE, STEP = 330, 420, 22  # of the picture, in pixels


def write_rows(folder: Path, name: str, rows: Sequence[TableRow], about: str = "") -> None:
    """Writes `folder/name.json`, `.csv` and `.md`; columns are in the order in which they appear.

    Args:
      folder: is made if it is not there.
      name: of the files.
      rows: numbers and words; a row that lacks a column has an empty cell there.
      about: what stands above the table for people.
    """
    write_json(folder / f"{name}.json", list(rows))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = rows_to_markdown(columns, rows)
    above = f"{about.strip()}\n\n" if about else ""
    write_text(folder / f"{name}.md", above + text)

    def table(path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: short(v) for k, v in row.items()} for row in rows)

    write_atomically(folder / f"{name}.csv", table)


def rows_to_markdown(columns: Sequence[str], rows: Sequence[TableRow]) -> str:
    """A table of these columns."""
    cells = [columns, ["---"] * len(columns)]
    cells += [[short(row.get(column, "")) for column in columns] for row in rows]
    lines = [" | ".join(str(cell).replace("|", "\\|") for cell in line) for line in cells]
    return "".join(f"| {line} |\n" for line in lines)


def short(value: Any) -> Any:
    """A number in four digits; anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else value


def write_intervals(
    path: Path, title: str, lines: Sequence[tuple[str, float, float, float]]
) -> None:
    """A picture of `(name, estimate, low, high)`, one under the other, as SVG."""
    least, most = min(0.0, *(x[2] for x in lines)), max(x[3] for x in lines)
    x = lambda value: LEFT + WIDE * (value - least) / ((most - least) or 1.0)  # noqa: E731
    parts = [_text(10, 18, title)]
    for number, (name, estimate, low, high) in enumerate(lines):
        y = 44 + STEP * number
        parts.append(_text(10, y + 4, name))
        parts.append(f'<path d="M{x(low):.1f} {y}H{x(high):.1f}" stroke="#888" stroke-width="2"/>')
        parts.append(f'<circle cx="{x(estimate):.1f}" cy="{y}" r="4" fill="#246"/>')
        parts.append(_text(LEFT + WIDE + 12, y + 4, f"{estimate:.3f} [{low:.3f}, {high:.3f}]"))
    width, height = LEFT + WIDE + 150, 60 + STEP * len(lines)
    zero = f'<path d="M{x(0):.1f} 30V{height - 20}" stroke="#ccc"/>'
    back = '<rect width="100%" height="100%" fill="#fff"/><style>text{font:12px sans-serif}</style>'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{back}{zero}{"".join(parts)}</svg>\n'
    write_text(path, svg)


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}">{escape(words)}</text>'


Runs = Sequence[Sequence[FilmScores]]  # [seeds][films]


def paired_rows(
    runs: Mapping[str, Runs], controls: Sequence[str], *, metric: str = "ap", column: str = "run"
) -> list[TableRow]:
    """A row for each run: its macro figure, and its difference from the controls.

    A control is compared with those that stand before it, any other run with all. Differences are
    paired by film and seed; a control without seeds (one run) stands beside each.

    Args:
      runs: scores of the same films, by name.
      controls: names, of which those that are not in `runs` are passed over.
      metric: of `vujax.evals.metrics.boundaries.score_film`.
      column: what the names are.

    Returns:
      `{column, 'macro/METRIC', 'low', 'high', 'less CONTROL', 'less CONTROL low', ...}`, 95%.
    """
    there = [name for name in controls if name in runs]
    rows = []
    for name, own in runs.items():
        row: dict[str, object] = {column: name}
        row |= dict(
            zip((f"macro/{metric}", "low", "high"), compute_interval(own, metric), strict=True)
        )
        for other in there[: there.index(name)] if name in there else there:
            against = runs[other] if len(runs[other]) > 1 else list(runs[other]) * len(own)
            keys = [f"less {other}{word}" for word in ("", " low", " high")]
            row |= dict(zip(keys, compute_interval(own, metric, against=against), strict=True))
        rows.append(row)
    return rows
