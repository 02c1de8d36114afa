"""Scores of yes-or-no predictions: average precision, area under the ROC curve, F1.

Plain numpy. Ties count as scikit-learn counts them: items of one score are called all at once.
"""

import numpy as np


def average_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean of the precision over the right ones, each at the place of its score in the ranking.

    Sum of (R_k - R_{k-1}) P_k over the distinct scores, highest first: no interpolation.

    Args:
      scores: `[n]`, higher is more likely right.
      right: bool `[n]`.

    Returns:
      In [0, 1]; NaN if none is right.
    """
    if not right.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits, last = np.cumsum(right[order]), last_tied_positions(scores[order])
    hits, called = hits[last], last + 1
    return float((np.diff(hits, prepend=0) * hits / called).sum() / hits[-1])


def roc_auc(scores: np.ndarray, right: np.ndarray) -> float:
    """The chance that a right one scores above a wrong one, ties by half (Mann and Whitney 1947).

    Args:
      scores: `[n]`.
      right: bool `[n]`.

    Returns:
      In [0, 1]; NaN if all or none are right.
    """
    positives = int(right.sum())
    negatives = len(right) - positives
    if not positives or not negatives:
        return float("nan")
    order = np.argsort(scores, kind="stable")
    last = last_tied_positions(scores[order])
    first = np.concatenate([[0], last[:-1] + 1])
    ranks = np.repeat((first + last) / 2 + 1, last - first + 1)
    above = ranks[right[order]].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def last_tied_positions(ordered: np.ndarray) -> np.ndarray:
    """The last position of each distinct value of ordered ones."""
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)


def precision_recall_f1(called: np.ndarray, right: np.ndarray) -> tuple[float, float, float]:
    """Of calling some of the items right.

    Args:
      called: bool `[n]`.
      right: bool `[n]`.

    Returns:
      Precision, 0 if none is called; recall and F1, NaN if none is right.
    """
    hits, found, there = int((called & right).sum()), int(called.sum()), int(right.sum())
    precision = hits / found if found else 0.0
    if not there:
        return precision, float("nan"), float("nan")
    return precision, hits / there, 2 * hits / (found + there)


def mean_class_accuracy(hits: np.ndarray, labels: np.ndarray) -> float:
    """The mean over the classes that occur of the accuracy within the class.

    The usual figure for sets whose classes differ in size; scikit-learn's balanced accuracy.

    Args:
      hits: `[n]`, 1 where the answer was right; between 0 and 1 for ties.
      labels: `[n]` int, any values.
    """
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return float((np.bincount(inverse, hits) / sizes).mean())


def label_baselines(labels: np.ndarray, classes: int) -> dict[str, dict[str, float]]:
    """`chance`: a random class of `classes`; `constant`: always the commonest one of `labels`."""
    _, sizes = np.unique(labels, return_counts=True)
    chance = {"top1": 1 / classes, "mean_class": 1 / classes}
    if classes > 5:
        chance["top5"] = 5 / classes
    constant = {"top1": float(sizes.max() / sizes.sum()), "mean_class": 1 / len(sizes)}
    return {"chance": chance, "constant": constant}
