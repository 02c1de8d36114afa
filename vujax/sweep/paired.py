"""Runs of several seeds beside their controls, with intervals over films and seeds."""

from collections.abc import Mapping, Sequence

from vujax.evals.boundaries import FilmScores, interval
from vujax.sweep.rows import TableRow

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
      metric: of `vujax.evals.boundaries.per_film`.
      column: what the names are.

    Returns:
      `{column, 'macro/METRIC', 'low', 'high', 'less CONTROL', 'less CONTROL low', ...}`, 95%.
    """
    there = [name for name in controls if name in runs]
    rows = []
    for name, own in runs.items():
        row: dict[str, object] = {column: name}
        row |= dict(zip((f"macro/{metric}", "low", "high"), interval(own, metric), strict=True))
        for other in there[: there.index(name)] if name in there else there:
            against = runs[other] if len(runs[other]) > 1 else list(runs[other]) * len(own)
            keys = [f"less {other}{word}" for word in ("", " low", " high")]
            row |= dict(zip(keys, interval(own, metric, against=against), strict=True))
        rows.append(row)
    return rows
