"""Precision above a threshold, estimated from reviewed items or from a random sample.

Reviewed items are mostly the best ones, so their precision is optimistic. A random sample of all
items above a threshold, fully reviewed, is unbiased: only for it is the interval valid.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from vujax.evals.metrics.bootstrap import wilson_interval


@dataclass(frozen=True)
class PrecisionEstimate:
    """A precision with its 95% Wilson interval.

    Attributes:
      right: number of positive items.
      reviewed: number of positive and negative items.
      items: number of all items.
      estimate: share of positives among the reviewed items; None without reviewed items.
      low: lower end of the interval.
      high: upper end of the interval.
    """

    right: int
    reviewed: int
    items: int
    estimate: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)


def estimate_precision(values: Iterable[int]) -> PrecisionEstimate:
    """Estimate the share of values 1 among values 1 and -1; 0 is not reviewed."""
    labels = list(values)
    right = labels.count(1)
    reviewed = right + labels.count(-1)
    share, low, high = wilson_interval(right, reviewed) if reviewed else (None, None, None)
    return PrecisionEstimate(right, reviewed, len(labels), estimate=share, low=low, high=high)
