"""Embed: from a catalogue to vectors of its keyframes, shots and scenes, and what is alike by them.

`encoders.open_encoder` opens a network, by name or by the folder of a trained or imported model.
`film.Embed` is the stage: a film of the catalogue in, its vectors out, decoding beside the network;
`maker` gives the network what it sees, pictures (`frame_maker`) or shots and scenes (`shot_maker`).
`run.embed` lets workers do it for all films. `similar.similar` finds what is nearest.

Models that were trained here, or imported, as encoders: what a release says of itself.
"""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vujax.catalog.embeddings import MOST_NAME
from vujax.encoders.base import digest
from vujax.models import release
from vujax.utils.trees import flatten_tree

Tree = Any

KINDS = {
    "distill": ("vujax.encoders.image_text", "ImageText"),
    "shotcol": ("vujax.encoders.shots", "SingleShotEncoder"),
    "movies2scenes": ("vujax.encoders.shots", "SceneEncoder"),
}

"""What makes an encoder of a release, by the method that it learned by."""

SETTINGS = ("model", "preprocess", "inputs", "vectors")

UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def check(path: Path) -> None:
    """Raises unless a folder holds a model that is an encoder; reads no weights.

    Raises:
      FileNotFoundError: it holds no model.
      ValueError: it is damaged, or its method makes no vectors.
    """
    _kind(path, release.read_config(release.find(path)))


def open_trained(path: Path) -> Any:
    """The encoder of a workdir or a release's folder; see `encoders.open_encoder`.

    Raises:
      FileNotFoundError, ValueError: see `check`; or its weights and settings do not fit.
    """
    config, variables = release.load(path)
    module, kind = KINDS[_kind(path, config)]
    make = getattr(importlib.import_module(module), kind)
    try:
        return make(name_of(path), config, variables)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is no model that this vujax knows ({type(error).__name__}: {error}): train or "
            "import it again"
        ) from error


def name_of(path: Path) -> str:
    """The folder's own name, that of the workdir for a folder 'release', fit for a catalogue."""
    folder = path.resolve()
    folder = folder.parent if folder.name == release.FOLDER else folder
    return UNSAFE.sub("-", folder.name).lstrip("-_")[:MOST_NAME] or "encoder"


def digest_of(config: Mapping[str, Any], variables: Tree) -> str:
    """The digest of a release: equal for equal weights, sizes, pictures and inputs."""
    settings = {key: config[key] for key in SETTINGS if config.get(key)}
    return digest(flatten_tree(variables), settings)


def _kind(path: Path, config: Any) -> str:
    method = config.get("method") if isinstance(config, dict) else None
    name = method.get("name") if isinstance(method, dict) else None
    if name not in KINDS:
        what = "names no method" if name is None else f"is of the method {name!r}"
        raise ValueError(
            f"{path} {what}, and vectors are made by models of {', '.join(KINDS)}: name such a one"
        )
    return name
