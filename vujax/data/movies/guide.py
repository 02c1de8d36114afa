"""Guides of contrastive training: the movies among whose scenes a scene's positive is searched.

    guide = select_similar_movies(scenes.movies, "union", k=10, channels={...}, tables={...})
    rows = GuidedRows(scenes, {"feature": (150,)}, guide.similar, width=64, most=12)

A guide is a channel of `vujax.data.movies.similarity`, 'union' of several, or a control:

    all            every other movie: the nearest neighbor without guidance
    random         k random movies: as many candidates, without meaning
    same           the movie itself: its own other scenes
    augmentation   no movie: another view of the scene itself

The masks of positives and negatives in the queue of keys follow from these lists of movies.
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
NONE = -1  # an empty slot in a list of similar movies
ANY = -2  # in such a list: every other movie


class Guide(NamedTuple):
    """Similar movies of each movie.

    Attributes:
      similar: int32 `[movies k]`, numbers of movies, best first; NONE in empty slots, ANY for all
        others.
      counts: number of movies without data, by reason; see
        `vujax.data.movies.similarity.MovieNeighbors.fallback`.
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
    """Select, among some movies, the ones that guide each of them.

    Args:
      ids: ids of the movies that have scenes.
      guide: name of the guide, see the module.
      k: movies that guide each; fewer where fewer are similar at all.
      channels: options of each channel, by name: those of 'union', and of a single channel.
      tables: arguments of `open_tables`; controls read none.
      held_out: excluded movies, see `vujax.data.movies.similarity.find_neighbors`.
      seed: seed of ties, and of random movies.

    Raises:
      ValueError: the guide is unknown, `k` is below 1, or the tables have none of these movies.
      FileNotFoundError: a table does not exist.
    """
    if guide not in (*CHANNELS, UNION, *CONTROLS):
        known = ", ".join((*CHANNELS, UNION, *CONTROLS))
        raise ValueError(f"unknown data.guide '{guide}'; expected one of: {known}")
    if k < 1:
        raise ValueError(f"data.k must be at least 1, got {k}")
    if guide in CONTROLS:
        return Guide(_control(guide, len(ids), k, seed), {})
    selected = channels if guide == UNION else {guide: channels.get(guide, {})}
    movies = open_tables(**tables).select(ids)
    if not len(movies):
        raise ValueError(
            f"none of the {len(ids)} movies that have scenes, {ids[0]} first, is in data.tables: "
            "give the tables that have them"
        )
    neighbors = find_neighbors(movies, selected, k=k, held_out=held_out, seed=seed)
    positions = {movie: position for position, movie in enumerate(ids)}
    rows = np.array([positions[movie] for movie in neighbors.ids], np.int32)
    similar = np.full((len(ids), k), NONE, np.int32)
    similar[rows] = np.where(neighbors.index < 0, NONE, rows[neighbors.index])
    return Guide(similar, {**neighbors.fallback, "not in the tables": len(ids) - len(rows)})


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
    """Return `vujax.data.scene_batches.batch_spec` with 'similar' int32 `[rows s k]`."""
    spec = scene_batches.batch_spec(inputs, rows, **sizes)
    shape = (*spec["movie"].shape, k)
    return spec | {"similar": jax.ShapeDtypeStruct(shape, np.int32)}


class GuidedRows(SceneRows):
    """Rows of scenes, with the movies that guide them.

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
        """Plan the rows; see `SceneRows` for the other arguments.

        Args:
          scenes: scenes.
          inputs: inputs to read of each shot.
          similar: similar movies of each of the scenes' movies.
          **sizes: see `SceneRows`.
        """
        self.similar = similar
        super().__init__(scenes, inputs, **sizes)

    def batch_spec(self, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
        """Return the shapes and dtypes of a batch; see the function `batch_spec`."""
        return batch_spec(self._inputs, rows, k=self.similar.shape[1], **self._sizes)

    def load(self, rows: np.ndarray, width: int) -> Batch:
        """Load rows as `SceneRows`, with 'similar' int32 `[r s k]`, NONE in empty slots."""
        batch = super().load(rows, width)
        is_scene = (rows >= 0)[..., None]
        return batch | {"similar": np.where(is_scene, self.similar[batch["movie"]], NONE)}


class Keys(NamedTuple):
    """Scenes of the keys in the queue, both int32 `[r]`; NO_FILM in empty slots."""

    film: jax.Array
    scene: jax.Array


class Queries(NamedTuple):
    """Scenes of the queries, as far as masks depend on them.

    Attributes:
      film: int32 `[n]`, number of the movie; NO_FILM in empty slots.
      scene: int32 `[n]`, number of the scene.
      similar: int32 `[n k]`, numbers of similar movies, NONE or ANY.
      positive: int32 `[n]`, number of the scene that was selected as the positive.
    """

    film: jax.Array
    scene: jax.Array
    similar: jax.Array
    positive: jax.Array


def is_positive_candidate(query: Queries, key: Keys) -> jax.Array:
    """Return bool `[n r]`: the key is another scene, of a movie similar to the query's."""
    similar = is_listed(query.similar, key.film)
    matches_any = (query.similar == ANY).any(axis=1)[:, None]
    similar |= matches_any & (query.film[:, None] != key.film)
    return similar & (key.film != NO_FILM) & (query.scene[:, None] != key.scene)


def is_negative(query: Queries, key: Keys, *, mask_similar: bool) -> jax.Array:
    """Return bool `[n r]`: the key is of another movie, and not a key of the positive.

    Args:
      query: queries.
      key: keys.
      mask_similar: whether movies similar to the query's are excluded too.
    """
    other = (query.film[:, None] != key.film) & (query.positive[:, None] != key.scene)
    if mask_similar:
        other &= ~is_listed(query.similar, key.film)
    return other & (key.film != NO_FILM)


def is_listed(lists: jax.Array, film: jax.Array) -> jax.Array:
    """Return bool `[n r]`: a film of `[r]` is in a list of `[n k]`, column by column."""
    columns = (lists[:, i, None] == film for i in range(lists.shape[1]))
    return functools.reduce(jnp.logical_or, columns)
