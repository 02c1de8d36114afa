"""The methods: one file each, all of the shape that `vujax.methods.base.Method` describes.

Tasks: what a method learns from, one file each: its model, its batches, their shapes.

The train loop knows none of them by name; `config.method.name` says which one it is.
"""

import dataclasses
import importlib
from typing import Any

import flax.linen as nn
import ml_collections

from vujax.methods.base import Data, Method, Task
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


__all__ = ["Data", "Task", "task_of"]

TASKS = {
    "boundary": "boundary",
    "caption": "caption",
    "distill": "distill",
    "movies2scenes": "movies2scenes",
    "shotcol": "shotcol",
}


def task_of(config: ml_collections.ConfigDict) -> Task:
    """The task of a config's method; a module with the functions of `base.Task`.

    Raises:
      ValueError: there is no such method.
    """
    name = config.method.name
    if name not in TASKS:
        raise ValueError(f"method.name '{name}' is unknown: use one of {sorted(TASKS)}")
    return importlib.import_module(f"vujax.methods.{TASKS[name]}")
