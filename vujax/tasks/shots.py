"""Windows of films' shots, for a shot encoder and its projection."""

import jax
import ml_collections
from jax.sharding import Mesh

from vujax.data import windows
from vujax.data.films import open_sets
from vujax.data.windows import ShotWindows
from vujax.models.contrast import ShotContrast
from vujax.models.shot import Projection, build_shot


def model(config: ml_collections.ConfigDict, mesh: Mesh) -> ShotContrast:
    """The encoder, and the projection through which it learns."""
    del mesh
    projection = tuple(config.model.get("projection", ()))
    head = Projection(projection) if projection else None
    return ShotContrast(build_shot(**config.model.encoder.to_dict()), head)


def shapes(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.windows.shapes`."""
    cut = dict(neighbours=config.data.neighbours, block=config.data.block)
    return windows.shapes(config.inputs.to_dict(), rows, **cut)


def data(config: ml_collections.ConfigDict) -> ShotWindows:
    """The films of `config.data.films`, cut into windows."""
    settings = config.data.to_dict()
    return ShotWindows(open_sets(settings.pop("films")), config.inputs.to_dict(), **settings)
