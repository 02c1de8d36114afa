"""The space where texts meet pictures: what makes the vectors of a catalogue searchable."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

LITE = ("lite", "lite-conse", "lite-head")
"""Spaces of the encoder `lite`; anything else names a released image-text model."""


class TextSpace(Protocol):
    """Maps texts, and the vectors that an encoder stored in a catalogue, into one space.

    A text and a picture are compared by the product of their vectors there, which is their cosine.

    Attributes:
      name: letters, digits, - and _.
      digest: in hexadecimal; two spaces of one digest give the same vectors.
      dim: numbers of a vector of this space.
    """

    name: str
    digest: str
    dim: int

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts -> float32 `[n dim]`, unit vectors; ensembles of prompts are the caller's.

        Raises:
          TypeError: `texts` is one string, or an entry is no string.
        """

    def images(self, vectors: np.ndarray) -> np.ndarray:
        """What the encoder stored, float32 `[n d]` -> float32 `[n dim]`, unit vectors.

        Vectors are those of frames, or means of them, such as those of shots and scenes.

        Raises:
          ValueError: vectors of another width, or a number that is not finite.
        """


class ReleaseSpace:
    """The `TextSpace` of an image-text model, whose vectors of pictures are in it already."""

    def __init__(self, encoder: Any) -> None:
        """Takes what `vujax.embed.texts.open_text_encoder` gives."""
        self.name, self.digest, self.dim = encoder.name, encoder.digest, encoder.dim
        self.texts = encoder.encode

    def images(self, vectors: np.ndarray) -> np.ndarray:
        """See `TextSpace.images`; only the lengths change, since means are no unit vectors."""
        vectors = checked(vectors, self.dim, self.name)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def checked(vectors: np.ndarray, width: int, encoder: str) -> np.ndarray:
    """Vectors as float32.

    Raises:
      ValueError: they are not `[n width]`, or a number is not finite.
    """
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise ValueError(
            f"Vectors of shape {list(vectors.shape)} are not of the encoder '{encoder}', which "
            f"gives [n {width}]: open the text space of the encoder that made them."
        )
    if not np.isfinite(vectors).all():
        raise ValueError("A vector holds a number that is not finite: embed its film again.")
    return vectors


def open_space(spec: str) -> TextSpace:
    """The space in which texts meet the vectors of `vujax embed --encoder SPEC`.

    Args:
      spec: of LITE, all for the vectors of the encoder `lite`; or a workdir or folder of a released
        image-text model.

    Raises:
      ValueError: there is no such space, or weights are damaged.
      FileNotFoundError: `spec` names a folder without a released model.
      OSError: released weights cannot be had.
      ImportError: the extra [sentences] is not installed.
    """
    if spec in LITE:
        from vujax.search.lite_space import open_lite  # brings JAX

        return open_lite(spec)
    if not Path(spec).exists():
        raise ValueError(
            f"There is no text space {spec!r}: take {', '.join(LITE)}, or the folder of a trained "
            "or imported image-text model."
        )
    from vujax.embed.texts import open_text_encoder

    return ReleaseSpace(open_text_encoder(spec))
