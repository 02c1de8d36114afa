"""A tagger on disk: `release/config.json`, `release/weights.safetensors` and `report.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vujax import release
from vujax.catalog.vectors import Model
from vujax.evals.probe import Linear, Standardizer
from vujax.evals.tagging import TagProbe
from vujax.files import write_json

KIND = "tagger"
SCHEMA = 1
"""Version of its config."""

REPORT = "report.json"


@dataclass(frozen=True)
class Tagger:
    """Tags, and how vectors tell them.

    Attributes:
      level: of the catalogue's vectors: 'frame', 'shot' or 'scene'.
      model: that makes them; a tagger says nothing of another one's.
      tags: names, in the order of the probe's columns.
      probe: the classifiers and thresholds.
    """

    level: str
    model: Model
    tags: tuple[str, ...]
    probe: TagProbe


def check_folder(folder: Path) -> None:
    """Raises unless a tagger can be written there.

    Raises:
      ValueError: it is a file, or a folder that holds something and no tagger.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: name a folder for the tagger")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / REPORT).is_file():
        raise ValueError(f"{folder} holds something else than a tagger: name a new folder")


def save(folder: Path, tagger: Tagger, report: Mapping[str, Any]) -> None:
    """Writes a tagger, the report first, the config last; an old one there is replaced."""
    model = tagger.model
    about = dict(schema=SCHEMA, level=tagger.level, tags=list(tagger.tags))
    about |= dict(encoder=model.name, digest=model.digest, dim=model.dim)
    (mean, std), (weights, bias), thresholds = tagger.probe
    arrays = dict(mean=mean, std=std, weights=weights, bias=bias, thresholds=thresholds)
    write_json(folder / REPORT, dict(report))
    release.save(folder, {KIND: about}, {"params": arrays})


def load(path: Path) -> Tagger:
    """Reads a tagger.

    Args:
      path: what `save` was given, or the folder 'release' in it.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is another model, of another version, or damaged.
    """
    config, variables = release.load(path)
    about = config.get(KIND) if isinstance(config, dict) else None
    if not isinstance(about, dict):
        raise ValueError(f"{path} is a model, and no tagger: make one with `vujax tag train`")
    if about.get("schema") != SCHEMA:
        raise ValueError(f"{path} is a tagger of another version: train it again")
    try:
        tags = tuple(map(str, about["tags"]))
        model = Model(str(about["encoder"]), str(about["digest"]), int(about["dim"]))
        params = variables["params"]
        scale = Standardizer(params["mean"], params["std"])
        linear = Linear(params["weights"], params["bias"])
        probe = TagProbe(scale, linear, params["thresholds"])
        tagger = Tagger(str(about["level"]), model, tags, probe)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): train the tagger again") from None
    _check(tagger, path)
    return tagger


def _check(tagger: Tagger, path: Path) -> None:
    d, t = tagger.model.dim, len(tagger.tags)
    scale, linear, thresholds = tagger.probe
    arrays = (*scale, *linear, thresholds)
    wanted = [(d,), (d,), (d, t), (t,), (t,)]
    shapes = [np.shape(array) for array in arrays]
    if shapes != wanted or not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(
            f"{path} is damaged: its weights are not those of {t} tags: train it again"
        )
