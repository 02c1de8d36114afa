"""Borders between shots with their labels, for a boundary head and maybe a shot encoder."""

import jax
import ml_collections
from jax.sharding import Mesh

from vujax.data import boundary_rows
from vujax.data.boundary_rows import BoundaryRows
from vujax.data.films import open_sets
from vujax.data.shot_inputs import check_inputs
from vujax.models.boundary import BoundaryModel, build_boundary, build_head


def model(config: ml_collections.ConfigDict, mesh: Mesh) -> BoundaryModel:
    """The encoder, if there is one, and the head."""
    del mesh
    return build_boundary(**config.model.to_dict())


def shapes(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.boundary_rows.shapes`."""
    return boundary_rows.shapes(config.inputs.to_dict(), rows, **window(config))


def data(config: ml_collections.ConfigDict) -> BoundaryRows:
    """The labelled films of `config.data.films`."""
    settings = config.data.to_dict()
    films = open_sets(settings.pop("films"))
    for film in films:
        check_inputs(film, config.inputs.to_dict())
    return BoundaryRows(films, **window(config), seed=config.seed, **settings)


def window(config: ml_collections.ConfigDict) -> dict[str, object]:
    """Which shots around a border the head sees, as arguments of `BoundaryRows`."""
    return build_head(**config.model.head.to_dict()).window
