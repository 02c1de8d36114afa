"""Worth of movie metadata: what each channel can teach an encoder of scenes, before any training.

    worth = measure_worth(scenes, dict(kind="tables", path="movies/"), {"genre": {}}, k=10)
    worth.guides[0].agreement.guided                # directions that the genres guide

A representation retains the directions along which positives agree. Here positives are random
scenes of similar movies, and the agreement is that of the closed form, with its cut: see
`vujax.methods.linear_guide`. Random movies are measured beside: they guide nothing.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from vujax.data.movies.guide import UNION, Guide, collect_labels, find_alone, select_similar_movies
from vujax.data.movies.records import Movies
from vujax.data.scenes import Scenes
from vujax.methods.linear_guide import (
    MAX_AGREEMENT,
    Agreement,
    measure_agreement,
    read_features,
)
from vujax.methods.movies2scenes import build_table_options

RANDOM = "random"
GROWTH = (1, 2, 4)  # multiples of k that are compared


class GuideWorth(NamedTuple):
    """Worth of one guide.

    Attributes:
      name: a channel, 'union' or 'random'.
      agreement: with k similar movies; None where no movie has a similar one.
      by_k: number of similar movies -> agreement, from k on.
      movies: number of movies that are guided.
      scenes: number of scenes that are guided.
      unknown: number of movies without data in the channel; 0 for 'union' and 'random'.
    """

    name: str
    agreement: Agreement | None
    by_k: Mapping[int, Agreement]
    movies: int
    scenes: int
    unknown: int

    @property
    def directions(self) -> int:
        """Number of guided directions."""
        return self.agreement.guided if self.agreement else 0


class Worth(NamedTuple):
    """Worth of all guides of a set of scenes.

    Attributes:
      guides: the union, if there are several channels, and each channel.
      random: of random movies.
      movies: number of movies that have scenes.
      scenes: number of scenes.
      k: similar movies of each.
    """

    guides: tuple[GuideWorth, ...]
    random: GuideWorth
    movies: int
    scenes: int
    k: int


def find_channels(movies: Movies) -> tuple[str, ...]:
    """Return the channels for which a table has data.

    Raises:
      ValueError: there is none.
    """
    known = {
        "genre": any(movies.genres),
        "synopsis": any(movies.synopses),
        "cowatch": movies.ratings is not None,
        "lists": bool(movies.lists),
    }
    found = tuple(name for name, has_data in known.items() if has_data)
    if not found:
        raise ValueError(
            f"the tables have no genre, synopsis, rating or list of any of {len(movies)} movies: "
            "add one of these columns or tables"
        )
    return found


def measure_worth(
    scenes: Scenes,
    tables: Mapping[str, Any],
    channels: Mapping[str, Mapping[str, Any]],
    *,
    k: int = 10,
    held_out: Collection[str] = (),
    seed: int = 0,
) -> Worth:
    """Measure the worth of each channel, of their union, and of random movies.

    Args:
      scenes: scenes whose shots have a feature.
      tables: arguments of `vujax.data.registry.open_tables`.
      channels: options by channel, at least one; see `vujax.data.movies.similarity`.
      k: similar movies of each movie.
      held_out: movies that are nobody's neighbor.
      seed: seed of ties and of random movies.

    Raises:
      ValueError: `k` is below 1, all scenes are of one movie, no channel covers any of the movies,
        or a table or channel is invalid.
      FileNotFoundError: a table does not exist.
    """
    movies = len(scenes.movies)
    if len(np.unique(scenes.movie)) < 2:
        raise ValueError(
            f"all scenes are of one movie, {scenes.movies[int(scenes.movie[0])]}: a guide needs "
            "scenes of two movies or more"
        )
    most = min(k * GROWTH[-1], max(movies - 1, k))
    options: Any = dict(
        k=most,
        channels=channels,
        tables=build_table_options(tables, scenes),
        held_out=held_out,
        seed=seed,
        truth=collect_labels(scenes),
    )
    x = read_features(scenes)
    names = ((UNION,) if len(channels) > 1 else ()) + tuple(channels)
    selected = {
        name: select_similar_movies(scenes.movies, name, **options) for name in (*names, RANDOM)
    }
    found = {name: measure_guide(x, scenes.movie, name, g, k) for name, g in selected.items()}
    if not any(found[name].scenes for name in names):
        raise ValueError(
            f"no guide covers any of the {movies} movies: {', '.join(names)} know none that are "
            "similar; give other tables, or --channel"
        )
    guides = tuple(found[name] for name in names)
    return Worth(guides, found[RANDOM], movies, len(scenes.keys), k)


def measure_guide(x: np.ndarray, movie: np.ndarray, name: str, guide: Guide, k: int) -> GuideWorth:
    """Measure the worth of one guide whose lists have k movies or more.

    Args:
      x: features of scenes `[n f]`.
      movie: int `[n]`, number of each scene's movie.
      name: of the guide.
      guide: similar movies, best first.
      k: number of those that are used.
    """
    lists = {size: guide.similar[:, :size] for size in _sizes(k, guide.similar.shape[1])}
    guided = ~find_alone(movie, lists[k])
    unknown = guide.counts.get(name, 0) + guide.counts.get("not in the tables", 0) * bool(
        name != UNION and guide.counts
    )
    if not guided.any():
        return GuideWorth(name, None, {}, 0, 0, unknown)
    by_k = {size: measure_agreement(x, movie, similar) for size, similar in lists.items()}
    movies = len(np.unique(movie[guided]))
    return GuideWorth(name, by_k[k], by_k, movies, int(guided.sum()), unknown)


def _sizes(k: int, most: int) -> tuple[int, ...]:
    """Return the compared numbers of similar movies: k and multiples of it, at most `most`."""
    return tuple(dict.fromkeys(min(k * times, most) for times in GROWTH))


def count_bits(agreement: Agreement) -> float:
    """Return the bits that a random positive tells of a scene, for Gaussian features.

    The mutual information of positives along the guided directions, -log2(1 - rho^2) / 2 each.
    """
    rho = np.minimum(agreement.values[: agreement.guided], MAX_AGREEMENT)
    return float(np.abs(np.log2(1 - rho**2)).sum() / 2)
