"""How many of those above a threshold are right: what was reviewed, and what was drawn at random.

Reviewed items are mostly those that somebody chose to look at, the best ones first, so their share
tends to flatter. A sample that was drawn at random from all above a threshold, and reviewed to the
end, does not: for it alone the interval means what it says.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from vujax.evals.metrics.bootstrap import wilson_interval


@dataclass(frozen=True)
class PrecisionEstimate:
    """A share of right ones, with Wilson's interval of 95%.

    Attributes:
      right: items of which the label holds.
      reviewed: items of which somebody said so, or the contrary.
      items: of them all.
      estimate: share; None when nothing was reviewed.
      low: end of the interval.
      high: other end.
    """

    right: int
    reviewed: int
    items: int
    estimate: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def estimate_precision(values: Iterable[int]) -> PrecisionEstimate:
    """The share of values that are 1 among those that are 1 or -1; 0 is not reviewed."""
    known = list(values)
    right, wrong = known.count(1), known.count(-1)
    reviewed = right + wrong
    interval = wilson_interval(right, reviewed) if reviewed else (None, None, None)
    return PrecisionEstimate(right, reviewed, len(known), *interval)
