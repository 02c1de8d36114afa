"""Interfaces of encoders: networks that turn images, shots or scenes into embeddings."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from vujax.catalog.embeddings import LEVELS, MAX_NAME_LENGTH, combine_digests, open_store
from vujax.data.images import preprocess_eval_image
from vujax.models import release
from vujax.models.image_spec import ImageSpec
from vujax.models.pretrained.huggingface import is_hub_name
from vujax.utils.trees import flatten_tree

LITE_NETWORK = "efficientnet-lite0"
"""Released weights of the encoder 'lite'; see `vujax.models.pretrained`."""

SETTINGS = ("model", "preprocess", "inputs", "vectors", "frozen", "output")
"""Keys of a release's config that change its embeddings."""

PROJECTION = "projection"
"""Output after the layers through which contrastive methods train; see `split_output`."""

UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class AnyEncoder(Protocol):
    """Interface common to all encoders.

    Attributes:
      name: letters, digits, - and _.
      digest: see `compute_digest`; encoders with equal digests give equal embeddings. That of a
        release is `compute_release_digest`.
      dim: dimension of an embedding.
      native_levels: levels of LEVELS that the network takes itself, the lowest first. Embeddings of
        higher levels are means: a shot's over its keyframes, a scene's over its shots.
      input_encoder: name of the encoder whose shot embeddings it takes as input, or None.
    """

    name: str
    digest: str
    dim: int
    native_levels: tuple[str, ...]
    input_encoder: str | None = None


class Encoder(AnyEncoder, Protocol):
    """Encoder of single images.

    Attributes:
      image_spec: shape and resizing of its input images.
    """

    native_levels: tuple[str, ...] = ("frame",)
    image_spec: ImageSpec

    def preprocess(self, file: bytes) -> np.ndarray:
        """Decode and preprocess an image file to uint8 `[height width 3]`."""
        return preprocess_eval_image(file, self.image_spec)

    def encode(self, images: np.ndarray) -> ArrayLike:
        """Return the embeddings float32 `[b dim]` of images uint8 `[b height width 3]`.

        The result may be a JAX array that is still being computed. An embedding must not depend on
        the other images of the batch.
        """


class ShotEncoder(AnyEncoder, Protocol):
    """Encoder of shots, and possibly of scenes; 'shot' is among its `native_levels`.

    `vujax.encoders.shots.encode_scenes` passes it scenes, and single shots as scenes of one shot.

    Attributes:
      inputs: shapes of its inputs per shot: 'image' `[k h w 3]` or 'feature' `[f]`.
      max_shots: maximum number of shots of a scene; 1 if it does not take scenes.
    """

    inputs: Mapping[str, tuple[int, ...]]
    max_shots: int

    def encode(self, rows: Mapping[str, np.ndarray]) -> ArrayLike:
        """Return the embeddings float32 `[r s dim]` of packed scenes.

        Results for padding (-1 in `scene`) are arbitrary. An embedding must not depend on the other
        scenes.

        Args:
          rows: rows of packed scenes, see `vujax.data.scene_batches`.
        """


def compute_digest(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> str:
    """Return the hexadecimal sha256 of weights by name and of settings that change embeddings."""
    found = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {value.shape}".encode())
        found.update(np.ascontiguousarray(value).data)
    return found.hexdigest()


def get_levels(encoder: AnyEncoder) -> tuple[str, ...]:
    """Return the levels at which an encoder has embeddings: its native ones and those above."""
    return LEVELS[LEVELS.index(encoder.native_levels[0]) :]


def compute_release_digest(config: Mapping[str, Any], variables: Any) -> str:
    """Return the digest of a release: equal for equal weights, sizes, preprocessing and inputs."""
    settings = {key: config[key] for key in SETTINGS if config.get(key)}
    return compute_digest(flatten_tree(variables), settings)


def get_input_encoder(config: Mapping[str, Any]) -> str | None:
    """Return the name of the encoder whose shot embeddings a release takes, or None."""
    return config.get("vectors") if "feature" in (config.get("inputs") or {}) else None


def add_input_digest(root: Path, digest: str, input_encoder: str | None) -> str:
    """Return the digest of an encoder together with that of its input embeddings in a catalog.

    Args:
      root: directory of the catalog.
      digest: of the encoder alone.
      input_encoder: name of the encoder of its input embeddings; None: it takes none.

    Raises:
      FileNotFoundError: the catalog lacks those embeddings.
    """
    if input_encoder is None:
        return digest
    return combine_digests(digest, open_store(root, "shot", input_encoder).model.digest)


def get_frozen(config: Mapping[str, Any], side: str, name: str) -> tuple[str, str]:
    """Return spec and digest of the frozen encoder that a release's towers stand on.

    Args:
      config: config of the release.
      side: 'image' or 'text'.
      name: name of the release, for the message.

    Raises:
      ValueError: it was trained on embeddings whose encoder is unknown.
    """
    frozen = (config.get("frozen") or {}).get(side) or {}
    if not frozen.get("encoder"):
        raise ValueError(
            f"{name} was trained on {side} embeddings of an unknown encoder, so it takes such "
            "embeddings and no files: train it on features that name their encoder"
        )
    return frozen["encoder"], frozen.get("digest", "")


def check_frozen_digest(name: str, spec: str, found: str, expected: str) -> None:
    """Raise unless a frozen encoder is the one that a release was trained on.

    Args:
      name: name of the release, for the message.
      spec: of the frozen encoder, for the message.
      found: its digest.
      expected: the recorded digest; '' if none was recorded.

    Raises:
      ValueError: the digests differ.
    """
    if expected not in ("", found):
        raise ValueError(
            f"{name} was trained on embeddings of '{spec}' with the digest {expected[:8]}, which "
            f"is now {found[:8]}: restore that encoder, or train again"
        )


def locate_model(spec: str | Path) -> Path:
    """Return the directory of a model; one of the hub is imported into the cache at its first use.

    Args:
      spec: directory, or ORG/MODEL of the hub. The path of a missing directory in one that exists
        is returned as it is: a mistake in a path is no question to the hub.

    Raises:
      ConnectionError, ImportError, FileNotFoundError, ValueError: the hub has no such model, is not
        reachable, or its model is not supported.
    """
    name, path = str(spec), Path(spec)
    if not is_hub_name(name) or path.parent.is_dir():
        return path
    from vujax.models.pretrained.import_model import import_once  # brings JAX

    return import_once(name)


def split_output(spec: str) -> tuple[Path, str]:
    """Return the directory of 'MODEL' or 'MODEL:projection', and the output or ''.

    Raises:
      ConnectionError, ImportError, FileNotFoundError, ValueError: see `locate_model`.
    """
    output = f":{PROJECTION}"
    if spec.endswith(output) and not Path(spec).exists():
        return locate_model(spec.removesuffix(output)), PROJECTION
    return locate_model(spec), ""


def select_output(path: Path, config: Mapping[str, Any], output: str) -> Mapping[str, Any]:
    """Return the config of a release that is opened for one of its outputs.

    Args:
      path: directory of the release, for the message.
      config: config of the release.
      output: PROJECTION, or '' for the encoder's own embeddings.

    Raises:
      ValueError: the model was not trained through a projection.
    """
    if not output:
        return config
    if not (config.get("model") or {}).get(PROJECTION):
        raise ValueError(
            f"{path} has no projection: use it without ':{PROJECTION}', or train it with "
            "model.projection"
        )
    return {**config, "output": output}


def derive_name(path: Path, output: str = "") -> str:
    """Return the encoder name of a model's directory, fit for a catalog.

    It is the directory's own name; for a directory `release`, that of the workdir around it; with
    the name of the output, if any, at its end.
    """
    folder = path.resolve()
    folder = folder.parent if folder.name == release.FOLDER else folder
    suffix = f"-{output}" if output else ""
    name = UNSAFE.sub("-", folder.name).lstrip("-_")[: MAX_NAME_LENGTH - len(suffix)]
    return (name or "encoder") + suffix


def check_level(encoder: AnyEncoder, level: str) -> None:
    """Raise unless an encoder has embeddings of a level.

    Raises:
      ValueError: it has none, or the level is unknown.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}; expected one of: {', '.join(LEVELS)}")
    if level not in get_levels(encoder):
        raise ValueError(
            f"{encoder.name} takes the keyframes of a shot together, so it has no embeddings of "
            f"level {level!r}; use {' or '.join(get_levels(encoder))}"
        )
