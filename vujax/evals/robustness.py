"""Effective robustness: accuracy under shift beyond the prediction from ImageNet.

Ordinary ImageNet models lie on a line when both accuracies are put on the logit scale (Taori et al.
2020, arXiv:2007.00644). A model's effective robustness is its height above that line, in points.
`BASELINES` are the lines fitted on 85 such models.

    python -m vujax.evals.robustness --imagenet 36.47 --v2 31.0 --sketch 24.1
    python -m vujax.evals.robustness accuracies.csv

The CSV has a column `imagenet`, columns named like `BASELINES`, and optionally `model`; accuracies
are in percent, and an empty cell is skipped.
"""

import argparse
import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Line(NamedTuple):
    """logit(accuracy under shift) = slope * logit(accuracy on ImageNet) + intercept."""

    slope: float
    intercept: float


BASELINES: dict[str, Line] = {
    "v2": Line(0.9232, -0.4977),
    "sketch": Line(1.0709, -2.3701),
    "r": Line(0.6368, -2.1077),
    "a": Line(1.9900, -7.6325),
    "objectnet": Line(0.9810, -1.9283),
}


def predict_accuracy(imagenet: float, shift: str) -> float:
    """Return the accuracy under `shift` of an ordinary model; both in (0, 1).

    Raises:
      ValueError: an unknown shift, or an accuracy of 0, 1 or beyond, which has no logit.
    """
    if shift not in BASELINES:
        raise ValueError(
            f"no fitted baseline for {shift!r}; expected one of: {', '.join(sorted(BASELINES))}"
        )
    if not 0.0 < imagenet < 1.0:
        raise ValueError(f"ImageNet accuracy must lie between 0 and 1, got {imagenet}")
    line = BASELINES[shift]
    logit = line.slope * math.log(imagenet / (1 - imagenet)) + line.intercept
    return 1 / (1 + math.exp(-logit))


def effective_robustness(imagenet: float, shifted: Mapping[str, float]) -> dict[str, float]:
    """Return accuracy minus `predict_accuracy` for each shift, as fractions of 1."""
    return {shift: value - predict_accuracy(imagenet, shift) for shift, value in shifted.items()}


def read_table(path: Path) -> list[tuple[str, dict[str, float]]]:
    """Read `(model, accuracies as fractions)` for each row of a CSV in percent.

    Raises:
      ValueError: no `imagenet` column, or a cell that is no number.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "imagenet" not in rows[0]:
        raise ValueError(f"{path} needs a header with a column 'imagenet' and at least one row")
    return [
        (row.get("model") or f"row {number}", _accuracies(row, f"{path} row {number}"))
        for number, row in enumerate(rows, 1)
    ]


def _accuracies(row: Mapping[str, str], source: str) -> dict[str, float]:
    names = [name for name in ("imagenet", *BASELINES) if (row.get(name) or "").strip()]
    if "imagenet" not in names:
        raise ValueError(f"{source} has no accuracy on imagenet")
    try:
        return {name: float(row[name]) / 100 for name in names}
    except ValueError as error:
        raise ValueError(f"{source}: accuracies must be numbers in percent ({error})") from None


def format_table(models: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """Format a Markdown table of accuracy and effective robustness, in points."""
    lines = [
        "| model | ImageNet | shift | accuracy | predicted | effective |",
        "|---|" + "---:|" * 5,
    ]
    for model, accuracies in models:
        imagenet = accuracies["imagenet"]
        shifted = {k: v for k, v in accuracies.items() if k != "imagenet"}
        for shift, gain in effective_robustness(imagenet, shifted).items():
            value = shifted[shift]
            lines.append(
                f"| {model} | {100 * imagenet:.2f} | {shift} | {100 * value:.2f} | "
                f"{100 * (value - gain):.2f} | {100 * gain:+.1f} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table for a CSV or for the accuracies given as flags."""
    parser = argparse.ArgumentParser(description="Effective robustness from accuracies in percent.")
    parser.add_argument("table", nargs="?", type=Path, help="CSV of accuracies in percent")
    for name in ("imagenet", *BASELINES):
        parser.add_argument(f"--{name}", type=float, help="accuracy in percent")
    flags = parser.parse_args(arguments)
    if (flags.table is None) == (flags.imagenet is None):
        parser.error("give either a CSV or --imagenet with the shifts' accuracies")
    try:
        if flags.table is not None:
            models = read_table(flags.table)
        else:
            given = {name: getattr(flags, name) for name in ("imagenet", *BASELINES)}
            models = [("model", {k: v / 100 for k, v in given.items() if v is not None})]
        print(format_table(models))
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
