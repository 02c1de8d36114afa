"""Scores of classifications: average precision, ROC AUC, F1, per-class accuracy, calibration.

Plain numpy. Ties count as scikit-learn counts them: items of one score are predicted together.
"""

import numpy as np


def average_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Return the mean of the precision at each positive item in the ranking.

    Sum of (R_k - R_{k-1}) P_k over the distinct scores, highest first: no interpolation.

    Args:
      scores: `[n]`, higher is more likely positive.
      right: bool `[n]`.

    Returns:
      In [0, 1]; NaN if no item is positive.
    """
    if not right.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits, last = np.cumsum(right[order]), last_tied_positions(scores[order])
    hits, num_predicted = hits[last], last + 1
    return float((np.diff(hits, prepend=0) * hits / num_predicted).sum() / hits[-1])


def roc_auc(scores: np.ndarray, right: np.ndarray) -> float:
    """Return the probability that a positive item scores above a negative one.

    Ties count half (Mann and Whitney 1947).

    Args:
      scores: `[n]`.
      right: bool `[n]`.

    Returns:
      In [0, 1]; NaN if all or no items are positive.
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
    """Return the last position of each distinct value of ordered ones."""
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)


def precision_recall_f1(predicted: np.ndarray, right: np.ndarray) -> tuple[float, float, float]:
    """Return precision, recall and F1 of a prediction.

    Args:
      predicted: bool `[n]`.
      right: bool `[n]`.

    Returns:
      Precision, 0 if nothing is predicted; recall and F1, NaN if no item is positive.
    """
    hits, num_predicted, positives = (
        int((predicted & right).sum()),
        int(predicted.sum()),
        int(right.sum()),
    )
    precision = hits / num_predicted if num_predicted else 0.0
    if not positives:
        return precision, float("nan"), float("nan")
    return precision, hits / positives, 2 * hits / (num_predicted + positives)


def expected_calibration_error(
    confidence: np.ndarray, right: np.ndarray, *, bins: int = 15
) -> float:
    """Return the mean gap between the probability of predictions and the share that is right.

    Predictions are grouped by their probability into intervals of equal width, open on the left;
    each group counts by its size (Naeini et al. 2015; 15 as in Guo et al. 2017, arXiv:1706.04599).

    Args:
      confidence: `[n]` in [0, 1], probability of each prediction.
      right: bool `[n]`.
      bins: number of intervals.

    Returns:
      In [0, 1]; NaN without predictions.

    Raises:
      ValueError: `bins` is not positive, or a probability is outside [0, 1] or NaN.
    """
    if bins < 1:
        raise ValueError(f"bins must be positive, got {bins}")
    if bad := np.flatnonzero(~((confidence >= 0) & (confidence <= 1))).tolist():
        raise ValueError(f"probability {bad[0]} is {confidence[bad[0]]}, not in [0, 1]")
    if not len(confidence):
        return float("nan")
    group = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(group, confidence - right, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def mean_class_accuracy(hits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over the classes that occur of the accuracy within the class.

    The usual figure for sets whose classes differ in size; scikit-learn's balanced accuracy.

    Args:
      hits: `[n]`, 1 where the prediction was right; between 0 and 1 for ties.
      labels: `[n]` int, any values.
    """
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return float((np.bincount(inverse, hits) / sizes).mean())


def label_baselines(labels: np.ndarray, classes: int) -> dict[str, dict[str, float]]:
    """Return the scores of a random class and of always the commonest class.

    Args:
      labels: `[n]`, true labels.
      classes: number of classes.

    Returns:
      'chance': a random one of `classes`; 'constant': always the commonest one of `labels`.
    """
    _, sizes = np.unique(labels, return_counts=True)
    chance = {"top1": 1 / classes, "mean_class": 1 / classes}
    if classes > 5:
        chance["top5"] = 5 / classes
    constant = {"top1": float(sizes.max() / sizes.sum()), "mean_class": 1 / len(sizes)}
    return {"chance": chance, "constant": constant}
