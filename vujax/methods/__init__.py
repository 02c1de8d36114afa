"""Training methods: one file each, ending in its `SPEC`.

A new method is a file `methods/x.py`, a config `configs/x.py` and a line here; a method of another
package is an entry point of the group `vujax.methods` that names its `MethodSpec`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from vujax.methods.base import Method, MethodSpec
from vujax.utils.registry import Registry

__all__ = ["METHODS", "Method", "MethodSpec", "build_method", "load_spec"]

METHODS = Registry(
    "method",
    {
        "boundary": "vujax.methods.boundary:SPEC",
        "caption": "vujax.methods.caption:SPEC",
        "distill": "vujax.methods.distill:SPEC",
        "distill_features": "vujax.methods.distill_features:SPEC",
        "movies2scenes": "vujax.methods.movies2scenes:SPEC",
        "shotcol": "vujax.methods.shotcol:SPEC",
    },
    entry_points="vujax.methods",
)


def load_spec(config: Any) -> MethodSpec:
    """Import and return the spec of the method that `config.method.name` names.

    Raises:
      ValueError: the method is unknown.
      ImportError: the method is a plug-in that cannot be imported.
    """
    return METHODS.load(config.method.name, "method.name")


def build_method(model: nn.Module, *, name: str, **settings: Any) -> Method:
    """Build a method on a model from the values of `config.method`.

    Args:
      model: module that the method trains.
      name: registered name of the method.
      **settings: fields of the method's dataclass.

    Raises:
      ValueError: the name or a setting is unknown.
      ImportError: the method is a plug-in that cannot be imported.
    """
    spec = METHODS.load(name, "method.name")
    known = {field.name for field in dataclasses.fields(spec.method)} - {"model"}
    if unknown := sorted(settings.keys() - known):
        raise ValueError(
            f"unknown setting method.{unknown[0]} of method '{name}'; "
            f"expected one of: {', '.join(sorted(known))}"
        )
    return spec.method(model, **settings)


def resolve_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a `config.method` with absent ones filled in and old names replaced.

    Two configs of different versions mean the same method if these are equal.

    Args:
      settings: `name` and fields of the method's dataclass.

    Raises:
      ValueError: the name or a setting is unknown.
      ImportError: the method is a plug-in that cannot be imported.
    """
    method = build_method(None, **settings)
    names = [field.name for field in dataclasses.fields(method) if field.name != "model"]
    return {"name": settings["name"]} | {name: getattr(method, name) for name in names}
