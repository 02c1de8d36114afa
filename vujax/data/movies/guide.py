"""Which movies guide a training: for each movie those among whose scenes positives are searched.

    found = similar_movies(scenes.movies, "union", k=10, channels={...}, tables={...})
    rows = GuidedRows(scenes, {"feature": (150,)}, found.similar, width=64, most=12)

A guide is one word: a channel of `vujax.data.movies.similarity`, 'union' of several, or a control:

    all            every other movie: the nearest neighbour without any guidance
    random         k movies, drawn by the seed: as many candidates, and no meaning
    same           the movie itself: its own other scenes
    augmentation   no movie: the scene itself in another view

Which keys may be the positive of a scene, and which are its negatives, by movie similarity.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vujax.data import scene_batches
from vujax.data.movies.similarity import CHANNELS, find_neighbors
from vujax.data.pipeline import Batch
from vujax.data.registry import open_tables
from vujax.data.scene_batches import SceneRows
from vujax.data.scenes import Scenes
from vujax.losses.memory_bank import NO_FILM

CONTROLS = ("all", "random", "same", "augmentation")

UNION = "union"


class Guide(NamedTuple):
    """What guides each movie.

    Attributes:
      similar: int32 `[movies k]`, numbers of movies, best first; NONE where there are no more, ANY
        for all others.
      counts: how many movies lack what, by reason; see
        `vujax.data.movies.similarity.Neighbours.fallback`.
    """

    similar: np.ndarray
    counts: Mapping[str, int]


def select_similar_movies(
    ids: Sequence[str],
    guide: str,
    *,
    k: int,
    channels: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, Any],
    held_out: Collection[str] = (),
    seed: int = 0,
) -> Guide:
    """The movies that guide each of some movies, all of which are among these.

    Args:
      ids: of the movies that have scenes.
      guide: see the module.
      k: movies that guide each; fewer where fewer are similar at all.
      channels: options of each channel, by name: those of 'union', and of a channel alone.
      tables: arguments of `open_tables`; controls read none.
      held_out: movies that must not enter, see `vujax.data.movies.similarity.find_neighbors`.
      seed: of ties, and of random movies.

    Raises:
      ValueError: the guide is unknown, `k` is below 1, or the tables have none of these movies.
      FileNotFoundError: a table is not there.
    """
    if guide not in (*CHANNELS, UNION, *CONTROLS):
        known = ", ".join((*CHANNELS, UNION, *CONTROLS))
        raise ValueError(f"data.guide '{guide}' is unknown: use one of {known}")
    if k < 1:
        raise ValueError(f"data.k is {k}: 1 or more movies guide each")
    if guide in CONTROLS:
        return Guide(_control(guide, len(ids), k, seed), {})
    wanted = channels if guide == UNION else {guide: channels.get(guide, {})}
    movies = open_tables(**tables).select(ids)
    if not len(movies):
        raise ValueError(
            f"none of the {len(ids)} movies that have scenes, {ids[0]} first, is in data.tables: "
            "give the tables that have them"
        )
    found = find_neighbors(movies, wanted, k=k, held_out=held_out, seed=seed)
    places = {movie: place for place, movie in enumerate(ids)}
    mine = np.array([places[movie] for movie in found.ids], np.int32)
    similar = np.full((len(ids), k), NONE, np.int32)
    similar[mine] = np.where(found.index < 0, NONE, mine[found.index])
    return Guide(similar, {**found.fallback, "not in the tables": len(ids) - len(mine)})


def _control(guide: str, movies: int, k: int, seed: int) -> np.ndarray:
    similar = np.full((movies, k), NONE, np.int32)
    if guide == "random":
        for movie, row in enumerate(similar):
            others = min(k, movies - 1)
            drawn = np.random.default_rng([seed, movie]).permutation(movies - 1)[:others]
            row[:others] = drawn + (drawn >= movie)
    elif guide != "augmentation":
        similar[:, 0] = ANY if guide == "all" else np.arange(movies)
    return similar


def batch_spec(
    inputs: Mapping[str, tuple[int, ...]], rows: int, *, k: int, **sizes: Any
) -> dict[str, jax.ShapeDtypeStruct]:
    """As `vujax.data.scene_batches.batch_spec`, and 'similar' int32 `[rows s k]`."""
    found = scene_batches.batch_spec(inputs, rows, **sizes)
    shape = (*found["movie"].shape, k)
    return found | {"similar": jax.ShapeDtypeStruct(shape, np.int32)}


class GuidedRows(SceneRows):
    """Rows of scenes that know which movies guide them.

    Attributes:
      similar: int32 `[movies k]`, see `Guide`.
    """

    def __init__(
        self,
        scenes: Scenes,
        inputs: Mapping[str, tuple[int, ...]],
        similar: np.ndarray,
        **sizes: Any,
    ) -> None:
        """As `SceneRows`, with what guides each of the scenes' movies."""
        self.similar = similar
        super().__init__(scenes, inputs, **sizes)

    def batch_spec(self, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
        """See the function of that name."""
        return batch_spec(self._inputs, rows, k=self.similar.shape[1], **self._sizes)

    def load(self, rows: np.ndarray, width: int) -> Batch:
        """As `SceneRows`, and 'similar' int32 `[r s k]`, NONE where there is no scene."""
        batch = super().load(rows, width)
        there = (rows >= 0)[..., None]
        return batch | {"similar": np.where(there, self.similar[batch["movie"]], NONE)}


ANY = -2  # in a list of similar movies: every other movie

NONE = -1  # an empty place in it


class Keys(NamedTuple):
    """Which scenes the keys of the queue are of; int32 `[r]` both, NO_FILM in empty places."""

    film: jax.Array
    scene: jax.Array


class Queries(NamedTuple):
    """What masks need to know of queries.

    Attributes:
      film: int32 `[n]`, number of the movie; NO_FILM where there is no scene.
      scene: int32 `[n]`, number of the scene among all.
      similar: int32 `[n k]`, numbers of similar movies, NONE or ANY.
      positive: int32 `[n]`, number of the scene that was chosen as the positive.
    """

    film: jax.Array
    scene: jax.Array
    similar: jax.Array
    positive: jax.Array


def is_positive_candidate(query: Queries, key: Keys) -> jax.Array:
    """Bool `[n r]`: the key is of a movie similar to the query's, and of another scene."""
    listed = is_listed(query.similar, key.film)
    anything = (query.similar == ANY).any(axis=1)[:, None]
    listed |= anything & (query.film[:, None] != key.film)
    return listed & (key.film != NO_FILM) & (query.scene[:, None] != key.scene)


def is_negative(query: Queries, key: Keys, *, mask_similar: bool) -> jax.Array:
    """Bool `[n r]`: the key is of another movie, and no key of the positive."""
    other = (query.film[:, None] != key.film) & (query.positive[:, None] != key.scene)
    if mask_similar:
        other &= ~is_listed(query.similar, key.film)
    return other & (key.film != NO_FILM)


def is_listed(lists: jax.Array, film: jax.Array) -> jax.Array:
    """Bool `[n r]`: whether a film of `[r]` is in a list of `[n k]`, one column at a time."""
    columns = (lists[:, i, None] == film for i in range(lists.shape[1]))
    return functools.reduce(jnp.logical_or, columns)
