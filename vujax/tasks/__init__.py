"""Tasks: what a method learns from, one file each: its model, its batches, their shapes.

The train loop knows none of them by name; `config.method.name` says which one it is.
"""

import importlib

import ml_collections

from vujax.tasks.base import Data, Task

__all__ = ["Data", "Task", "task_of"]

TASKS = {
    "boundary": "borders",
    "caption": "captions",
    "distill": "pairs",
    "movies2scenes": "scenes",
    "shotcol": "shots",
}


def task_of(config: ml_collections.ConfigDict) -> Task:
    """The task of a config's method; a module with the functions of `base.Task`.

    Raises:
      ValueError: there is no such method.
    """
    name = config.method.name
    if name not in TASKS:
        raise ValueError(f"method.name '{name}' is unknown: use one of {sorted(TASKS)}")
    return importlib.import_module(f"vujax.tasks.{TASKS[name]}")
