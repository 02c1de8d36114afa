"""Text encoders: the sentence encoder, and the text sides of trained models."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from vujax.encoders.base import (
    check_frozen_digest,
    compute_release_digest,
    derive_name,
    get_frozen,
    locate_model,
)
from vujax.encoders.image_text import TextEncoder
from vujax.models import release
from vujax.models.feature_towers import build_feature_towers, select_tower
from vujax.models.inference import ShardedFunction

SENTENCES = "minilm"
"""The released encoder of sentences, for image encoders without a text side."""


class AnyTextEncoder(Protocol):
    """Encoder of texts into the space of the same model's images.

    Attributes:
      name: letters, digits, - and _.
      digest: equal to that of the model's image encoder.
      dim: dimension of an embedding.
    """

    name: str
    digest: str
    dim: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of texts, float32 `[n dim]` of unit length."""


class FrozenTexts(NamedTuple):
    """A text encoder whose embeddings are the inputs of a tower.

    Attributes:
      name: of the encoder.
      digest: see `vujax.encoders.base.compute_digest`.
      encode: texts -> float32 `[n d]`.
    """

    name: str
    digest: str
    encode: Callable[[Sequence[str]], np.ndarray]


def open_text_encoder(spec: str | Path) -> AnyTextEncoder:
    """Open the text encoder of an image-text model, or of towers on frozen features.

    Args:
      spec: workdir, directory of a release, or ORG/MODEL of the hub.

    Raises:
      FileNotFoundError: there is no model.
      ValueError: the model is damaged, or does not take texts.
      ImportError: an extra is not installed.
      OSError: the hub is not reachable.
    """
    path = locate_model(spec)
    config = release.read_config(release.find(path))
    if "frozen" in config:
        return FeatureTextEncoder(path)
    return TextEncoder(path)


def open_frozen_texts(spec: str) -> FrozenTexts:
    """Open a text encoder for inputs of towers.

    Args:
      spec: 'minilm', or the directory of an image-text model.

    Raises:
      FileNotFoundError, ValueError, OSError, ImportError: it cannot be opened.
    """
    if spec == SENTENCES:
        from vujax.encoders.sentences import SentenceEncoder

        sentences = SentenceEncoder()
        return FrozenTexts(SENTENCES, sentences.digest, sentences)
    path = locate_model(spec)
    if not path.exists():
        raise ValueError(
            f"unknown text encoder {spec!r}; expected {SENTENCES} or the directory of an "
            "image-text model"
        )
    opened = TextEncoder(path)
    return FrozenTexts(opened.name, opened.digest, opened.encode)


def choose_text_encoder(encoder: str) -> str:
    """Return the text encoder that goes with an encoder of images: its own, or 'minilm'.

    Args:
      encoder: see `vujax.encoders.open_encoder`.
    """
    path = locate_model(encoder)
    if not path.exists():
        return SENTENCES
    config: Mapping[str, Any] = release.read_config(release.find(path))
    return encoder if isinstance(config.get("model", {}).get("text"), Mapping) else SENTENCES


class FeatureTextEncoder:
    """Text tower on a frozen text encoder; an `AnyTextEncoder`."""

    def __init__(self, path: Path) -> None:
        """Load a release of towers.

        Raises:
          ValueError: its text encoder is unknown or has changed, or the release is damaged.
        """
        config, variables = release.load_host(path)
        spec, digest = get_frozen(config, "text", str(path))
        self._texts = open_frozen_texts(spec)
        check_frozen_digest(str(path), spec, self._texts.digest, digest)
        self.name, self.digest = derive_name(path), compute_release_digest(config, variables)
        model = build_feature_towers(**config["model"])
        self.dim = model.text.dim
        self._tower = ShardedFunction(
            lambda variables, rows: model.apply(variables, rows, method="encode_text")[0],
            select_tower(variables, "text"),
        )

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """See `AnyTextEncoder.encode`."""
        if not len(texts):
            return np.zeros((0, self.dim), np.float32)
        return np.asarray(self._tower(self._texts.encode(texts)), np.float32)
