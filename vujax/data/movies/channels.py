"""Channels of movie similarity: genres, common viewers, more-like-this lists and pairs.

A channel scores the similarity of a movie to all others from 0 (nothing in common, or unknown) to
1. Counts are sparse matrices, and scores are computed for some rows at a time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from vujax.data.movies.records import Movies

Rows = slice | np.ndarray  # movies: a range, or int32 numbers


@dataclass(frozen=True)
class Channel:
    """One kind of similarity between n movies.

    Attributes:
      known: bool `[n]`, True for movies with data in this channel; the others are similar to none.
      scores: scores of some rows, float32 `[b n]` within 0..1. The diagonal has no meaning.
      explain: text that says what two movies have in common; '' if there is nothing to say.
      skipped: entries of unknown movies.
    """

    known: np.ndarray
    scores: Callable[[Rows], np.ndarray]
    explain: Callable[[int, int], str] = lambda i, j: ""
    skipped: int = 0


def genre_channel(movies: Movies, *, measure: str = "jaccard") -> Channel:
    """Build the channel of the similarity of sets of genres.

    Args:
      movies: all movies.
      measure: 'jaccard', the share of their genres that two movies have in common, or 'idf', the
        cosine of the sets with each genre weighted by
        `inverse_document_frequency`, so that rare genres count more.

    Raises:
      ValueError: `measure` is unknown.
    """
    known = np.array([bool(found) for found in movies.genres], bool)
    numbers = {found: number for number, found in enumerate(dict.fromkeys(movies.genres))}
    number = np.array([numbers[found] for found in movies.genres], np.int32)
    matrix = build_incidence_matrix(
        numbers
    )  # movies have few different sets, between which scores are computed
    if measure == "idf":
        having = np.bincount(number, minlength=len(numbers)).astype(np.float32) @ matrix
        weights = sparse.diags_array(inverse_document_frequency(having, int(known.sum())))
        scores = score_inner_products(normalize_rows((matrix @ weights).tocsr()))
    elif measure == "jaccard":
        sizes = np.asarray(matrix.sum(axis=1), np.float32)
        scores = score_inner_products(
            matrix, lambda both, i, j: both / (sizes[i] + sizes[j] - both)
        )
    else:
        raise _unknown("genre", measure, ("jaccard", "idf"))
    return Channel(
        known,
        lambda rows: np.take(scores(number[rows]), number, axis=1),
        lambda i, j: ", ".join(sorted(movies.genres[i] & movies.genres[j])),
    )


def cowatch_channel(
    movies: Movies,
    *,
    measure: str = "cosine",
    shrinkage: float = 10.0,
    least: float | None = None,
) -> Channel:
    """Build the channel of the similarity of the sets of users who watched two movies.

    With n_i users of movie i, n_ij of both and u in total:

        cosine   n_ij / sqrt(n_i n_j)
        pmi      log(u n_ij / (n_i n_j)) / log(u / n_ij), negative ones as 0: pointwise mutual
                 information, divided by its largest value (Bouma, "Normalized (Pointwise) Mutual
                 Information in Collocation Extraction", 2009), which removes popularity

    times n_ij / (n_ij + shrinkage), so that a few common users count little (Bell and
    Koren, "Lessons from the Netflix Prize Challenge", 2007).

    Args:
      movies: all movies.
      measure: 'cosine' or 'pmi'.
      shrinkage: number of common users that halves a score.
      least: lowest rating that counts; None: everyone who rated or watched a movie counts.

    Raises:
      ValueError: `measure` is unknown, `shrinkage` is negative, or there are no ratings.
    """
    if movies.ratings is None:
        raise ValueError("the channel cowatch needs ratings, and there are none")
    if not shrinkage >= 0:
        raise ValueError(f"shrinkage of the channel cowatch must not be negative, got {shrinkage}")
    matrix = _watched(movies, least)
    watchers = np.asarray(matrix.sum(axis=1), np.float32)
    users = max(int(np.count_nonzero(np.diff(matrix.tocsc().indptr))), 1)

    def cosine(both: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return both / np.sqrt(watchers[i] * watchers[j])

    def pmi(both: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        information = np.log(users * both / (watchers[i] * watchers[j]))
        largest = np.maximum(np.log(users / both), 1e-6)  # 0 if everyone watched both movies
        return np.clip(information / largest, 0, 1)

    measures = {"cosine": cosine, "pmi": pmi}
    if measure not in measures:
        raise _unknown("cowatch", measure, measures)

    def shrunk(both: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return measures[measure](both, i, j) * both / (both + np.float32(shrinkage))

    def explain(i: int, j: int) -> str:
        both = (matrix[[i]] @ matrix[[j]].T).sum()
        return f"{both:.0f} of {watchers[i]:.0f} and {watchers[j]:.0f} watchers"

    return Channel(watchers > 0, score_inner_products(matrix, shrunk), explain)


def list_channel(movies: Movies) -> Channel:
    """Build the channel of more-like-this lists: entry r, from 1, scores 1 / log2(1 + r).

    Raises:
      ValueError: there are no lists.
    """
    if movies.lists is None:
        raise ValueError("the channel lists needs more-like-this lists, and there are none")
    places = movies.positions()
    entries = [
        (movie, other, 1 / np.log2(2 + rank))
        for movie, found in movies.lists.items()
        for rank, other in enumerate(dict.fromkeys(found))
    ]
    matrix, skipped = _matrix(entries, places)
    return _table(matrix, skipped, lambda i, j: "in its list" if matrix[i, j] else "")


def pair_channel(movies: Movies, *, path: str, symmetric: bool = True) -> Channel:
    """Build the channel of a table of pairs, whose scores are divided by the largest.

    Args:
      movies: all movies.
      path: CSV or Parquet with the columns `movie`, `similar` and, unless all are 1, `score`.
      symmetric: whether a pair counts for both movies; the larger of two scores counts.

    Raises:
      FileNotFoundError: the table does not exist.
      ValueError: it cannot be read, a score is negative, or no pair is of known movies.
    """
    from vujax.data.movies.tables import read_pairs

    entries = read_pairs(path)
    matrix, skipped = _matrix(entries, movies.positions())
    if symmetric:
        matrix = matrix.maximum(matrix.T).tocsr()
    if not matrix.nnz:
        raise ValueError(f"{path}: none of its {len(entries)} pairs is of two movies of the table")
    matrix.data /= matrix.data.max()
    return _table(matrix, skipped)


def build_incidence_matrix(sets: Iterable[Iterable[str]]) -> sparse.csr_array:
    """Build the matrix of words by set, float32 `[n w]`, 0 or 1; words in alphabetical order."""
    sets = [sorted(found) for found in sets]
    vocabulary = {word for found in sets for word in found}
    words = {word: k for k, word in enumerate(sorted(vocabulary))}
    columns = np.array([words[word] for found in sets for word in found], np.int32)
    starts = np.cumsum([0, *map(len, sets)])
    ones = np.ones(len(columns), np.float32)
    return sparse.csr_array((ones, columns, starts), shape=(len(sets), len(words)))


def inverse_document_frequency(having: np.ndarray, rows: int) -> np.ndarray:
    """Return log((1 + rows) / (1 + having)) + 1, float32: the weights of words in `having` rows.

    Spärck Jones, "A statistical interpretation of term specificity" (1972), smoothed as if one more
    row had all words.
    """
    return (np.log((1 + rows) / (1 + having)) + 1).astype(np.float32)


def normalize_rows(matrix: sparse.csr_array) -> sparse.csr_array:
    """Normalize rows to unit length; rows of zeros stay."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)))
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return (sparse.diags_array(scale.astype(np.float32)) @ matrix).tocsr()


Adjust = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def score_inner_products(
    matrix: sparse.csr_array, adjust: Adjust | None = None
) -> Callable[[Rows], np.ndarray]:
    """Return a function that scores rows by inner products with all rows of a matrix.

    Args:
      matrix: float32 `[n w]`, not negative.
      adjust: maps nonzero products and the numbers of the two rows to scores.
    """
    matrix.sort_indices()  # fixed order of summation, whatever the order of the tables
    other = matrix.T.tocsr()

    def scores(rows: Rows) -> np.ndarray:
        found = matrix[rows] @ other
        if adjust is not None:
            first = np.arange(matrix.shape[0])[rows]
            i = np.repeat(first, np.diff(found.indptr))
            found.data = adjust(found.data, i, found.indices).astype(np.float32)
        return found.toarray()

    return scores


def _watched(movies: Movies, least: float | None) -> sparse.csr_array:
    """Build the matrix of users by movie, float32 [movies users], 1 where a user watched one."""
    ratings = movies.ratings
    kept = slice(None) if least is None else ratings.value >= least
    movie = ratings.movie[kept]
    names, user = np.unique(ratings.user[kept], return_inverse=True)
    ones = np.ones(len(movie), np.float32)
    matrix = sparse.csr_array((ones, (movie, user)), shape=(len(movies), len(names)))
    matrix.sum_duplicates()
    matrix.data[:] = 1  # a movie that is rated twice counts once
    return matrix


def _matrix(
    entries: Sequence[tuple[str, str, float]], places: Mapping[str, int]
) -> tuple[sparse.csr_array, int]:
    """Build the matrix of scores float32 [n n], and count the pairs with unknown movies."""
    best: dict[tuple[int, int], float] = {}
    skipped = 0
    for movie, other, score in entries:
        if movie not in places or other not in places:
            skipped += 1
        elif movie != other:
            pair = places[movie], places[other]
            best[pair] = max(score, best.get(pair, 0.0))
    index = np.array(list(best), np.int32).reshape(-1, 2)
    values = np.array(list(best.values()), np.float32)
    shape = (len(places), len(places))
    return sparse.csr_array((values, (index[:, 0], index[:, 1])), shape=shape), skipped


def _table(
    matrix: sparse.csr_array, skipped: int, explain: Callable[[int, int], str] = lambda i, j: ""
) -> Channel:
    known = np.diff(matrix.indptr) > 0
    return Channel(known, lambda rows: matrix[rows].toarray(), explain, skipped)


def _unknown(channel: str, measure: str, known: Iterable[str]) -> ValueError:
    return ValueError(
        f"unknown measure {measure!r} of channel {channel}; expected one of: {', '.join(known)}"
    )
