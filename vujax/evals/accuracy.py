"""Accuracies from per-example hits, and what no model at all would score."""

import numpy as np


def mean_class(hits: np.ndarray, labels: np.ndarray) -> float:
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
