"""Movie similarity: the k most similar movies of each movie, from what is commonly known of them.

    movies = open_movies("movies/")                         # see vujax.data.movie_tables
    found = neighbours(movies, {"genre": {}, "cowatch": {"weight": 2.0}}, k=10)
    found.ids[found.index[0, 0]]                            # the most similar one of the first

Channels and their options: `genre`, `cowatch`, `lists`, `pairs` (vujax.data.movie_channels) and
`synopsis` (vujax.data.movie_text); how they are joined stands in vujax.data.movie_similarity.
Xu et al., "Movies2Scenes: Using Movie Metadata to Learn Scene Representation" (CVPR 2023).
"""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from vujax.cores import cores
from vujax.data.best_pairs import best, hashes
from vujax.data.movie_records import Movies as Movies
from vujax.data.movie_records import Ratings as Ratings
from vujax.data.movie_similarity import Similarity, open_similarity

BLOCK = 256  # movies whose scores a thread makes at once: [256 n], never [n n]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k most similar movies of each movie, best first.

    Attributes:
      ids: of the movies that are not held out; `index` counts among these.
      index: int32 `[n k]`, -1 where there is none.
      score: float32 `[n k]`, above 0; 0 where there is none.
      fallback: by channel, how many movies it does not know: these are compared by the other
        channels. 'similar to none': how many movies have no neighbour. '<channel>: unknown ids':
        entries of its table that name movies that are not there. What the reader of the movies left
        out comes with them (`Movies.skipped`).
    """

    ids: tuple[str, ...]
    index: np.ndarray
    score: np.ndarray
    fallback: Mapping[str, int]


def neighbours(
    movies: Movies,
    channels: Mapping[str, Mapping[str, Any]],
    *,
    k: int,
    held_out: Collection[str] = (),
    seed: int = 0,
) -> Neighbours:
    """The k most similar movies of each movie.

    Scores are rounded to 6 decimals; those that agree are ties, broken by a hash of the seed and
    the two ids: see vujax.data.best_pairs.

    Args:
      movies: any; no id twice.
      channels: options by channel, see `open_similarity`.
      k: neighbours of each; fewer where fewer movies have a score above 0.
      held_out: ids of movies that are left out before anything is counted: they have no neighbours,
        are nobody's, and no frequency, name, user or scale comes from them. Ids that are not there
        are no mistake.
      seed: of ties.

    Raises:
      ValueError: `k` is below 1, or a channel cannot be made.
    """
    if k < 1:
        raise ValueError(f"k must be 1 or more, not {k}")
    kept = movies.without(held_out)
    similarity = open_similarity(kept, channels)
    index, score = _all_rows(similarity, hashes(kept.ids, seed), k)
    return Neighbours(kept.ids, index, score, _counts(similarity, index))


def _all_rows(similarity: Similarity, marks: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    similarity.scales  # noqa: B018  made once, before the threads

    def block(begin: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(begin, begin + BLOCK)
        return best(similarity.scores(rows), k, marks[rows], marks)

    begins = range(0, len(marks), BLOCK)
    with ThreadPoolExecutor(cores()) as threads:
        found = list(threads.map(block, begins))
    empty = [np.zeros((0, k), np.int32)], [np.zeros((0, k), np.float32)]
    index, score = zip(*found, strict=True) if found else empty
    return np.concatenate(index), np.concatenate(score)


def _counts(similarity: Similarity, index: np.ndarray) -> dict[str, int]:
    channels = similarity.channels.items()
    counts = {name: int((~channel.known).sum()) for name, channel in channels}
    counts |= {f"{name}: unknown ids": c.skipped for name, c in channels if c.skipped}
    return counts | {"similar to none": int((index[:, :1] < 0).sum())}
