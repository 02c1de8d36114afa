"""Movie similarity: the k most similar movies of each movie, from metadata.

    movies = open_movies("movies/")                         # see vujax.data.registry
    neighbors = find_neighbors(movies, {"genre": {}, "cowatch": {"weight": 2.0}}, k=10)
    neighbors.ids[neighbors.index[0, 0]]                    # the most similar one of the first

Channels and their options are in `vujax.data.movies.channels` (genre, cowatch, lists, pairs) and
`vujax.data.movies.synopsis`. After Xu et al., "Movies2Scenes: Using Movie Metadata to Learn Scene
Representation" (CVPR 2023). Several channels are joined to a weighted mean

    score(i, j) = sum_c v_c s_c(i, j) / sum_c v_c,   v_c = weight_c / scale_c

over the channels c that know movie i. `scale_c` is the mean, over movies that the channel knows, of
the score of the most similar one: equal sets of genres score 1 for most movies and the nearest
synopsis 0.2, so that without it weights would mean little. It is computed on up to 512 movies,
selected by the hashes of their ids. A single channel keeps its own scores.

A movie without data in a channel is compared by the others; one without any data is similar to
none. A movie without data in channel c scores 0 there as a neighbor.

The k best of each row are selected with ties broken by a hash of the two ids. Ties are common:
1,204 real movies have only 227 different sets of genres. Ties broken by position, or by one hash
per movie, would give all comedies the same few neighbors, and make these the positives of
everything. A hash of the PAIR is as good as a random choice, and depends neither on the order of
the table nor on its other rows.
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

SAMPLE = 512  # movies for the scale of a channel
BLOCK = 256  # movies whose scores a thread computes at once: [256 n], never [n n]
STEPS = 10**6  # scores are rounded to 6 decimals: the order of sums changes less
HASH_BITS = 44  # the other 20 bits are the score in steps
GROUP = 64  # columns whose maximum is taken at once: k such maxima bound the k best

CHANNELS: dict[str, Callable[..., Channel]] = {
    "genre": movie_channels.genre_channel,
    "synopsis": synopsis_channel,
    "cowatch": movie_channels.cowatch_channel,
    "lists": movie_channels.list_channel,
    "pairs": movie_channels.pair_channel,
}


@dataclass(frozen=True)
class Similarity:
    """Similarity of movies by one or more channels; see `build_similarity`.

    Attributes:
      movies: movies.
      channels: channels by name.
      weights: positive weights of the channels.
    """

    movies: Movies
    channels: Mapping[str, Channel]
    weights: Mapping[str, float]

    def scores(self, rows: slice) -> np.ndarray:
        """Compute the scores of the movies `rows`, float32 `[b n]`, 0 on the diagonal."""
        numbers = np.arange(len(self.movies))[rows]
        total = np.zeros((len(numbers), len(self.movies)), np.float32)
        weight = np.zeros(len(numbers), np.float32)
        for name, channel in self.channels.items():
            share = np.float32(self.weights[name] / self.scales[name])
            total += share * channel.scores(rows)
            weight += share * channel.known[rows]
        total /= np.maximum(weight, np.finfo(np.float32).tiny)[:, None]
        total[np.arange(len(numbers)), numbers] = 0
        return total

    @cached_property
    def scales(self) -> dict[str, float]:
        """Mean score of the most similar movie, for each channel."""
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
    """Build the similarity by these channels.

    Args:
      movies: movies, the only ones that are counted: leave out excluded movies beforehand.
      channels: options by channel: `weight` (1), and those of its function in CHANNELS.

    Raises:
      ValueError: there is no channel, an option or weight is invalid, or the movies lack the data
        of a channel.
    """
    if not channels:
        raise ValueError(f"name a channel: {', '.join(CHANNELS)}")
    built, weights = {}, {}
    for name, options in channels.items():
        if name not in CHANNELS:
            raise ValueError(f"unknown channel {name!r}; expected one of: {', '.join(CHANNELS)}")
        given = {key: value for key, value in options.items() if key != "weight"}
        check_options(f"channel {name!r}", CHANNELS[name], {"movies": movies, **given}, ["weight"])
        weights[name] = float(options.get("weight", 1.0))
        if not 0 < weights[name] < float("inf"):
            raise ValueError(
                f"the weight of channel {name!r} must be positive, got {weights[name]}"
            )
        built[name] = CHANNELS[name](movies, **given)
    return Similarity(movies, built, weights)


@dataclass(frozen=True, eq=False)
class MovieNeighbors:
    """The k most similar movies of each movie, best first.

    Attributes:
      ids: ids of the movies that are not held out; `index` refers to these.
      index: int32 `[n k]`, -1 in empty slots.
      score: float32 `[n k]`, positive, 0 in empty slots.
      fallback: by channel, number of movies without data in it, which are compared by the other
        channels. 'similar to none': number of movies without a neighbor. '<channel>: unknown ids':
        entries of its table with unknown movies. For entries that the reader of the movies left
        out see `Movies.skipped`.
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
    """Find the k most similar movies of each movie.

    Scores are rounded to 6 decimals; equal ones are ties, broken by a hash of the seed and the two
    ids.

    Args:
      movies: movies.
      channels: options by channel, see `build_similarity`.
      k: neighbors of each movie; fewer where fewer movies have a positive score.
      held_out: ids of movies that are left out before anything is counted: they have no neighbors,
        are nobody's neighbor, and do not affect frequencies, names, users or scales. Unknown ids
        are allowed.
      seed: seed of ties.

    Raises:
      ValueError: `k` is below 1, or a channel cannot be built.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    kept = movies.exclude(held_out)
    similarity = build_similarity(kept, channels)
    index, score = _search(similarity, hash_ids(kept.ids, seed), k)
    return MovieNeighbors(kept.ids, index, score, _counts(similarity, index))


def _search(similarity: Similarity, marks: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    similarity.scales  # noqa: B018  computed once, before the threads

    def search_block(start: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(start, start + BLOCK)
        return top_k(similarity.scores(rows), k, marks[rows], marks)

    starts = range(0, len(marks), BLOCK)
    with ThreadPoolExecutor(count_cores()) as threads:
        blocks = list(threads.map(search_block, starts))
    index = [np.zeros((0, k), np.int32), *(index for index, _ in blocks)]
    score = [np.zeros((0, k), np.float32), *(score for _, score in blocks)]
    return np.concatenate(index), np.concatenate(score)


def _counts(similarity: Similarity, index: np.ndarray) -> dict[str, int]:
    channels = similarity.channels.items()
    counts = {name: int((~channel.known).sum()) for name, channel in channels}
    counts |= {f"{name}: unknown ids": c.skipped for name, c in channels if c.skipped}
    return counts | {"similar to none": int((index[:, :1] < 0).sum())}


def hash_ids(ids: Sequence[str], seed: int = 0) -> np.ndarray:
    """Hash ids to uint64 `[n]`."""
    digests = [hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest() for key in ids]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def hash_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Hash pairs of hashes to uint64 with the mixing function of SplitMix64.

    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
    """
    mixed = np.asarray(first) + np.uint64(0x9E3779B97F4A7C15) * np.asarray(second)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def top_k(
    scores: np.ndarray, k: int, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Select the k highest positive scores of each row, highest first.

    Args:
      scores: float32 `[b n]` within 0..1.
      k: number of scores.
      rows: uint64 `[b]`, hashes of the rows.
      columns: uint64 `[n]`, hashes of the columns.

    Returns:
      Columns, int32 `[b k]`, -1 in empty slots; scores, float32 `[b k]`, 0 in empty slots.
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
    """Return columns that include the k best, and their ranks: score, then hash."""
    near = np.flatnonzero(scores >= max(_bound(scores, k), 0.501) / STEPS)  # rounds above 0
    score = np.rint(scores[near].astype(np.float64) * STEPS).astype(np.uint64)
    hashed = hash_pairs(np.full(len(near), mark), columns[near])
    return near, (score << np.uint64(HASH_BITS)) | (hashed >> np.uint64(64 - HASH_BITS))


def _bound(scores: np.ndarray, k: int) -> float:
    """Return a lower bound of the k best scores and of those that tie with them, in steps."""
    groups = len(scores) // GROUP
    if groups < k:
        return 0.0
    highest = scores[: groups * GROUP].reshape(groups, GROUP).max(axis=1)
    return float(np.partition(highest, groups - k)[groups - k]) * STEPS - 1
