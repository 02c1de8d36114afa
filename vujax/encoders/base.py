"""Interfaces of encoders: networks that turn images, shots or scenes into embeddings."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from vujax.catalog.embeddings import LEVELS, MOST_NAME
from vujax.data.images import preprocess_eval_image
from vujax.models import release
from vujax.utils.trees import flatten_tree

LITE_NETWORK = "efficientnet-lite0"
"""Released weights of the encoder 'lite'; see `vujax.models.pretrained`."""

SETTINGS = ("model", "preprocess", "inputs", "vectors")
"""Keys of a release's config that change its embeddings."""

UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class AnyEncoder(Protocol):
    """What all encoders have.

    Attributes:
      name: letters, digits, - and _.
      digest: see `digest`: two encoders of one digest give the same vectors.
      dim: numbers of a vector.
      sees: of LEVELS, those of which it makes vectors itself. Vectors of the levels above are
        means: a shot's of those of its keyframes, a scene's of those of its shots.
      vectors: name of the encoder whose vectors of shots it takes, or None.
    """

    name: str
    digest: str
    dim: int
    sees: tuple[str, ...]
    vectors: str | None = None


class Encoder(AnyEncoder, Protocol):
    """A network that sees one picture at a time.

    Attributes:
      size: height and width of the pictures that it sees.
    """

    sees: tuple[str, ...] = ("frame",)
    size: int

    def picture(self, file: bytes) -> np.ndarray:
        """A picture's file as the network sees it, uint8 `[size size 3]`; see `eval_image`."""
        return preprocess_eval_image(file, size=self.size)

    def encode(self, images: np.ndarray) -> ArrayLike:
        """Pictures uint8 `[b size size 3]` -> float32 `[b dim]`.

        The result may be a JAX array that is still being computed. A vector may not depend on the
        other pictures of the batch.
        """


class ShotEncoder(AnyEncoder, Protocol):
    """A network that sees shots, alone or together as scenes; `sees` 'shot' at least.

    `vujax.encoders.shots.encode_scenes` gives it scenes, and single shots as scenes of one.

    Attributes:
      inputs: shape of what it sees of a shot: 'image' `[k h w 3]` or 'feature' `[f]`.
      max_shots: of a scene; 1 when it sees no scenes.
    """

    inputs: Mapping[str, tuple[int, ...]]
    max_shots: int

    def encode(self, rows: Mapping[str, np.ndarray]) -> ArrayLike:
        """Scenes in rows, see `vujax.data.scene_batches` -> float32 `[r s dim]`.

        What stands for a scene that is not there (-1 in `scene`) may be anything. A vector may not
        depend on the other scenes.
        """


def digest(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> str:
    """sha256, in hexadecimal, of weights by name and of the settings that change vectors."""
    found = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {value.shape}".encode())
        found.update(np.ascontiguousarray(value).data)
    return found.hexdigest()


def levels_of(encoder: AnyEncoder) -> tuple[str, ...]:
    """The levels of which there can be vectors: those that it sees, and those above."""
    return LEVELS[LEVELS.index(encoder.sees[0]) :]


def digest_of(config: Mapping[str, Any], variables: Any) -> str:
    """Return the digest of a release: equal for equal weights, sizes, preprocessing and inputs."""
    settings = {key: config[key] for key in SETTINGS if config.get(key)}
    return digest(flatten_tree(variables), settings)


def name_of(path: Path) -> str:
    """Return the encoder name of a model's directory, fit for a catalog.

    It is the directory's own name; for a directory `release`, that of the workdir around it.
    """
    folder = path.resolve()
    folder = folder.parent if folder.name == release.FOLDER else folder
    return UNSAFE.sub("-", folder.name).lstrip("-_")[:MOST_NAME] or "encoder"


def check_level(encoder: AnyEncoder, level: str) -> None:
    """Raises unless there can be vectors of a level.

    Raises:
      ValueError: there cannot.
    """
    if level not in LEVELS:
        raise ValueError(f"there are no vectors of level {level!r}: there are {', '.join(LEVELS)}")
    if level not in levels_of(encoder):
        raise ValueError(
            f"{encoder.name} sees the keyframes of a shot together, so it has no vectors of level "
            f"{level!r}: take {' or '.join(levels_of(encoder))}"
        )
