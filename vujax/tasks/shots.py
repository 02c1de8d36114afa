"""Windows of films' shots, for a shot encoder and its projection."""

import jax
import ml_collections
from jax.sharding import Mesh

from vujax.data import windows
from vujax.data.films import Film, open_films
from vujax.data.windows import ShotWindows
from vujax.models.contrast import ShotContrast
from vujax.models.shot import Projection, build_shot


def model(config: ml_collections.ConfigDict, mesh: Mesh) -> ShotContrast:
    """The encoder, and the projection through which it learns."""
    del mesh
    settings = config.model.to_dict()
    projection = tuple(settings.pop("projection", ()))
    head = Projection(projection) if projection else None
    return ShotContrast(build_shot(**settings), head)


def shapes(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.windows.shapes`."""
    cut = dict(neighbours=config.data.neighbours, block=config.data.block)
    return windows.shapes(config.inputs.to_dict(), rows, **cut)


def data(config: ml_collections.ConfigDict) -> ShotWindows:
    """The films of `config.data.films`, cut into windows."""
    settings = config.data.to_dict()
    return ShotWindows(open_sets(settings.pop("films")), config.inputs.to_dict(), **settings)


def open_sets(sets: dict[str, dict]) -> list[Film]:
    """All films of `{name: dict(kind=..., **options)}`, in order.

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
