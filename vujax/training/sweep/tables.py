"""Tables and interval plots of experiments that are no sweep, with paired differences."""

import csv
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from vujax.evals.metrics.boundaries import FilmScores, compute_interval
from vujax.utils.io import write_atomically, write_json, write_text

TableRow = Mapping[str, Any]
Runs = Sequence[Sequence[FilmScores]]  # [seeds][films]

LEFT, WIDTH, ROW_HEIGHT = 330, 420, 22  # of the plot, in pixels


def write_rows(folder: Path, name: str, rows: Sequence[TableRow], about: str = "") -> None:
    """Write `folder/name.json`, `.csv` and `.md`; columns are in order of their first appearance.

    Args:
      folder: created if it is missing.
      name: of the files.
      rows: numbers and strings; a row that lacks a column has an empty cell there.
      about: Markdown above the table.
    """
    write_json(folder / f"{name}.json", list(rows))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = rows_to_markdown(columns, rows)
    above = f"{about.strip()}\n\n" if about else ""
    write_text(folder / f"{name}.md", above + text)

    def write_csv(path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: format_value(v) for k, v in row.items()} for row in rows)

    write_atomically(folder / f"{name}.csv", write_csv)


def rows_to_markdown(columns: Sequence[str], rows: Sequence[TableRow]) -> str:
    """Return a Markdown table of these columns."""
    cells = [columns, ["---"] * len(columns)]
    cells += [[format_value(row.get(column, "")) for column in columns] for row in rows]
    lines = [" | ".join(str(cell).replace("|", "\\|") for cell in line) for line in cells]
    return "".join(f"| {line} |\n" for line in lines)


def format_value(value: Any) -> Any:
    """Format a float with four digits; return anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else value


def write_intervals(
    path: Path, title: str, lines: Sequence[tuple[str, float, float, float]]
) -> None:
    """Plot `(name, estimate, low, high)` rows, one under the other, as SVG."""
    minimum = min([0.0, *(low for _, _, low, _ in lines)])
    maximum = max(high for _, _, _, high in lines)
    span = (maximum - minimum) or 1.0
    x = lambda value: LEFT + WIDTH * (value - minimum) / span  # noqa: E731
    parts = [_text(10, 18, title)]
    for number, (name, estimate, low, high) in enumerate(lines):
        y = 44 + ROW_HEIGHT * number
        parts.append(_text(10, y + 4, name))
        parts.append(f'<path d="M{x(low):.1f} {y}H{x(high):.1f}" stroke="#888" stroke-width="2"/>')
        parts.append(f'<circle cx="{x(estimate):.1f}" cy="{y}" r="4" fill="#246"/>')
        parts.append(_text(LEFT + WIDTH + 12, y + 4, f"{estimate:.3f} [{low:.3f}, {high:.3f}]"))
    width, height = LEFT + WIDTH + 150, 60 + ROW_HEIGHT * len(lines)
    zero = f'<path d="M{x(0):.1f} 30V{height - 20}" stroke="#ccc"/>'
    back = '<rect width="100%" height="100%" fill="#fff"/><style>text{font:12px sans-serif}</style>'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{back}{zero}{"".join(parts)}</svg>\n'
    write_text(path, svg)


def build_paired_rows(
    runs: Mapping[str, Runs], controls: Sequence[str], *, metric: str = "ap", column: str = "run"
) -> list[TableRow]:
    """Return a row per run: its macro figure, and its difference from the controls.

    A control is compared with the controls before it, any other run with all. Differences are
    paired by film and seed; a control without seeds (one run) is compared with each seed.

    Args:
      runs: scores of the same films, by name.
      controls: names; those that are not in `runs` are ignored.
      metric: of `vujax.evals.metrics.boundaries.score_film`.
      column: title of the names.

    Returns:
      `{column, 'macro/METRIC', 'low', 'high', 'n', 'less CONTROL', 'less CONTROL low', 'less
      CONTROL high', 'better than CONTROL', ...}`: 95% t intervals over films, and the number of
      films that are better.
    """
    available = [name for name in controls if name in runs]
    rows = []
    for name, own in runs.items():
        found = compute_interval(own, metric)
        row: dict[str, object] = {column: name, f"macro/{metric}": found.estimate}
        row |= {"low": found.low, "high": found.high, "n": found.films}
        for other in available[: available.index(name)] if name in available else available:
            against = runs[other] if len(runs[other]) > 1 else list(runs[other]) * len(own)
            less = compute_interval(own, metric, against=against)
            row |= {f"less {other}": less.estimate, f"less {other} low": less.low}
            row |= {f"less {other} high": less.high, f"better than {other}": less.signs}
        rows.append(row)
    return rows


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'
