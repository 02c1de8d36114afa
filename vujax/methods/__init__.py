"""The methods: one file each, all of the shape that `vujax.methods.base.Method` describes."""

import dataclasses
from typing import Any

import flax.linen as nn

from vujax.methods.base import Method
from vujax.methods.boundary import Boundary
from vujax.methods.caption import Caption
from vujax.methods.distill import Distill
from vujax.methods.movies2scenes import Movies2Scenes
from vujax.methods.shotcol import ShotCoL

METHODS: dict[str, type] = {
    "boundary": Boundary,
    "caption": Caption,
    "distill": Distill,
    "movies2scenes": Movies2Scenes,
    "shotcol": ShotCoL,
}


def make(model: nn.Module, *, name: str, **settings: Any) -> Method:
    """The method `name` on `model`.

    Raises:
      ValueError: an unknown name or setting.
    """
    if name not in METHODS:
        raise ValueError(f"method.name '{name}' is unknown: use one of {sorted(METHODS)}")
    known = {field.name for field in dataclasses.fields(METHODS[name])} - {"model"}
    if unknown := sorted(settings.keys() - known):
        raise ValueError(f"method '{name}' has no setting '{unknown[0]}'; it has {sorted(known)}")
    return METHODS[name](model, **settings)
