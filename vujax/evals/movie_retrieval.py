"""Retrieval of movies by their embeddings: mean average precision and recall.

    embeddings = average_movie_embeddings(scene_embeddings, scenes.movie)
    result = retrieve(embeddings, genre_relevance(genres, "jaccard", 0.5))
    result.summary()                      # {'map': ..., 'recall@1': ..., 'queries': ...}
    result.random_baseline().summary()
    paired_bootstrap(ours.ap, theirs.ap)  # query by query

Every item is a query once, and all items of other groups are ranked for it by cosine. A movie is
its own group; for scenes the group is the movie, so that no scene is found by its neighbors in the
same film. Items of equal score count as if they were in random order in recall, and as one step in
average precision (`vujax.evals.metrics.classification`). No matrix of all pairs is ever held.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from vujax.data.movies.similarity import Similarity, hash_ids, top_k
from vujax.evals.metrics.classification import average_precision
from vujax.utils.arrays import l2_normalize

CELLS = 2**22
"""Scores that are held at once: 32 MiB of float64."""

DECIMALS = 9
"""Decimals of cosines in float64: scores that are equal but for rounding are tied."""

KS = (1, 5, 10)
RULES = ("any", "primary", "jaccard")

Relevant = Callable[[np.ndarray], np.ndarray]
"""Numbers of items, int `[b]` -> the items that are relevant to them, bool `[b n]`."""


class RetrievalResult(NamedTuple):
    """The scores of each query that has a relevant item.

    Attributes:
      queries: int64 `[q]`, numbers of the queries' items.
      ap: float64 `[q]`, average precision.
      recall: by k, float64 `[q]`: the expected share of the relevant items among the first k.
      relevant: int64 `[q]`, number of relevant items.
      ranked: int64 `[q]`, number of ranked items.
      num_without: items that have no relevant one, and so are no queries.
    """

    queries: np.ndarray
    ap: np.ndarray
    recall: dict[int, np.ndarray]
    relevant: np.ndarray
    ranked: np.ndarray
    num_without: int

    def summary(self) -> dict[str, float]:
        """Average over the queries."""
        recalls = {f"recall@{k}": float(values.mean()) for k, values in self.recall.items()}
        counts = {"queries": float(len(self.queries)), "without": float(self.num_without)}
        return {"map": float(self.ap.mean())} | recalls | counts

    def random_baseline(self) -> "RetrievalResult":
        """Return the result of the same queries when every score is equal."""
        recall = {k: np.minimum(k / self.ranked, 1.0) for k in self.recall}
        return self._replace(ap=self.relevant / self.ranked, recall=recall)


def average_movie_embeddings(embeddings: np.ndarray, movie: np.ndarray) -> np.ndarray:
    """Average each movie's unit embeddings, and normalize the mean.

    Args:
      embeddings: `[n d]`, of scenes or shots.
      movie: int `[n]` in 0 .. m-1, the movie of each; every movie has one.

    Returns:
      float64 `[m d]`; 0 where a movie's scenes cancel out.

    Raises:
      ValueError: a movie has no embedding.
    """
    counts = np.bincount(movie)
    if not counts.all():
        raise ValueError(f"movie {int(counts.argmin())} has no embedding; leave it out")
    total = np.zeros((len(counts), embeddings.shape[1]))
    np.add.at(total, movie, l2_normalize(np.asarray(embeddings, np.float64)))
    return l2_normalize(total / counts[:, None])


def retrieve(
    embeddings: np.ndarray,
    relevant: Relevant,
    *,
    groups: np.ndarray | None = None,
    ks: Sequence[int] = KS,
) -> RetrievalResult:
    """Rank the items of all other groups for each item.

    Args:
      embeddings: `[n d]`, compared by cosine.
      relevant: as `genre_relevance` returns; its values within the query's own group have no
        effect.
      groups: `[n]`, such as the movie of each scene; None: each item is its own.
      ks: of the recalls.

    Raises:
      ValueError: an embedding is not finite, or no item has a relevant one.
    """
    units = l2_normalize(np.asarray(embeddings, np.float64))
    if not np.isfinite(units).all():
        row = int(np.flatnonzero(~np.isfinite(units).all(1))[0])
        raise ValueError(f"the embedding of item {row} is not finite; compute it again")
    groups = np.arange(len(units)) if groups is None else np.asarray(groups)
    rows, step = [], max(1, CELLS // max(len(units), 1))
    for start in range(0, len(units), step):
        items = np.arange(start, min(start + step, len(units)))
        cosines = np.round(units[items] @ units.T, DECIMALS)
        for item, scores, right in zip(items.tolist(), cosines, relevant(items), strict=True):
            others = groups != groups[item]
            if (right & others).any():
                rows.append(_score_query(item, scores[others], right[others], ks))
    if not rows:
        raise ValueError(f"none of {len(units)} items has a relevant one; nothing can be retrieved")
    recalls = np.array([row.recalls for row in rows])
    return RetrievalResult(
        queries=np.array([row.item for row in rows]),
        ap=np.array([row.ap for row in rows]),
        recall=dict(zip(ks, recalls.T, strict=True)),
        relevant=np.array([row.relevant for row in rows]),
        ranked=np.array([row.ranked for row in rows]),
        num_without=len(units) - len(rows),
    )


class _QueryScores(NamedTuple):
    """Scores of one query, and the numbers of relevant and of all ranked items."""

    item: int
    ap: float
    recalls: list[float]
    relevant: int
    ranked: int


def _score_query(
    item: int, scores: np.ndarray, right: np.ndarray, ks: Sequence[int]
) -> _QueryScores:
    recalls = [_recall(scores, right, k) for k in ks]
    ap = average_precision(scores, right)
    return _QueryScores(item, ap, recalls, int(right.sum()), len(right))


def _recall(scores: np.ndarray, right: np.ndarray, k: int) -> float:
    """Return the expected share of relevant items among the first k, ties at random."""
    if k >= len(scores):
        return 1.0
    level = np.partition(scores, -k)[-k]
    above, tied = scores > level, scores == level
    drawn = (k - above.sum()) / tied.sum()
    return float((right & above).sum() + drawn * (right & tied).sum()) / int(right.sum())


def genre_relevance(
    genres: Sequence[Sequence[str]], rule: str = "any", threshold: float = 0.5
) -> Relevant:
    """Return the relevance of items with similar genres (or other labels).

    Args:
      genres: of each item, in their order; an item without any is relevant to none.
      rule: 'any', they share one; 'primary', the first one of both is the same; 'jaccard', they
        share at least `threshold` of those that either has.
      threshold: of 'jaccard'.

    Raises:
      ValueError: an unknown rule, a threshold out of range, or 'primary' of sets.
    """
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r}; expected one of: {', '.join(RULES)}")
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold must be above 0 and at most 1, got {threshold}")
    if rule == "primary":
        if any(isinstance(own, set | frozenset) for own in genres):
            raise ValueError("sets of genres have no first one; give lists, or another rule")
        genres = [list(own)[:1] for own in genres]
    names = {name: column for column, name in enumerate(sorted({g for f in genres for g in f}))}
    has = np.zeros((len(genres), len(names)), np.float32)
    for row, own in enumerate(genres):
        has[row, [names[name] for name in own]] = 1
    count = has.sum(1)

    def relevant(items: np.ndarray) -> np.ndarray:
        shared = has[items] @ has.T
        if rule != "jaccard":
            return shared > 0
        either = count[items][:, None] + count - shared
        return (shared > 0) & (shared >= threshold * either)

    return relevant


def co_watch_relevance(similarity: Similarity, movies: Sequence[str], top: int = 10) -> Relevant:
    """Return the relevance of the `top` most similar movies, such as by co-watches.

    Movies that score 0 are not relevant; ties are broken as in training
    (`vujax.data.movies.similarity`).

    Args:
      similarity: of movies, these among them; see `vujax.data.movies.similarity`.
      movies: ids of the items, in their order.
      top: number of relevant movies.

    Raises:
      KeyError: the similarity does not know a movie.
    """
    places = {movie: place for place, movie in enumerate(similarity.movies.ids)}
    if missing := next((movie for movie in movies if movie not in places), None):
        raise KeyError(f"the movie {missing} is not in the similarity; leave it out")
    columns, marks = np.array([places[movie] for movie in movies]), hash_ids(movies)

    def relevant(items: np.ndarray) -> np.ndarray:
        is_relevant = np.zeros((len(items), len(movies)), bool)
        for row, item in enumerate(items.tolist()):
            place = int(columns[item])
            scores = similarity.scores(slice(place, place + 1))[:, columns]
            index, _ = top_k(scores, top, marks[item : item + 1], marks)
            is_relevant[row, index[0][index[0] >= 0]] = True
        return is_relevant

    return relevant


def check_held_out(movies: Collection[str], trained: Collection[str]) -> None:
    """Raise an error if a movie was trained on: its score would be biased.

    Raises:
      ValueError: names one.
    """
    if both := sorted(set(movies) & set(trained)):
        raise ValueError(
            f"{len(both)} of {len(movies)} movies were trained on, such as {both[0]}; score "
            "movies that the training never saw"
        )
