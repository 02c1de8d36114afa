"""Ranking of items by text, by examples, by both, or by the scores of a tagger.

The score of a text is that of `vujax.search.query`, a cosine for one term. The score of examples is
f(x) of the classifier below. With both, each is standardized over the catalog, and

    score = (1 - a) text + a examples,    a = n / (n + 20)

for n examples, so that the text dominates while examples are few.

The classifier is a logistic regression on frozen embeddings, fitted at request time:

    minimise  1/2 mean_{i in P} log(1 + exp(-f(x_i))) + 1/2 mean_{i in N} log(1 + exp(f(x_i)))
              + L2/2 |w|^2,    f(x) = w (x - m) / s + b

P are the positive and N the negative examples, each with half of the total weight; m and s center
and scale the embeddings of the catalog, so that one L2 suits all encoders.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from vujax.annotate.app.items import ItemSet
from vujax.annotate.app.requests import SearchRequest
from vujax.evals.logistic import fit_logistic
from vujax.evals.metrics.bootstrap import wilson_interval
from vujax.search import filters, query

HALF_WEIGHT_EXAMPLES = 20
"""Number of examples whose score weighs as much as that of the text."""

NUM_RANDOM_NEGATIVES = 200
"""Number of random items that serve as negatives where none are given."""

DIGITS = 5
L2 = 0.01
NUM_FOLDS = 5

LabelValues = Mapping[str, int]
"""Values of the active label by id: 1 or -1."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranked items.

    Attributes:
      rows: int64 `[m]`, best first.
      scores: float64 `[m]`, rounded to DIGITS digits so that a displayed score is exact as a
        threshold; None for unranked items in order of time.
      notes: messages for the user.
    """

    rows: np.ndarray
    scores: np.ndarray | None
    notes: tuple[str, ...] = ()

    def above(self, threshold: float) -> np.ndarray:
        """Return the rows with at least a score."""
        if self.scores is None:
            return self.rows
        return self.rows[self.scores >= threshold]


def rank_items(
    request: SearchRequest, items: ItemSet, values: LabelValues, tags: Mapping[str, float]
) -> Ranking:
    """Rank a set of items.

    Args:
      request: parameters of the ranking.
      items: items to rank.
      values: values of the active label.
      tags: scores of a tagger for the active label, by id.

    Raises:
      ValueError: the filter or the query is malformed, or there are no examples to learn from.
      KeyError: the filter names an unknown column.
    """
    notes: list[str] = []
    mask = _mask(request, items, values)
    if request.status == "doubt":
        return _rank_doubtful(request, items, values, mask)
    scores = _scores(request, items, values, tags, notes)
    (rows,) = np.nonzero(mask)
    if scores is None:
        return Ranking(rows, None, tuple(notes))
    return sort_rows(rows[np.isfinite(scores[rows])], scores, notes)


def sort_rows(rows: np.ndarray, scores: np.ndarray, notes: Sequence[str] = ()) -> Ranking:
    """Sort rows by score, best first; equal scores keep the order of rows."""
    rounded = np.round(scores[rows].astype(np.float64), DIGITS)
    order = np.argsort(-rounded, kind="stable")
    return Ranking(rows[order], rounded[order], tuple(notes))


def fold_duplicates(ranking: Ranking, items: ItemSet) -> tuple[np.ndarray, np.ndarray]:
    """Return the rank of the best item of each group, and the number of others in the group."""
    groups = items.groups[ranking.rows]
    _, first, counts = np.unique(groups, return_index=True, return_counts=True)
    order = np.argsort(first)
    return first[order], counts[order] - 1


def _mask(request: SearchRequest, items: ItemSet, values: LabelValues) -> np.ndarray:
    mask = np.ones(len(items), bool)
    if request.where:
        mask &= filters.compute_mask(request.where, items.index.column)
    if request.status == "all":
        return mask
    wanted: dict[str, Callable[[int], bool]] = {
        "yes": lambda value: value > 0,
        "no": lambda value: value < 0,
    }
    test = wanted.get(request.status, bool)
    rows = [
        items.row_by_id[i] for i, value in values.items() if i in items.row_by_id and test(value)
    ]
    chosen = np.zeros(len(items), bool)
    chosen[rows] = True
    return mask & (~chosen if request.status == "open" else chosen)


def _scores(
    request: SearchRequest,
    items: ItemSet,
    values: LabelValues,
    tags: Mapping[str, float],
    notes: list[str],
) -> np.ndarray | None:
    """Compute scores, float32 `[n]`; None when the request has nothing to rank by."""
    if request.tags:
        return _score_by_tags(items, tags)
    text = _score_by_text(request, items, notes) if request.terms else None
    if not (request.like or request.unlike or request.learn):
        return text
    positive, negative = _examples(request, items, values)
    examples = len(positive) + len(negative)
    if not len(positive):
        raise ValueError(
            "there are no positive examples yet; label some items as positive, or mark examples"
        )
    if not len(negative):
        negative = _draw_negatives(items, positive)
        notes.append(f"No negative examples yet: {len(negative)} random items are used instead.")
    vectors = items.index.vectors
    linear = fit_classifier(vectors[positive], vectors[negative], items.center)
    learned = items.compute_scores(linear.weights) + np.float32(linear.bias)
    if text is None:
        return learned
    weight = examples / (examples + HALF_WEIGHT_EXAMPLES)
    return ((1 - weight) * _standardize(text) + weight * _standardize(learned)).astype(np.float32)


def _score_by_text(request: SearchRequest, items: ItemSet, notes: list[str]) -> np.ndarray:
    terms = [query.Term("text", term.text, term.weight) for term in request.terms]
    if query.is_mostly_non_latin([term.text for term in terms]):
        notes.append("The text encoder was trained on English; other languages give poor results.")
    return items.compute_scores(query.combine_terms(terms, items.index, query.FRAME_TEMPLATES))


def _score_by_tags(items: ItemSet, tags: Mapping[str, float]) -> np.ndarray:
    scores = np.full(len(items), np.nan, np.float32)
    for item, score in tags.items():
        if item in items.row_by_id:
            scores[items.row_by_id[item]] = score
    if not np.isfinite(scores).any():
        raise ValueError("the tagger has no scores of this label at this level")
    return scores


def _examples(
    request: SearchRequest, items: ItemSet, values: LabelValues
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of positive and negative examples; marked ones override labels."""
    signs = dict(values) if request.learn else {}
    signs |= dict.fromkeys(request.like, 1) | dict.fromkeys(request.unlike, -1)
    rows = [
        (items.row_by_id[item], value) for item, value in signs.items() if item in items.row_by_id
    ]
    return tuple(
        np.sort(np.array([row for row, value in rows if value == sign], np.int64))
        for sign in (1, -1)
    )


def _draw_negatives(items: ItemSet, positive: np.ndarray) -> np.ndarray:
    """Draw rows other than the positives, the same at each call."""
    others = np.setdiff1d(np.arange(len(items)), positive)
    count = min(NUM_RANDOM_NEGATIVES, len(others))
    return np.sort(np.random.default_rng(0).choice(others, count, replace=False))


def _rank_doubtful(
    request: SearchRequest, items: ItemSet, values: LabelValues, mask: np.ndarray
) -> Ranking:
    """Rank reviewed items that a classifier contradicts, the most confident first."""
    positive, negative = _examples(
        SearchRequest(request.level, request.set, learn=True), items, values
    )
    if not len(positive) or not len(negative):
        raise ValueError(
            "doubtful labels need both positive and negative items; label some of each"
        )
    rows = np.concatenate([positive, negative])
    vectors = items.index.vectors
    logits = score_held_out(vectors[positive], vectors[negative], items.groups[rows], items.center)
    against = logits * np.where(np.arange(len(rows)) < len(positive), -1, 1)
    scores = np.zeros(len(items))
    scores[rows] = against
    return sort_rows(np.sort(rows[(against > 0) & mask[rows]]), scores)


def _standardize(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.mean()) / (scores.std() or 1.0)


def list_filter_columns(items: ItemSet) -> list[str]:
    """Return the names of the columns with values, for filters."""
    names = []
    for name in items.index.columns:
        values = items.index.rows if name in items.index.rows.column_names else items.index.films
        if pc.count(values[name]).as_py():
            names.append(name)
    return names


class LinearScorer(NamedTuple):
    """A linear function `x -> x @ weights + bias`."""

    weights: np.ndarray
    bias: float


def fit_classifier(
    positive: np.ndarray, negative: np.ndarray, center: tuple[np.ndarray, float]
) -> LinearScorer:
    """Fit the classifier of positive and negative examples.

    Args:
      positive: `[p d]`, p at least 1.
      negative: `[n d]`, n at least 1.
      center: mean `[d]` and scale of the embeddings of the catalog.

    Returns:
      The classifier for unscaled embeddings.

    Raises:
      ValueError: one side has no examples.
    """
    if not len(positive) or not len(negative):
        raise ValueError("both positive and negative examples are needed")
    mean, scale = center
    x = (np.concatenate([positive, negative]).astype(np.float64) - mean) / scale
    counts = [len(positive), len(negative)]
    truth = np.repeat([True, False], counts)[:, None]
    shares = np.repeat([0.5 / count for count in counts], counts)[:, None]
    # scipy: a fit of some hundred examples is faster than a compilation.
    linear = fit_logistic(x, truth, shares, l2=L2, solver="scipy", tolerance=1e-6)
    weights = linear.weights[:, 0] / scale
    return LinearScorer(weights.astype(np.float32), float(linear.bias[0] - weights @ mean))


def score_held_out(
    positive: np.ndarray,
    negative: np.ndarray,
    groups: np.ndarray,
    center: tuple[np.ndarray, float],
) -> np.ndarray:
    """Score each example by a classifier trained without it and its near-duplicates.

    Args:
      positive: `[p d]`.
      negative: `[n d]`.
      groups: groups of near-duplicates, `[p + n]`.
      center: as for `fit_classifier`.

    Returns:
      f of each example, float64 `[p + n]`; 0 where no examples were left for training.
    """
    vectors = np.concatenate([positive, negative])
    is_positive = np.arange(len(vectors)) < len(positive)
    order = np.random.default_rng(0).permutation(np.unique(groups))
    folds = np.empty(order.max() + 1, np.int64)
    folds[order] = np.arange(len(order)) % NUM_FOLDS
    scores = np.zeros(len(vectors))
    for fold in range(NUM_FOLDS):
        held_out = folds[groups] == fold
        positives, negatives = vectors[is_positive & ~held_out], vectors[~is_positive & ~held_out]
        if held_out.any() and len(positives) and len(negatives):
            linear = fit_classifier(positives, negatives, center)
            scores[held_out] = vectors[held_out] @ linear.weights + linear.bias
    return scores


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
