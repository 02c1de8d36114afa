"""Films, scenes and movies of any data set, opened by the name of its kind.

    films = open_films("features", path="boundaries/", pattern="bbc_*", key="vgg19")
    scenes = open_scenes("movieclip", path="movieclip/*_labels.txt*", clips="clips.csv.gz")
    movies = open_tables("tables", path="movies/")

A new data set is a file in `datasets/` and a line here. Image-text pairs and labeled images are
opened by `vujax.data.sources`.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vujax.data.films import Film, check_films
from vujax.data.movies.records import Movies
from vujax.data.movies.tables import read_movie_folder, read_movies, read_ratings
from vujax.data.scenes import FilmScenes, Scenes, check_scenes, find_scene_runs, select_scenes
from vujax.data.tables import find_table
from vujax.utils.io import check_local
from vujax.utils.registry import Registry

__all__ = [
    "FILMS",
    "SCENES",
    "TABLES",
    "join_ratings",
    "open_film_scenes",
    "open_films",
    "open_movies",
    "open_scenes",
    "open_sets",
    "open_tables",
]

FILMS = Registry(
    "kind of films",
    {
        "bassl": "vujax.data.datasets.bassl:open_bassl",
        "catalog": "vujax.data.datasets.catalog:open_catalog_films",
        "cinema": "vujax.data.synthetic.dataset_shots:open_synthetic_films",
        "features": "vujax.data.datasets.features:open_features",
        "movienet": "vujax.data.datasets.movienet:open_movienet",
        "prepared": "vujax.data.datasets.prepared:open_prepared",
        "ranges": "vujax.data.datasets.scene_ranges:open_ranges",
    },
)
SCENES = Registry(
    "kind of scenes",
    {
        "catalog": "vujax.data.datasets.catalog:open_catalog_scenes",
        "cinema": "vujax.data.synthetic.dataset_scenes:open_synthetic_scenes",
        "features": "vujax.data.registry:open_film_scenes",
        "movieclip": "vujax.data.datasets.movieclip:open_movieclip",
        "prepared": "vujax.data.datasets.prepared:open_prepared_scenes",
    },
)
TABLES = Registry(
    "kind of movie tables",
    {
        "catalog": "vujax.data.datasets.catalog:open_catalog_movies",
        "cinema": "vujax.data.synthetic.dataset_scenes:open_synthetic_movies",
        "condensed_movies": "vujax.data.datasets.condensed_movies:open_condensed_movies",
        "tables": "vujax.data.registry:open_movies",
    },
)
SCENE_OPTIONS = ("movies", "without", "max_shots", "long")
SYNTHETIC_SET = "set.json"


def _check_places(options: dict[str, Any]) -> dict[str, Any]:
    for value in options.values():
        if isinstance(value, str):
            check_local(value)
    return options


def open_films(kind: str, **options: Any) -> tuple[Film, ...]:
    """Open a set of films.

    Args:
      kind: name in FILMS.
      **options: of the kind's function.

    Raises:
      ValueError: the kind or an option is unknown, there is no film, two films have one id, or a
        file is damaged.
      FileNotFoundError: a file is missing.
    """
    films = tuple(FILMS.build(kind, **_check_places(options)))
    check_films(films, kind, options)
    return films


def open_sets(sets: Mapping[str, Mapping[str, Any]]) -> list[Film]:
    """Open all films of `{name: dict(kind=..., **options)}`, in order.

    Raises:
      ValueError: there is no set, or two films have one id.
    """
    films = [film for options in sets.values() for film in open_films(**options)]
    if not films:
        raise ValueError("data.films is empty: name at least one set of films")
    names = [film.film for film in films]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"data.films has the film '{twice}' twice: rename one of them")
    return films


def open_scenes(
    kind: str,
    *,
    movies: Sequence[str] | None = None,
    without: Collection[str] = (),
    max_shots: int = 64,
    long: str = "thin",
    **options: Any,
) -> Scenes:
    """Open a set of scenes.

    Args:
      kind: name in SCENES.
      movies: keep only scenes of these, which must be known; those without a scene are counted.
      without: movies whose scenes are left out, known or not: held-out movies.
      max_shots: of a scene; `long` says what happens to a longer one.
      long: 'thin' keeps `max_shots` of its shots, the middles of as many equal parts; 'cut' keeps
        the first ones.
      **options: of the kind's function.

    Raises:
      ValueError: the kind or an option is unknown, a movie is missing, there is no scene, or a
        file is damaged.
      FileNotFoundError: a file is missing.
    """
    scenes = SCENES.build(kind, common=SCENE_OPTIONS, **_check_places(options))
    check_scenes(scenes, f"scenes of kind '{kind}'")
    return select_scenes(scenes, movies=movies, without=without, max_shots=max_shots, long=long)


def open_film_scenes(films: Mapping[str, Any], window: int | None = None) -> FilmScenes:
    """Open the scenes of a set of films: precomputed features and others.

    Args:
      films: options of `open_films`; `kind` may be left out, and is then 'features'.
      window: None: scenes are where the films' labels say; a number: windows of so many shots.

    Raises:
      ValueError, FileNotFoundError: see `open_films` and `find_scene_runs`.
    """
    opened = open_films(**({"kind": "features"} | dict(films.items())))
    return FilmScenes(opened, find_scene_runs(opened, window))


def open_tables(kind: str, *, ratings: str = "", **options: Any) -> Movies:
    """Open the metadata of movies.

    Args:
      kind: name in TABLES.
      ratings: directory or table of ratings to join; see `joined_ratings`.
      **options: of the kind's function.

    Raises:
      ValueError: the kind or an option is unknown, or a table cannot be read.
      FileNotFoundError: a table is missing.
    """
    movies = TABLES.build(kind, common=["ratings"], **_check_places(options))
    return join_ratings(movies, Path(ratings)) if ratings else movies


def open_movies(path: str | Path) -> Movies:
    """Open the movies of a directory or file, whatever its layout.

    Args:
      path: own tables, a set of synthetic films, MovieLens or Condensed Movies; see
        `vujax.data.movies.tables`.

    Raises:
      FileNotFoundError: there is nothing, or no table of movies.
      ValueError: a table cannot be read; names the file and line.
    """
    from vujax.data.datasets.condensed_movies import open_condensed_movies
    from vujax.data.datasets.movielens import open_movielens
    from vujax.data.synthetic.dataset_scenes import read_synthetic_movies

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_file():
        return read_synthetic_movies(path) if path.suffix == ".json" else read_movies(path)
    if (path / SYNTHETIC_SET).is_file():
        return read_synthetic_movies(path / SYNTHETIC_SET)
    if find_table(path, "links"):
        return open_movielens(path)
    if find_table(path, "movie_info"):
        return open_condensed_movies(path)
    return read_movie_folder(path)


def join_ratings(movies: Movies, path: Path) -> Movies:
    """Join the ratings of another table by id.

    Args:
      movies: movies.
      path: folder for `open_movies`, such as MovieLens's, or a table of ratings.

    Raises:
      FileNotFoundError: it does not exist.
      ValueError: it cannot be read, or has no rating of these movies.
    """
    if path.is_dir():
        return movies.with_ratings_of(open_movies(path))
    skipped: Counter = Counter()
    ratings = read_ratings(path, movies.positions(), skipped)
    if not len(ratings):
        raise ValueError(f"{path} has no rating of these movies, such as {movies.ids[:1]}")
    return replace(movies, ratings=ratings, skipped={**movies.skipped, **skipped})
