"""Guides of contrastive training: the movies among whose scenes a scene's positive is searched.

    guide = select_similar_movies(scenes.movies, "union", k=10, channels={...}, tables={...})
    rows = GuidedRows(scenes, {"feature": (150,)}, guide.similar, width=64, most=12)

A guide is a channel of `vujax.data.movies.similarity`, 'union' of several, or a control:

    all            every other movie: no guidance
    nearest        every movie, the scene's own too
    random         k random movies: as many candidates, without meaning
    same           the movie itself: its own other scenes
    oracle:LABEL   movies whose scenes have the same true labels, such as 'oracle:genre'
    augmentation   no movie: another view of the scene itself

and 'GUIDE+same' adds the movie itself to any other one. The masks of positives and negatives in the
queue of keys follow from these lists of movies.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from vujax.data import scene_batches
from vujax.data.movies.records import Movies
from vujax.data.movies.similarity import CHANNELS, find_neighbors
from vujax.data.pipeline import Batch
from vujax.data.registry import open_tables
from vujax.data.scene_batches import SceneRows
from vujax.data.scenes import Scenes
from vujax.losses.memory_bank import NO_FILM, is_listed

CONTROLS = ("all", "nearest", "random", "same", "augmentation")
UNION, ORACLE, OWN = "union", "oracle:", "+same"
NONE = -1  # an empty slot in a list of similar movies
ANY = -2  # in such a list: every other movie
ITSELF = -3  # in such a list: no movie, the scene itself in another view


class Guide(NamedTuple):
    """Similar movies of each movie.

    Attributes:
      similar: int32 `[movies k]`, numbers of movies, best first; NONE in empty slots, ANY for all
        others, ITSELF for none but the scene itself. `k` is that of `count_slots`.
      counts: number of movies without data, by reason; see
        `vujax.data.movies.similarity.MovieNeighbors.fallback`.
    """

    similar: np.ndarray
    counts: Mapping[str, int]


def count_slots(guide: str, k: int) -> int:
    """Return the length of the lists of similar movies of a guide with `k` movies."""
    return k + _split_own(guide)[1]


def _split_own(guide: str) -> tuple[str, bool]:
    """Return the guide without '+same', and whether the movie itself is added."""
    return ("all", True) if guide == "nearest" else (guide.removesuffix(OWN), guide.endswith(OWN))


def select_similar_movies(
    ids: Sequence[str],
    guide: str,
    *,
    k: int,
    channels: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, Any],
    held_out: Collection[str] = (),
    seed: int = 0,
    truth: Mapping[str, Sequence[frozenset[str]]] | None = None,
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
      truth: true labels of each movie of `ids`, by name; for 'oracle:LABEL'.

    Raises:
      ValueError: the guide is unknown, `k` is below 1, or the tables have none of these movies.
      FileNotFoundError: a table does not exist.
    """
    name, has_own = _split_own(guide)
    if name not in (*CHANNELS, UNION, *CONTROLS) and not name.startswith(ORACLE):
        known = ", ".join((*CHANNELS, UNION, *CONTROLS, f"{ORACLE}LABEL"))
        raise ValueError(f"unknown data.guide '{guide}'; expected one of: {known}")
    if k < 1:
        raise ValueError(f"data.k must be at least 1, got {k}")
    options: Any = dict(k=k, held_out=held_out, seed=seed)
    if name in CONTROLS:
        found = Guide(_control(name, len(ids), k, seed), {})
    elif name.startswith(ORACLE):
        movies = _label_movies(ids, name.removeprefix(ORACLE), truth or {})
        found = _find_similar(ids, movies, {"genre": {}}, **options)
    else:
        selected = channels if name == UNION else {name: channels.get(name, {})}
        found = _find_similar(ids, open_tables(**tables).select(ids), selected, **options)
    if not has_own:
        return found
    own = np.arange(len(ids), dtype=np.int32)[:, None]
    return found._replace(similar=np.concatenate([found.similar, own], axis=1))


def _find_similar(
    ids: Sequence[str], movies: Movies, channels: Mapping[str, Any], *, k: int, **options: Any
) -> Guide:
    """Return the guide by channels of these movies, which are some of `ids`."""
    if not len(movies):
        raise ValueError(
            f"none of the {len(ids)} movies that have scenes, {ids[0]} first, is in data.tables: "
            "give the tables that have them"
        )
    neighbors = find_neighbors(movies, channels, k=k, **options)
    positions = {movie: position for position, movie in enumerate(ids)}
    rows = np.array([positions[movie] for movie in neighbors.ids], np.int32)
    similar = np.full((len(ids), k), NONE, np.int32)
    similar[rows] = np.where(neighbors.index < 0, NONE, rows[neighbors.index])
    return Guide(similar, {**neighbors.fallback, "not in the tables": len(ids) - len(rows)})


def _label_movies(
    ids: Sequence[str], label: str, truth: Mapping[str, Sequence[frozenset[str]]]
) -> Movies:
    """Return movies whose genres are their true labels."""
    if label not in truth:
        raise ValueError(
            f"data.guide '{ORACLE}{label}' needs scenes with labels '{label}'; these have: "
            f"{', '.join(sorted(truth)) or 'none'}"
        )
    names = tuple(ids)
    return Movies(names, names, tuple(truth[label]), ("",) * len(names))


def collect_labels(scenes: Scenes) -> dict[str, list[frozenset[str]]]:
    """Return the labels of all scenes of each movie, by name."""
    found = {}
    for name, labels in scenes.labels.items():
        sets: list[set[str]] = [set() for _ in scenes.movies]
        for movie, scene_labels in zip(scenes.movie.tolist(), labels, strict=True):
            sets[movie] |= scene_labels
        found[name] = [frozenset(each) for each in sets]
    return found


def find_alone(movie: np.ndarray, similar: np.ndarray) -> np.ndarray:
    """Return bool `[n]`: no scene of any similar movie can be the positive of a scene.

    Args:
      movie: int32 `[n]`, number of each scene's movie.
      similar: int32 `[movies k]`, see `Guide`; scenes of ITSELF are not alone.
    """
    count = np.bincount(movie, minlength=len(similar))
    own = similar == np.arange(len(similar))[:, None]
    has_scene = (similar >= 0) & (count[np.maximum(similar, 0)] > own)
    has_scene |= (similar == ITSELF) | ((similar == ANY) & (len(similar) > 1))
    alone: np.ndarray = ~has_scene.any(axis=1)
    return alone[movie]


def _control(guide: str, movies: int, k: int, seed: int) -> np.ndarray:
    similar = np.full((movies, k), NONE, np.int32)
    if guide == "random":
        for movie, row in enumerate(similar):
            others = min(k, movies - 1)
            drawn = np.random.default_rng([seed, movie]).permutation(movies - 1)[:others]
            row[:others] = drawn + (drawn >= movie)
    else:
        first = {"all": ANY, "augmentation": ITSELF, "same": np.arange(movies)}
        similar[:, 0] = first[guide]
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
      similar: int32 `[n k]`, numbers of similar movies, NONE, ANY or ITSELF.
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
