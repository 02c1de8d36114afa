"""Channels of movie similarity, joined: the weighted union.

    score(i, j) = sum_c v_c s_c(i, j) / sum_c v_c,   v_c = weight_c / scale_c

over the channels c that know movie i. `scale_c` is the mean, over movies that the channel knows, of
the score of the most similar one: equal sets of genres score 1 for most movies and the nearest
synopsis 0.2, so without it weights would mean little. It is taken over up to 512 movies, chosen by
the hashes of their ids. A single channel keeps its own scores.

A movie that a channel does not know is compared by the others; one that none knows is similar to
none. A movie that channel c does not know scores 0 in it as a neighbour.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vujax.data import movie_channels
from vujax.data.best_pairs import hashes
from vujax.data.movie_channels import Channel
from vujax.data.movie_records import Movies
from vujax.data.movie_text import synopsis
from vujax.data.options import check_options

SAMPLE = 512

CHANNELS: dict[str, Callable[..., Channel]] = {
    "genre": movie_channels.genre,
    "synopsis": synopsis,
    "cowatch": movie_channels.cowatch,
    "lists": movie_channels.lists,
    "pairs": movie_channels.pairs,
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
        order = np.argsort(hashes(self.movies.ids))
        return {name: _scale(channel, order) for name, channel in self.channels.items()}


def _scale(channel: Channel, order: np.ndarray) -> float:
    highest = []
    for movie in order[channel.known[order]][:SAMPLE].tolist():
        scores = channel.scores(slice(movie, movie + 1))[0]
        scores[movie] = 0
        highest.append(scores.max())
    return float(np.mean(highest)) if any(highest) else 1.0


def open_similarity(movies: Movies, channels: Mapping[str, Mapping[str, Any]]) -> Similarity:
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
