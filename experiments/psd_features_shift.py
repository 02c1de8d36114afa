"""Effective robustness of CLIP and PSD on emoji in other styles.

    python experiments/psd_features_data.py --features runs/psd_features --data emoji
    python experiments/psd_features_shift.py --features runs/psd_features

The protocol is the block `shift` of experiments/results/psd_features/PROTOCOL.md: a line through
the accuracies of CLIP's models on held-out concepts in the style that was trained on and in others,
as logits (Taori et al. 2020, arXiv:2007.00644), and the height of other models above it.
"""

import argparse
import functools
import hashlib
import math
import runpy
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from vujax.evals.robustness import Line
from vujax.training.sweep.results import compute_estimate
from vujax.training.sweep.tables import write_rows
from vujax.utils.io import write_text

BASE = runpy.run_path(str(Path(__file__).with_name("psd_features.py")))
CONTROL, RESULTS = BASE["CONTROL"], BASE["RESULTS"]
SEEDS, SIZES, EPOCHS, RATES = range(5), (512, 1254), (12, 36, 108), (0.0, 0.1, 0.3)
COMPARED = dict(dropout=0.1)  # the model of the control that others are compared with
OTHERS = ("PSD", "oracle filter")
COLORS = {CONTROL: "#aaa", "PSD": "#c40", "oracle filter": "#284"}
METRICS = {"recall": "recall", "zero_shot": "zero-shot subcategory"}
PLOT, MARGIN = 360, 60  # pixels
Run = dict[str, Any]


def find_held_out(names: Sequence[str], seed: int) -> np.ndarray:
    """Return bool `[n]`: the fifth of the concepts that a seed holds out."""
    digests = (int(hashlib.sha1(name.encode()).hexdigest(), 16) for name in names)
    return np.array([digest % len(SEEDS) == seed for digest in digests])


def points() -> Iterator[tuple[str, Run, dict[str, float]]]:
    """Yield method, setting and numbers of the models of a seed."""
    tries = {CONTROL: [dict(dropout=rate) for rate in RATES]}
    tries |= {method: [BASE["choose"]("emoji", method)] for method in OTHERS}
    for method, found in tries.items():
        for size, epochs in product(SIZES, EPOCHS):
            for numbers in found:
                yield method, dict(size=size, epochs=epochs), numbers


def run_all(features: Path) -> None:
    """Train all models with all seeds, and score them in both distributions."""
    pools = BASE["DATA"]["open_pools"](features / "emoji.npz")
    for (method, setting, numbers), seed in product(points(), SEEDS):
        identity = dict(**setting, method=method, seed=seed, numbers=numbers)
        run = functools.partial(score_once, pools, setting, method, numbers, seed)
        BASE["record"]("shift", identity, run)


def score_once(
    pools: Mapping[str, Any], setting: Run, method: str, numbers: Mapping[str, float], seed: int
) -> dict[str, float]:
    """Train one model, and return its accuracies 'in' and 'shifted' and the number of concepts."""
    google, others = pools["train"], pools["report"]
    held = np.flatnonzero(find_held_out(google.captions, seed))
    trained = np.setdiff1d(np.arange(len(google.captions)), held)
    point = dict(noise="shuffled", share=0.4, **setting)
    variables = BASE["train_once"](google.take(trained), point, method, numbers, seed=seed)[0]
    names = BASE["embed"](variables, "text", google.class_texts)
    styles = [google.take(held)] + [others.take(held + start) for start in (0, len(google.images))]
    pairs = [BASE["embed_pairs"](variables, x) for x in styles]
    found = [
        BASE["DATA"]["score"](x, image, text, names)
        for x, (image, text) in zip(styles, pairs, strict=True)
    ]
    scores: dict[str, float] = {"held": len(held)}
    for metric in METRICS:
        scores[f"{metric} in"] = found[0][metric]
        scores[f"{metric} shifted"] = float(np.mean([x[metric] for x in found[1:]]))
    return scores


def to_logit(accuracy: float, items: int) -> float:
    """Return the logit of an accuracy, kept half an item from 0 and 1."""
    kept = min(max(accuracy, 0.5 / items), 1 - 0.5 / items)
    return math.log(kept / (1 - kept))


def place_runs(runs: Sequence[Run], metric: str) -> np.ndarray:
    """Return the logits in distribution and shifted, `[n 2]`."""
    columns = [f"{metric} {where}" for where in ("in", "shifted")]
    return np.array([[to_logit(run[name], run["held"]) for name in columns] for run in runs])


def fit_line(places: np.ndarray) -> tuple[Line, float]:
    """Return the line of least squares through logits `[n 2]`, and its R^2."""
    slope, intercept = np.polyfit(places[:, 0], places[:, 1], 1)
    return Line(float(slope), float(intercept)), float(np.corrcoef(places.T)[0, 1] ** 2)


def compute_heights(places: np.ndarray, line: Line) -> np.ndarray:
    """Return the shifted accuracies minus the line's, in points, `[n]`."""
    expected = line.slope * places[:, 0] + line.intercept
    found, predicted = (100 / (1 + np.exp(-x)) for x in (places[:, 1], expected))
    return found - predicted


def summarize(runs: Sequence[Run], metric: str) -> list[dict[str, str]]:
    """Return a row per method: effective robustness and gains over CLIP, means over seeds."""
    by_seed = {seed: [run for run in runs if run["seed"] == seed] for seed in SEEDS}
    found: dict[tuple[str, str], list[float]] = {}
    fits, outside = [], dict.fromkeys(OTHERS, 0)
    for own in by_seed.values():
        base = place_runs([run for run in own if run["method"] == CONTROL], metric)
        line, fit = fit_line(base)
        fits.append(fit)
        for method in OTHERS:
            models = [run for run in own if run["method"] == method]
            if not models:
                continue
            places = place_runs(models, metric)
            low, high = base[:, 0].min(), base[:, 0].max()
            outside[method] += int(((places[:, 0] < low) | (places[:, 0] > high)).sum())
            values = {"effective robustness": compute_heights(places, line).mean()}
            values |= compare(models, own, metric)
            for name, value in values.items():
                found.setdefault((method, name), []).append(float(value))
    rows = [{"accuracy": METRICS[metric], "models": method} for method in OTHERS]
    for row, method in zip(rows, OTHERS, strict=True):
        columns = {name: values for (own, name), values in found.items() if own == method}
        row |= {name: BASE["show"](compute_estimate(values)) for name, values in columns.items()}
        row["outside the line's range"] = str(outside[method])
        row["R^2 of the lines"] = f"{min(fits):.2f} to {max(fits):.2f}"
    return rows


def compare(models: Sequence[Run], runs: Sequence[Run], metric: str) -> dict[str, float]:
    """Return mean differences in points from the compared model of equal size and epochs."""
    controls = {
        (run["size"], run["epochs"]): run
        for run in runs
        if run["method"] == CONTROL and run["numbers"] == COMPARED
    }
    return {
        f"{where}, minus CLIP": 100
        * np.mean(
            [
                run[f"{metric} {where}"] - controls[run["size"], run["epochs"]][f"{metric} {where}"]
                for run in models
            ]
        )
        for where in ("in", "shifted")
    }


def draw_plot(path: Path, runs: Sequence[Run]) -> None:
    """Write both accuracies of all models, on logit axes, as SVG."""
    parts = []
    for number, metric in enumerate(METRICS):
        places = {m: place_runs([r for r in runs if r["method"] == m], metric) for m in COLORS}
        parts += draw_panel(MARGIN + number * (PLOT + MARGIN), METRICS[metric], places)
    for number, (method, color) in enumerate(COLORS.items()):
        x = MARGIN + 170 * number
        parts.append(f'<circle cx="{x}" cy="{PLOT + 92}" r="4" fill="{color}"/>')
        parts.append(draw_text(x + 10, PLOT + 96, method))
    width, height = MARGIN + 2 * (PLOT + MARGIN), PLOT + 110
    style = (
        '<rect width="100%" height="100%" fill="#fff"/><style>text{font:12px sans-serif}</style>'
    )
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}{"".join(parts)}</svg>\n'
    write_text(path, svg)


def draw_panel(left: int, title: str, places: Mapping[str, np.ndarray]) -> list[str]:
    """Return the elements of one accuracy's plot: axes, models, and the line of the control."""
    low = np.concatenate(list(places.values())).min(axis=0) - 0.1
    high = np.concatenate(list(places.values())).max(axis=0) + 0.1
    x, y = (lambda v, i=i: PLOT * (v - low[i]) / (high[i] - low[i]) for i in (0, 1))
    top = 34
    parts = [
        f'<rect x="{left}" y="{top}" width="{PLOT}" height="{PLOT}" fill="none" stroke="#888"/>',
        draw_text(left, 20, f"{title}, percent (logit axes)"),
        draw_text(left + 100, top + PLOT + 34, "held-out concepts, Google's style"),
        draw_text(left, top + 14, " other styles"),
    ]
    for percent in (1, 2, 5, 10, 20, 30, 40, 50, 60):
        value = math.log(percent / (100 - percent))
        if low[0] < value < high[0]:
            parts.append(draw_text(left + x(value) - 6, top + PLOT + 16, str(percent)))
        if low[1] < value < high[1]:
            parts.append(draw_text(left - 20, top + PLOT - y(value) + 4, str(percent)))
    line, _ = fit_line(places[CONTROL])
    ends = places[CONTROL][:, 0].min(), places[CONTROL][:, 0].max()
    spots = [(left + x(e), top + PLOT - y(line.slope * e + line.intercept)) for e in ends]
    for method, own in places.items():
        parts += [
            f'<circle cx="{left + x(a):.1f}" cy="{top + PLOT - y(b):.1f}" r="3" '
            f'fill="{COLORS[method]}"/>'
            for a, b in own
        ]
    (x0, y0), (x1, y1) = spots
    parts.append(f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="#333"/>')
    return parts


def draw_text(x: float, y: float, text: str) -> str:
    """Return a text element."""
    return f'<text x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'


def tabulate() -> None:
    """Write the table and the plot of all runs."""
    runs = BASE["read_lines"]("shift")
    rows = [row for metric in METRICS for row in summarize(runs, metric)]
    note = (
        "Points, means over 6 models a seed; intervals 95% over 5 seeds, each with other concepts."
    )
    write_rows(RESULTS, "shift", rows, note)
    draw_plot(RESULTS / "shift.svg", runs)


def main() -> None:
    """Run what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, metavar="DIR", help="none: only write the table")
    arguments = parser.parse_args()
    if arguments.features is not None:
        run_all(arguments.features)
    tabulate()


if __name__ == "__main__":
    main()
