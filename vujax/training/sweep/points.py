"""Points of a sweep: dicts of dotted overrides, and the ways to combine lists of them."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

Overrides = dict[str, Any]


def over(key: str, values: Iterable[Any]) -> list[Overrides]:
    """One point per value of one key: `over('seed', range(3))`."""
    return [{key: value} for value in values]


def product(*sweeps: Iterable[Overrides]) -> list[Overrides]:
    """Every combination of one point from each sweep; the last sweep varies fastest."""
    return [_merge(points) for points in itertools.product(*sweeps)]


def zipped(*sweeps: Iterable[Overrides]) -> list[Overrides]:
    """The first points of all sweeps together, then the second ones, and so on.

    Raises:
      ValueError: the sweeps differ in length.
    """
    columns = [list(sweep) for sweep in sweeps]
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise ValueError(f"zipped() needs sweeps of one length, these have {lengths} points")
    return [_merge(points) for points in zip(*columns, strict=True)]


def chain(*sweeps: Iterable[Overrides]) -> list[Overrides]:
    """The points of all sweeps, one sweep after the other; a point given twice is one run."""
    return list(itertools.chain(*sweeps))


def varying(points: Sequence[Overrides]) -> list[str]:
    """The keys in which points differ, in the order in which they first appear."""
    keys = dict.fromkeys(key for point in points for key in point)
    return [key for key in keys if len({repr(point.get(key)) for point in points}) > 1]


def short_names(keys: Sequence[str]) -> list[str]:
    """Keys by their last parts where those tell them apart."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]


def labels(points: Sequence[Overrides], control: Overrides | None = None) -> list[str]:
    """What tells each point from the others: 'target swapped, seed 1'.

    Values that a point shares with `control` are left out: 'control, seed 1', 'share 0.8, seed 1'.
    """
    keys, control = varying(points), control or {}
    names = dict(zip(keys, short_names(keys), strict=True))

    def label(point: Overrides) -> str:
        words = ["control"] if control and control.items() <= point.items() else []
        told = [key for key in keys if key in point and (key, point[key]) not in control.items()]
        return ", ".join([*words, *(f"{names[key]} {point[key]}" for key in told)]) or "default"

    return [label(point) for point in points]


def _merge(points: Iterable[Overrides]) -> Overrides:
    merged: Overrides = {}
    for point in points:
        for key, value in point.items():
            if key in merged:
                raise ValueError(
                    f"the override '{key}' comes from two sweeps of one product or zip: keep one"
                )
            merged[key] = value
    return merged
