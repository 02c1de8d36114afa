"""Groups of seeds with 95% intervals, and their paired differences from a control."""

import json
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scipy.special import stdtrit

from vujax.sweep.plan import SEED, Plan
from vujax.sweep.points import Overrides
from vujax.sweep.results import Result


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
