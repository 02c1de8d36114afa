"""Points of a sweep, which are dicts of dotted overrides, and combinations of lists of them."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

Overrides = dict[str, Any]


def over(key: str, values: Iterable[Any]) -> list[Overrides]:
    """Return one point per value of one key: `over('seed', range(3))`."""
    return [{key: value} for value in values]


def product(*sweeps: Iterable[Overrides]) -> list[Overrides]:
    """Return all combinations of one point from each sweep; the last sweep varies fastest."""
    return [_merge(points) for points in itertools.product(*sweeps)]


def zipped(*sweeps: Iterable[Overrides]) -> list[Overrides]:
    """Merge the first points of all sweeps, then the second ones, and so on.

    Raises:
      ValueError: the sweeps differ in length.
    """
    columns = [list(sweep) for sweep in sweeps]
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise ValueError(f"zipped() needs sweeps of one length, got {lengths} points")
    return [_merge(points) for points in zip(*columns, strict=True)]


def chain(*sweeps: Iterable[Overrides]) -> list[Overrides]:
    """Return the points of all sweeps, one sweep after the other; equal points are one run."""
    return list(itertools.chain.from_iterable(sweeps))


def find_varying_keys(points: Sequence[Overrides]) -> list[str]:
    """Return the keys in which points differ, in order of their first appearance."""
    keys = dict.fromkeys(key for point in points for key in point)
    return [key for key in keys if len({repr(point.get(key)) for point in points}) > 1]


def shorten_keys(keys: Sequence[str]) -> list[str]:
    """Return the last parts of keys where those are unique, else the complete keys."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]


def label_points(points: Sequence[Overrides], control: Overrides | None = None) -> list[str]:
    """Return a label per point of the values that differ: 'target swapped, seed 1'.

    Values that a point shares with `control` are left out: 'control, seed 1', 'share 0.8, seed 1'.
    """
    keys, control = find_varying_keys(points), control or {}
    names = dict(zip(keys, shorten_keys(keys), strict=True))

    def label(point: Overrides) -> str:
        parts = ["control"] if control and control.items() <= point.items() else []
        own = [key for key in keys if key in point and (key, point[key]) not in control.items()]
        parts += [f"{names[key]} {point[key]}" for key in own]
        return ", ".join(parts) or "default"

    return [label(point) for point in points]


def _merge(points: Iterable[Overrides]) -> Overrides:
    merged: Overrides = {}
    for point in points:
        for key, value in point.items():
            if key in merged:
                raise ValueError(
                    f"the override '{key}' is in two sweeps of one product or zip: remove one"
                )
            merged[key] = value
    return merged
