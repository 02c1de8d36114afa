"""Predicted shot transitions against true ones: precision, recall, F1, by kind.

A transition has an extent: from the first frame that no longer shows the old shot alone to the
first that shows the new shot alone, one moment for a cut. A predicted one and a true one may be
paired when their extents overlap or are at most a tolerance apart. Each is paired once: the number
of pairs is the largest possible and, of all such pairings, this one has the least distance between
middles.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from vujax.video.shots.base import Transition


@dataclass(frozen=True)
class Extent:
    """The extent of a transition, in seconds or in frames.

    Attributes:
      start: the first moment that is not the old shot's alone.
      end: the first that is the new shot's alone; equal to `start` for a cut.
      kind: 'cut', 'gradual', 'dissolve', ...
    """

    start: float
    end: float
    kind: str


def transition_extents(
    transitions: Iterable[Transition], times: Sequence[float] | None = None
) -> list[Extent]:
    """Return the extents of transitions, in frames or in the unit of `times`.

    Args:
      transitions: in frames.
      times: the time of each frame; None: extents are in frames.
    """
    frames = ((t.last + 1, t.first, t.kind) for t in transitions)
    if times is None:
        return [Extent(start, end, kind) for start, end, kind in frames]
    return [Extent(float(times[start]), float(times[end]), kind) for start, end, kind in frames]


def match_extents(
    predicted: Sequence[Extent], true: Sequence[Extent], tolerance: float
) -> list[tuple[int, int]]:
    """Return pairs of positions in `predicted` and in `true`, in order.

    Args:
      predicted: by a detector.
      true: the truth.
      tolerance: between two extents, in their unit, inclusive.
    """
    if not predicted or not true:
        return []
    a, b = (np.array([(e.start, e.end) for e in side], float) for side in (predicted, true))
    gap = np.maximum(a[:, None, 0] - b[None, :, 1], b[None, :, 0] - a[:, None, 1])
    distance = np.abs(a.mean(axis=1)[:, None] - b.mean(axis=1))
    allowed = gap <= tolerance + 1e-9
    # One pair more outweighs all distances.
    forbidden = 1 + distance[allowed].max(initial=0) * min(len(predicted), len(true))
    rows, columns = linear_sum_assignment(np.where(allowed, distance, forbidden))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if allowed[i, j]]


def count_matches(
    predicted: Sequence[Extent], true: Sequence[Extent], tolerance: float
) -> Counter[str]:
    """Count the matches of one film for `score_counts`; counts of films may be added.

    Keys are 'found', 'true', 'found_paired' and 'true_paired', each also with '/KIND' of its own.
    """
    pairs = match_extents(predicted, true, tolerance)
    sides = {
        "found": predicted,
        "true": true,
        "found_paired": [predicted[i] for i, _ in pairs],
        "true_paired": [true[j] for _, j in pairs],
    }
    return Counter(
        key for name, side in sides.items() for e in side for key in (name, f"{name}/{e.kind}")
    )


def score_counts(counts: Counter[str]) -> dict[str, float]:
    """Return precision, recall and F1 of all and by kind, and counts.

    Precision is by predicted kind, recall by true kind. Without predictions precision is 1, without
    true transitions recall is 1.
    """
    result = {"found": counts["found"], "true": counts["true"], "paired": counts["true_paired"]}
    total = counts["found"] + counts["true"]
    result["f1"] = 2 * counts["true_paired"] / total if total else 1.0
    for metric, side in (("precision", "found"), ("recall", "true")):
        result[metric] = counts[f"{side}_paired"] / counts[side] if counts[side] else 1.0
        for key in sorted(key for key in counts if key.startswith(f"{side}/")):
            kind = key.partition("/")[2]
            result[f"{metric}/{kind}"] = counts[f"{side}_paired/{kind}"] / counts[key]
    return result
