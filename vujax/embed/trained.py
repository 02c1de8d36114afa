"""Models that were trained here, or imported, as encoders: what a release says of itself."""

import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vujax import release
from vujax.catalog.vectors import MOST_NAME
from vujax.embed.encoders import digest
from vujax.trees import flatten

Tree = Any
KINDS = {
    "distill": ("vujax.embed.image_text", "ImageText"),
    "shotcol": ("vujax.embed.shots", "SingleShotEncoder"),
    "movies2scenes": ("vujax.embed.shots", "SceneEncoder"),
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
    folder = release.find(path)
    try:
        config = json.loads((folder / release.CONFIG).read_text())
    except ValueError as error:
        raise ValueError(f"{folder} is damaged ({error}): copy the release again") from None
    _kind(path, config)


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
    return digest(flatten(variables), settings)


def _kind(path: Path, config: Any) -> str:
    method = config.get("method") if isinstance(config, dict) else None
    name = method.get("name") if isinstance(method, dict) else None
    if name not in KINDS:
        what = "names no method" if name is None else f"is of the method {name!r}"
        raise ValueError(
            f"{path} {what}, and vectors are made by models of {', '.join(KINDS)}: name such a one"
        )
    return name
