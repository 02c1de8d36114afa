"""Growth of PSD's gain with the number of pairs and of epochs.

    python experiments/psd_features_data.py --features runs/psd_features --data frames-large
    python experiments/psd_features_scaling.py --features runs/psd_features

The protocol is the block `scaling` of experiments/results/psd_features/PROTOCOL.md. Every method is
tuned again in each setting. Runs are lines of JSON there; a run that is there is not repeated.
"""

import argparse
import functools
import runpy
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from vujax.training.sweep.results import Estimate, compute_estimate
from vujax.training.sweep.tables import write_intervals, write_rows

BASE = runpy.run_path(str(Path(__file__).with_name("psd_features.py")))
CONTROL, RESULTS = BASE["CONTROL"], BASE["RESULTS"]
DATA, SEEDS, MANY, MANY_SEEDS = "frames-large", range(5), 30_000, range(5)
SIZES, EPOCHS = (1000, 3000, 10_000, MANY), (12, 36, 108)
AT = dict(size=3000, epochs=36)  # the setting that both series share
RATES = tuple(dict(dropout=rate) for rate in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4))
TRIES = {
    CONTROL: RATES,
    "PSD": tuple(
        dict(dropout=rate, unaligned_end=share)
        for share, rate in product((0.7, 0.9), (0.05, 0.1, 0.2))
    ),
    "oracle filter": RATES,
}
Line = dict[str, Any]


def points() -> list[Line]:
    """Return the settings, from the cheapest to the dearest."""
    found = [AT | dict(size=size) for size in SIZES]
    found += [AT | dict(epochs=epochs) for epochs in EPOCHS if epochs != AT["epochs"]]
    return sorted(found, key=lambda point: point["size"] * point["epochs"])


def choose(point: Mapping[str, Any], method: str, lines: Sequence[Line]) -> dict[str, float]:
    """Return the try with the best recall on the tuning split.

    Args:
      point: size and epochs.
      method: a key of TRIES.
      lines: results of the tuning.

    Raises:
      ValueError: a try of the method is missing.
    """
    identity = {**point, "method": method}
    own = [line for line in lines if identity.items() <= line.items()]
    if {str(line["numbers"]) for line in own} != set(map(str, TRIES[method])):
        raise ValueError(f"{method} has not been tuned at {dict(point)}")
    return max(own, key=lambda line: line["recall"])["numbers"]


def run_all(features: Path, settings: Sequence[Line]) -> None:
    """Tune each method in each setting, and score the report split with the chosen numbers."""
    pools = BASE["DATA"]["open_pools"](features / f"{DATA}.npz")
    fixed = dict(noise="shuffled", share=0.4)
    for point in settings:
        run = functools.partial(BASE["run_once"], pools, fixed | point)
        for method, numbers in ((m, x) for m, tries in TRIES.items() for x in tries):
            _record("scaling-tune", point, method, numbers, run, BASE["TUNING_SEEDS"][0], "tune")
        lines = BASE["read_lines"]("scaling-tune")
        chosen = {method: choose(point, method, lines) for method in TRIES}
        for seed in MANY_SEEDS if point["size"] == MANY else SEEDS:
            for method, numbers in chosen.items():
                _record("scaling", point, method, numbers, run, seed, "report")


def _record(
    name: str, point: Line, method: str, numbers: dict[str, float], run: Any, seed: int, split: str
) -> None:
    identity = dict(**point, method=method, seed=seed, numbers=numbers)
    BASE["record"](name, identity, lambda: run(method, numbers, seed=seed, split=split))


def group_runs(lines: Sequence[Line]) -> dict[tuple[int, int], dict[str, list[Line]]]:
    """Return the lines of each (size, epochs) by method."""
    groups: dict[tuple[int, int], dict[str, list[Line]]] = {}
    for line in sorted(lines, key=lambda line: (line["size"], line["epochs"])):
        group = groups.setdefault((line["size"], line["epochs"]), {})
        group.setdefault(line["method"], []).append(line)
    return groups


def select_gains(runs: Mapping[str, Sequence[Line]], method: str) -> dict[int, float]:
    """Return the difference in recall from the control in points, by seed."""
    recall = {m: {x["seed"]: 100 * x["recall"] for x in runs[m]} for m in (method, CONTROL)}
    return {seed: value - recall[CONTROL][seed] for seed, value in recall[method].items()}


def compute_growth(
    groups: Mapping[float, Mapping[str, Sequence[Line]]], *, relative: bool = False
) -> Estimate | None:
    """Return the slope of PSD's gain against log10 of the keys, over seeds.

    Args:
      groups: runs by method, for each number of pairs or of epochs.
      relative: take percent of the oracle filter's gain, not points of recall.
    """
    gains = []
    for runs in groups.values():
        own, most = (select_gains(runs, method) for method in ("PSD", "oracle filter"))
        both = own.keys() & most.keys()
        gains.append({s: 100 * own[s] / most[s] if relative else own[s] for s in both})
    seeds = set.intersection(*map(set, gains))
    x = np.log10(list(groups))
    return compute_estimate(
        [float(np.polyfit(x, [found[s] for found in gains], 1)[0]) for s in sorted(seeds)]
    )


def tabulate() -> None:
    """Write the table, the slopes and the plot of all runs."""
    groups = group_runs(BASE["read_lines"]("scaling"))
    whole = {key: runs for key, runs in groups.items() if set(runs) == set(TRIES)}
    rows = []
    for (size, epochs), runs in whole.items():
        rows += BASE["summarize"](f"{size} pairs, {epochs} epochs", runs)
    series = {
        "tenfold pairs": {s: runs for (s, e), runs in whole.items() if e == AT["epochs"]},
        "tenfold epochs": {e: runs for (s, e), runs in whole.items() if s == AT["size"]},
    }
    for name, part in series.items():
        points_, percent = (
            BASE["show"](compute_growth(part, relative=relative)) for relative in (False, True)
        )
        row = {"setting": name, "method": "growth of PSD's gain, recall", "recall": points_}
        rows.append(row | {"PSD's part of the oracle's gain, percent": percent})
    note = f"Points; intervals 95%; differences from {CONTROL}. Growth: slope per tenfold."
    write_rows(RESULTS, "scaling", rows, note)
    title = "frames, 40% shuffled: recall minus CLIP with tuned dropout, points"
    write_intervals(RESULTS / "scaling.svg", title, list(plot_lines(whole)))


def plot_lines(
    groups: Mapping[tuple[int, int], Mapping[str, Sequence[Line]]],
) -> Iterator[tuple[str, float, float, float]]:
    """Yield name, mean, low and high of the gains in each setting."""
    for method in ("PSD", "oracle filter"):
        for (size, epochs), runs in groups.items():
            found = compute_estimate(list(select_gains(runs, method).values()))
            half = found.half_width or 0.0
            name = f"{method}, {size:,} pairs, {epochs} epochs"
            yield name, found.mean, found.mean - half, found.mean + half


def main() -> None:
    """Run what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, metavar="DIR", help="none: only write the tables")
    parser.add_argument("--size", type=int, action="append", help="pairs (default: all sizes)")
    parser.add_argument("--epochs", type=int, action="append", help="(default: all)")
    arguments = parser.parse_args()
    if arguments.features is not None:
        sizes, epochs = arguments.size or SIZES, arguments.epochs or EPOCHS
        wanted = [x for x in points() if x["size"] in sizes and x["epochs"] in epochs]
        run_all(arguments.features, wanted)
    tabulate()


if __name__ == "__main__":
    main()
