"""Scores of all items for a request: by words, by examples, by both, or by a tagger's file.

By words the score is that of `vujax.search.query`, a cosine for one term. By examples it is the
classifier's f(x) of `probe`. By both each is brought to mean 0 and deviation 1 over the catalogue,
and

    score = (1 - a) words + a examples,    a = n / (n + 20)

for n examples: words count while there are few.

What is like the examples: logistic regression on frozen vectors, fitted while one waits.

    minimise  1/2 mean_{i in P} log(1 + exp(-f(x_i))) + 1/2 mean_{i in N} log(1 + exp(f(x_i)))
              + L2/2 |w|^2,    f(x) = w (x - m) / s + b

P are the examples and N what is not wanted, each with half of the weight whatever their number; m
and s center and scale the catalogue's vectors, so that one L2 suits all encoders.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from vujax.annotate.app.items import ItemSet
from vujax.annotate.app.requests import SearchRequest
from vujax.evals.logistic import fit_logistic
from vujax.search import filters, query

HALF_WEIGHT_EXAMPLES = 20

"""Examples with which they count as much as the words."""

DIGITS = 5

NUM_RANDOM_NEGATIVES = 200

"""Items drawn from the rest that stand for what is not wanted where nothing was said of it."""

LabelValues = Mapping[str, int]

"""What holds of the asked label: 1 or -1 by id."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Items in order.

    Attributes:
      rows: int64 `[m]`, best first.
      scores: float64 `[m]` with DIGITS digits, so that a threshold which is one of them, as the
        page shows it, means what it says; None when they are in order of time, unranked.
      notes: sentences for the user.
    """

    rows: np.ndarray
    scores: np.ndarray | None
    notes: tuple[str, ...] = ()

    def above(self, threshold: float) -> np.ndarray:
        """Rows with at least a score."""
        if self.scores is None:
            return self.rows
        return self.rows[self.scores >= threshold]


def rank_items(
    ask: SearchRequest, level: ItemSet, values: LabelValues, tags: Mapping[str, float]
) -> Ranking:
    """Ranks a level.

    Args:
      ask: what to rank by.
      level: its items.
      values: what is known of the asked label.
      tags: scores of the asked label by id, of a tagger.

    Raises:
      ValueError: the filter or the query cannot be read, or there is nothing to learn from.
      KeyError: there is no such column.
    """
    notes: list[str] = []
    kept = _mask(ask, level, values)
    if ask.status == "doubt":
        return _doubts(ask, level, values, kept)
    scores = _scores(ask, level, values, tags, notes)
    (rows,) = np.nonzero(kept)
    if scores is None:
        return Ranking(rows, None, tuple(notes))
    return sort_rows(rows[np.isfinite(scores[rows])], scores, notes)


def sort_rows(rows: np.ndarray, scores: np.ndarray, notes: Sequence[str] = ()) -> Ranking:
    """Rows by the scores of all, best first; equal ones by their number."""
    mine = np.round(scores[rows].astype(np.float64), DIGITS)
    order = np.argsort(-mine, kind="stable")
    return Ranking(rows[order], mine[order], tuple(notes))


def fold_duplicates(ranking: Ranking, level: ItemSet) -> tuple[np.ndarray, np.ndarray]:
    """The first of each group, as places in the ranking, and how many more each stands for."""
    groups = level.groups[ranking.rows]
    _, first, counts = np.unique(groups, return_index=True, return_counts=True)
    order = np.argsort(first)
    return first[order], counts[order] - 1


def _mask(ask: SearchRequest, level: ItemSet, values: LabelValues) -> np.ndarray:
    kept = np.ones(len(level), bool)
    if ask.where:
        kept &= filters.compute_mask(ask.where, level.index.column)
    if ask.status == "all":
        return kept
    wanted: dict[str, Callable[[int], bool]] = {
        "yes": lambda value: value > 0,
        "no": lambda value: value < 0,
    }
    test = wanted.get(ask.status, bool)
    rows = [
        level.row_by_id[i] for i, value in values.items() if i in level.row_by_id and test(value)
    ]
    chosen = np.zeros(len(level), bool)
    chosen[rows] = True
    return kept & (~chosen if ask.status == "open" else chosen)


def _scores(
    ask: SearchRequest,
    level: ItemSet,
    values: LabelValues,
    tags: Mapping[str, float],
    notes: list[str],
) -> np.ndarray | None:
    """Float32 `[n]`; None when there is nothing to rank by."""
    if ask.tags:
        return _of_tagger(level, tags)
    words = _by_words(ask, level, notes) if ask.terms else None
    if not (ask.like or ask.unlike or ask.learn):
        return words
    positive, negative = _examples(ask, level, values)
    examples = len(positive) + len(negative)
    if not len(positive):
        raise ValueError(
            "there is nothing to learn from yet: say of some items that the label holds, or mark "
            "examples"
        )
    if not len(negative):
        negative = _contrast(level, positive)
        notes.append(
            f"Nothing was rejected yet: {len(negative)} items drawn at random stand for the rest."
        )
    vectors = level.index.vectors
    linear = fit_classifier(vectors[positive], vectors[negative], level.center)
    learned = level.compute_scores(linear.weights) + np.float32(linear.bias)
    if words is None:
        return learned
    trust = examples / (examples + HALF_WEIGHT_EXAMPLES)
    return ((1 - trust) * _standard(words) + trust * _standard(learned)).astype(np.float32)


def _by_words(ask: SearchRequest, level: ItemSet, notes: list[str]) -> np.ndarray:
    terms = [query.Term("text", term.text, term.weight) for term in ask.terms]
    if query.is_mostly_non_latin([term.text for term in terms]):
        notes.append("The encoder of texts learned English: other languages are hardly understood.")
    return level.compute_scores(query.combine_terms(terms, level.index, query.FRAME_TEMPLATES))


def _of_tagger(level: ItemSet, tags: Mapping[str, float]) -> np.ndarray:
    scores = np.full(len(level), np.nan, np.float32)
    for item, score in tags.items():
        if item in level.row_by_id:
            scores[level.row_by_id[item]] = score
    if not np.isfinite(scores).any():
        raise ValueError("the tagger's file says nothing of this label at this level")
    return scores


def _examples(
    ask: SearchRequest, level: ItemSet, values: LabelValues
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the examples, and of what is not wanted; what is marked goes before labels."""
    said = dict(values) if ask.learn else {}
    said |= dict.fromkeys(ask.like, 1) | dict.fromkeys(ask.unlike, -1)
    rows = [
        (level.row_by_id[item], value) for item, value in said.items() if item in level.row_by_id
    ]
    return tuple(
        np.sort(np.array([row for row, value in rows if value == sign], np.int64))
        for sign in (1, -1)
    )


def _contrast(level: ItemSet, positive: np.ndarray) -> np.ndarray:
    """Rows drawn from all but the examples, the same at each call."""
    others = np.setdiff1d(np.arange(len(level)), positive)
    count = min(NUM_RANDOM_NEGATIVES, len(others))
    return np.sort(np.random.default_rng(0).choice(others, count, replace=False))


def _doubts(ask: SearchRequest, level: ItemSet, values: LabelValues, kept: np.ndarray) -> Ranking:
    """Reviewed items that a classifier sees otherwise, the most certain contradiction first."""
    holds, fails = _examples(SearchRequest(ask.level, ask.set, learn=True), level, values)
    if not len(holds) or not len(fails):
        raise ValueError("for doubts there must be items of which the label holds, and does not")
    rows = np.concatenate([holds, fails])
    vectors = level.index.vectors
    logits = score_held_out(vectors[holds], vectors[fails], level.groups[rows], level.center)
    against = logits * np.where(np.arange(len(rows)) < len(holds), -1, 1)
    scores = np.zeros(len(level))
    scores[rows] = against
    return sort_rows(np.sort(rows[(against > 0) & kept[rows]]), scores)


def _standard(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.mean()) / (scores.std() or 1.0)


def list_filter_columns(level: ItemSet) -> list[str]:
    """Columns that a filter may name, those with values."""
    found = []
    for name in level.index.columns:
        values = level.index.rows if name in level.index.rows.column_names else level.index.films
        if pc.count(values[name]).as_py():
            found.append(name)
    return found


L2 = 0.01

NUM_FOLDS = 5


class LinearScorer(NamedTuple):
    """`x -> x @ weights + bias`."""

    weights: np.ndarray
    bias: float


def fit_classifier(
    positive: np.ndarray, negative: np.ndarray, center: tuple[np.ndarray, float]
) -> LinearScorer:
    """Learns what tells examples from the others.

    Args:
      positive: `[p d]`, p at least 1.
      negative: `[n d]`, n at least 1.
      center: mean `[d]` and scale of the catalogue's vectors.

    Returns:
      The classifier of vectors as they are.

    Raises:
      ValueError: there are no examples of one kind.
    """
    if not len(positive) or not len(negative):
        raise ValueError("to learn, there must be examples, and something else to tell them from")
    mean, scale = center
    x = (np.concatenate([positive, negative]).astype(np.float64) - mean) / scale
    counts = [len(positive), len(negative)]
    truth = np.repeat([True, False], counts)[:, None]
    shares = np.repeat([0.5 / count for count in counts], counts)[:, None]
    # scipy: a fit of some hundred examples must not wait for a compilation.
    linear = fit_logistic(x, truth, shares, l2=L2, solver="scipy", tolerance=1e-6)
    weights = linear.weights[:, 0] / scale
    return LinearScorer(weights.astype(np.float32), float(linear.bias[0] - weights @ mean))


def score_held_out(
    positive: np.ndarray,
    negative: np.ndarray,
    groups: np.ndarray,
    center: tuple[np.ndarray, float],
) -> np.ndarray:
    """What a classifier says of each example when it was not shown it, nor what is nearly it.

    Args:
      positive: `[p d]`.
      negative: `[n d]`.
      groups: `[p + n]`, one number for what is nearly the same.
      center: as for `fit`.

    Returns:
      f of each, float64 `[p + n]`; 0 where nothing was left to learn from.
    """
    vectors = np.concatenate([positive, negative])
    holds = np.arange(len(vectors)) < len(positive)
    order = np.random.default_rng(0).permutation(np.unique(groups))
    folds = np.empty(order.max() + 1, np.int64)
    folds[order] = np.arange(len(order)) % NUM_FOLDS
    found = np.zeros(len(vectors))
    for fold in range(NUM_FOLDS):
        out = folds[groups] == fold
        kept = (vectors[holds & ~out], vectors[~holds & ~out])
        if out.any() and all(map(len, kept)):
            linear = fit_classifier(*kept, center)
            found[out] = vectors[out] @ linear.weights + linear.bias
    return found
