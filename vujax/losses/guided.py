"""Which keys may be the positive of a scene, and which are its negatives, by movie similarity."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vujax.losses.contrast import NO_FILM

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


def may_be_positive(query: Queries, key: Keys) -> jax.Array:
    """Bool `[n r]`: the key is of a movie similar to the query's, and of another scene."""
    listed = in_lists(query.similar, key.film)
    anything = (query.similar == ANY).any(axis=1)[:, None]
    listed |= anything & (query.film[:, None] != key.film)
    return listed & (key.film != NO_FILM) & (query.scene[:, None] != key.scene)


def is_negative(query: Queries, key: Keys, *, mask_similar: bool) -> jax.Array:
    """Bool `[n r]`: the key is of another movie, and no key of the positive."""
    other = (query.film[:, None] != key.film) & (query.positive[:, None] != key.scene)
    if mask_similar:
        other &= ~in_lists(query.similar, key.film)
    return other & (key.film != NO_FILM)


def in_lists(lists: jax.Array, film: jax.Array) -> jax.Array:
    """Bool `[n r]`: whether a film of `[r]` is in a list of `[n k]`, one column at a time."""
    columns = (lists[:, i, None] == film for i in range(lists.shape[1]))
    return functools.reduce(jnp.logical_or, columns)
