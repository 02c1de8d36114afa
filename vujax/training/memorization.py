"""An alarm for training pairs that are learned by heart: held-out recall falls with the loss.

Wrong captions cannot be predicted, so a model that fits them has memorized them. Held-out recall
then passes its peak while the loss of the training batches goes on falling.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vujax.training.logging import read_metrics
from vujax.training.report import read_evaluations

MAX_DROP = 0.05  # of the peak recall: less may be the noise of a thousand held-out pairs
REMEDY = (
    "the pairs are being memorized: more dropout (method.dropout) or PSD's soft targets "
    "(method.unaligned_end above 0 with method.target half_columns) keep what was learned before"
)


class Checkup(NamedTuple):
    """One evaluation during a training.

    Attributes:
      step: number of optimizer steps done.
      recall: mean of the held-out recalls, in [0, 1].
      loss: mean training loss since the evaluation before.
    """

    step: int
    recall: float
    loss: float


def detect_memorization(history: Sequence[Checkup]) -> Checkup | None:
    """Return the peak that the last evaluation has fallen from at a lower loss, or None.

    Args:
      history: the evaluations of a run, by step.
    """
    if len(history) < 2:
        return None
    *earlier, last = history
    peak = max(earlier, key=lambda checkup: checkup.recall)
    has_fallen = last.recall < (1 - MAX_DROP) * peak.recall
    return peak if has_fallen and last.loss < peak.loss else None


def build_history(
    records: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]
) -> list[Checkup]:
    """Join the evaluations and the logged training losses of a run.

    Args:
      records: `{step, name, metrics}`; recalls are the metrics named '.../R@k'.
      metrics: logged lines with 'step' and 'loss'.

    Returns:
      One entry per step that has both, by step.
    """
    recalls: dict[int, list[float]] = {}
    for record in records:
        found = [v for name, v in record["metrics"].items() if "/R@" in name]
        recalls.setdefault(record["step"], []).extend(found)
    history, before = [], 0
    for step in sorted(step for step, values in recalls.items() if values):
        losses = [line["loss"] for line in metrics if before < line["step"] <= step]
        if losses:
            history.append(Checkup(step, float(np.mean(recalls[step])), float(np.mean(losses))))
            before = step
    return history


def describe_memorization(workdir: Path) -> str | None:
    """Return a sentence if the newest evaluation of a run is the first to show memorization.

    Args:
      workdir: of the run, with metrics.jsonl and evaluations/.

    Raises:
      ValueError: a file of evaluations/ does not hold an evaluation.
    """
    history = build_history(read_evaluations(workdir), read_metrics(workdir))
    peak = detect_memorization(history)
    if peak is None or detect_memorization(history[:-1]) is not None:
        return None
    now = history[-1]
    return (
        f"held-out recall fell from {peak.recall:.3f} at step {peak.step} to {now.recall:.3f} at "
        f"step {now.step} while the training loss fell from {peak.loss:.3f} to {now.loss:.3f}; "
        f"{REMEDY}"
    )
