"""Movie similarity: the k most similar movies of each movie, from what is commonly known of them.

    movies = open_movies("movies/")                         # see vujax.data.movies.tables
    found = neighbours(movies, {"genre": {}, "cowatch": {"weight": 2.0}}, k=10)
    found.ids[found.index[0, 0]]                            # the most similar one of the first

Channels and their options: `genre`, `cowatch`, `lists`, `pairs` (vujax.data.movies.channels) and
`synopsis` (vujax.data.movies.synopsis); how they are joined stands in vujax.data.movies.similarity.
Xu et al., "Movies2Scenes: Using Movie Metadata to Learn Scene Representation" (CVPR 2023).

Channels of movie similarity, joined: the weighted union.

    score(i, j) = sum_c v_c s_c(i, j) / sum_c v_c,   v_c = weight_c / scale_c

over the channels c that know movie i. `scale_c` is the mean, over movies that the channel knows, of
the score of the most similar one: equal sets of genres score 1 for most movies and the nearest
synopsis 0.2, so without it weights would mean little. It is taken over up to 512 movies, chosen by
the hashes of their ids. A single channel keeps its own scores.

A movie that a channel does not know is compared by the others; one that none knows is similar to
none. A movie that channel c does not know scores 0 in it as a neighbour.

The k best of each row of scores, ties broken by a hash of the two ids.

Ties are common: 1,204 real movies have only 227 different sets of genres. Breaking them by place or
by one hash for each movie would give all the comedies the same few neighbours, and make these few
the positives of everything. A hash of the PAIR is as good as a draw, and depends neither on the
order of the table nor on what else is in it.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vujax.data.movies import channels as movie_channels
from vujax.data.movies.channels import Channel
from vujax.data.movies.records import Movies as Movies
from vujax.data.movies.records import Ratings as Ratings
from vujax.data.movies.synopsis import synopsis_channel
from vujax.utils.system import count_cores
from vujax.utils.validation import check_options

SAMPLE = 512

CHANNELS: dict[str, Callable[..., Channel]] = {
    "genre": movie_channels.genre_channel,
    "synopsis": synopsis_channel,
    "cowatch": movie_channels.cowatch_channel,
    "lists": movie_channels.list_channel,
    "pairs": movie_channels.pair_channel,
}


@dataclass(frozen=True)
class Similarity:
    """The similarity of movies by one or more channels; `open_similarity` makes it.

    Attributes:
      movies: that it is of.
      channels: by name.
      weights: of the channels, above 0.
    """

    movies: Movies
    channels: Mapping[str, Channel]
    weights: Mapping[str, float]

    def scores(self, rows: slice) -> np.ndarray:
        """float32 `[b n]` for the movies `rows`; 0 on the diagonal."""
        among = np.arange(len(self.movies))[rows]
        total = np.zeros((len(among), len(self.movies)), np.float32)
        weight = np.zeros(len(among), np.float32)
        for name, channel in self.channels.items():
            share = np.float32(self.weights[name] / self.scales[name])
            total += share * channel.scores(rows)
            weight += share * channel.known[rows]
        total /= np.maximum(weight, np.finfo(np.float32).tiny)[:, None]
        total[np.arange(len(among)), among] = 0
        return total

    @cached_property
    def scales(self) -> dict[str, float]:
        """Of each channel the mean score of the most similar movie."""
        if len(self.channels) == 1:
            return dict.fromkeys(self.channels, 1.0)
        order = np.argsort(hash_ids(self.movies.ids))
        return {name: _scale(channel, order) for name, channel in self.channels.items()}


def _scale(channel: Channel, order: np.ndarray) -> float:
    highest = []
    for movie in order[channel.known[order]][:SAMPLE].tolist():
        scores = channel.scores(slice(movie, movie + 1))[0]
        scores[movie] = 0
        highest.append(scores.max())
    return float(np.mean(highest)) if any(highest) else 1.0


def build_similarity(movies: Movies, channels: Mapping[str, Mapping[str, Any]]) -> Similarity:
    """The similarity by these channels.

    Args:
      movies: of them alone everything is counted: leave out beforehand what must not enter.
      channels: options by channel: `weight` (1), and those of its function in CHANNELS.

    Raises:
      ValueError: there is no channel, or an option or weight cannot be; the movies have nothing of
        what a channel needs.
    """
    if not channels:
        raise ValueError(f"name a channel: {', '.join(CHANNELS)}")
    made, weights = {}, {}
    for name, options in channels.items():
        if name not in CHANNELS:
            raise ValueError(f"there is no channel {name!r}: use {', '.join(CHANNELS)}")
        given = {key: value for key, value in options.items() if key != "weight"}
        check_options(f"channel {name!r}", CHANNELS[name], {"movies": movies, **given}, ["weight"])
        weights[name] = float(options.get("weight", 1.0))
        if not 0 < weights[name] < float("inf"):
            raise ValueError(f"the weight of channel {name!r} must be above 0, not {weights[name]}")
        made[name] = CHANNELS[name](movies, **given)
    return Similarity(movies, made, weights)


BLOCK = 256  # movies whose scores a thread makes at once: [256 n], never [n n]


@dataclass(frozen=True, eq=False)
class MovieNeighbors:
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


def find_neighbors(
    movies: Movies,
    channels: Mapping[str, Mapping[str, Any]],
    *,
    k: int,
    held_out: Collection[str] = (),
    seed: int = 0,
) -> MovieNeighbors:
    """The k most similar movies of each movie.

    Scores are rounded to 6 decimals; those that agree are ties, broken by a hash of the seed and
    the two ids: see vujax.data.movies.similarity.

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
    kept = movies.exclude(held_out)
    similarity = build_similarity(kept, channels)
    index, score = _all_rows(similarity, hash_ids(kept.ids, seed), k)
    return MovieNeighbors(kept.ids, index, score, _counts(similarity, index))


def _all_rows(similarity: Similarity, marks: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    similarity.scales  # noqa: B018  made once, before the threads

    def block(begin: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(begin, begin + BLOCK)
        return top_k(similarity.scores(rows), k, marks[rows], marks)

    begins = range(0, len(marks), BLOCK)
    with ThreadPoolExecutor(count_cores()) as threads:
        found = list(threads.map(block, begins))
    empty = [np.zeros((0, k), np.int32)], [np.zeros((0, k), np.float32)]
    index, score = zip(*found, strict=True) if found else empty
    return np.concatenate(index), np.concatenate(score)


def _counts(similarity: Similarity, index: np.ndarray) -> dict[str, int]:
    channels = similarity.channels.items()
    counts = {name: int((~channel.known).sum()) for name, channel in channels}
    counts |= {f"{name}: unknown ids": c.skipped for name, c in channels if c.skipped}
    return counts | {"similar to none": int((index[:, :1] < 0).sum())}


STEPS = 10**6  # scores are rounded to 6 decimals: sums in another order differ by less

HASH_BITS = 44  # the other 20 hold a score's step

GROUP = 64  # columns whose highest score is taken at once: k such are a bound of the k best


def hash_ids(ids: Sequence[str], seed: int = 0) -> np.ndarray:
    """A uint64 for each id, `[n]`."""
    digests = [hashlib.blake2b(f"{seed}/{one}".encode(), digest_size=8).digest() for one in ids]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def hash_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A uint64 for each pair of hashes, by the mixing function of SplitMix64.

    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
    """
    mixed = np.asarray(first) + np.uint64(0x9E3779B97F4A7C15) * np.asarray(second)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def top_k(
    scores: np.ndarray, k: int, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The k highest scores of each row that are above 0, highest first.

    Args:
      scores: float32 `[b n]` within 0..1.
      k: how many.
      rows: uint64 `[b]`, hashes of what the rows are of.
      columns: uint64 `[n]`, of the columns.

    Returns:
      Their columns, int32 `[b k]`, -1 where there are no more; scores, float32 `[b k]`, 0 there.
    """
    index = np.full((len(scores), k), -1, np.int32)
    value = np.zeros((len(scores), k), np.float32)
    for row, mark in enumerate(rows):
        near, ranks = _near(scores[row], k, mark, columns)
        if len(near) > k:
            chosen = np.argpartition(ranks, len(ranks) - k)[-k:]
            near, ranks = near[chosen], ranks[chosen]
        order = np.argsort(ranks)[::-1]
        index[row, : len(near)] = near[order]
        value[row, : len(near)] = (ranks[order] >> np.uint64(HASH_BITS)) / STEPS
    return index, value


def _near(
    scores: np.ndarray, k: int, mark: np.uint64, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Columns with the k best among them, and numbers that rank these: score, then hash."""
    near = np.flatnonzero(scores >= max(_bound(scores, k), 0.501) / STEPS)  # rounds above 0
    score = np.rint(scores[near].astype(np.float64) * STEPS).astype(np.uint64)
    hashed = hash_pairs(np.full(len(near), mark), columns[near])
    return near, (score << np.uint64(HASH_BITS)) | (hashed >> np.uint64(64 - HASH_BITS))


def _bound(scores: np.ndarray, k: int) -> float:
    """In steps: no score of the k best, nor one that ties with them, is below it."""
    groups = len(scores) // GROUP
    if groups < k:
        return 0.0
    highest = scores[: groups * GROUP].reshape(groups, GROUP).max(axis=1)
    return float(np.partition(highest, groups - k)[groups - k]) * STEPS - 1
