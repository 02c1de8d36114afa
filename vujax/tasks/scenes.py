"""Scenes of movies, in rows of shots, for a multi-shot encoder that movie similarity guides."""

from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
from absl import logging
from jax.sharding import Mesh

from vujax.data import guide
from vujax.data.guide import GuidedRows, similar_movies
from vujax.data.leaks import held_out_movies, withheld_movies
from vujax.data.scenes import Scenes, open_scenes
from vujax.models.contrast import SceneContrast
from vujax.models.scene import build_scene
from vujax.models.shot import Projection


def model(config: ml_collections.ConfigDict, mesh: Mesh) -> SceneContrast:
    """The encoder, and the projection through which it learns."""
    del mesh
    projection = tuple(config.model.get("projection", ()))
    head = Projection(projection) if projection else None
    return SceneContrast(build_scene(**config.model.encoder.to_dict()), head)


def shapes(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.guide.shapes`."""
    return guide.shapes(config.inputs.to_dict(), rows, k=config.data.k, **_sizes(config.data))


def data(config: ml_collections.ConfigDict) -> GuidedRows:
    """The scenes of `config.data.scenes` but for held out movies, and what guides them."""
    settings = config.data.to_dict()
    held_out = held_out_of(settings["held_out"])
    scenes = open_scenes(**settings["scenes"], without=held_out)
    names = ("guide", "k", "channels")
    found = similar_movies(
        scenes.movies,
        **{name: settings[name] for name in names},
        tables=tables_of(settings["tables"], scenes),
        held_out=held_out,
        seed=config.seed,
    )
    reasons = ", ".join(f"{count} {reason}" for reason, count in found.counts.items() if count)
    logging.info(
        "%d scenes of %d movies, guided by %s; movies without what guides them: %s",
        *(len(scenes.keys), len(scenes.movies), settings["guide"], reasons or "none"),
    )
    inputs = config.inputs.to_dict()
    sizes = _sizes(config.data)
    return GuidedRows(scenes, inputs, found.similar, workers=settings["workers"], **sizes)


def tables_of(settings: Mapping[str, Any], scenes: Scenes) -> dict[str, Any]:
    """The arguments of `open_tables`.

    No clip that is trained on is described to its movie's neighbours by its own words: of Condensed
    Movies, synopses are made of the other clips (see `vujax.data.condensed_movies`).
    """
    if settings.get("kind") != "condensed_movies":
        return dict(settings)
    return dict(settings) | {"scenes": [key.rpartition("/")[2] for key in scenes.keys]}


def _sizes(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"width": data["width"], "most": data["most"], "buckets": data["buckets"] or None}


def held_out_of(settings: Mapping[str, str]) -> frozenset[str]:
    """Movies that must not enter.

    Args:
      settings: 'lvu': folder of LVU's lists, see `vujax.data.leaks`, or ''; 'list': a file with an
        IMDb id a line, or ''.

    Raises:
      FileNotFoundError, ValueError: see there.
    """
    lvu = held_out_movies(settings["lvu"]) if settings["lvu"] else frozenset()
    return lvu | (withheld_movies(settings["list"]) if settings["list"] else frozenset())
