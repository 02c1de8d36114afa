"""How many items each label of a set holds of."""

from typing import NamedTuple

from vujax.labels.log import LabelLog


class Counts(NamedTuple):
    """Items of which a label holds, and of which it does not."""

    holds: int
    fails: int


def summary(log: LabelLog) -> dict[str, Counts]:
    """The counts of each label, in the order in which they were first used."""
    found: dict[str, list[int]] = {}
    entries = sorted(log.state().values(), key=lambda entry: entry.sequence)
    for entry in entries:
        counts = found.setdefault(entry.decision.label, [0, 0])
        if entry.decision.value:
            counts[entry.decision.value < 0] += 1
    return {label: Counts(*counts) for label, counts in found.items()}
