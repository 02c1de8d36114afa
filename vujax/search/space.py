"""The space in which texts and pictures are compared: what makes a catalogue's vectors searchable."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

RELEASED = ("lite",)
"""Spaces that need no training; anything else names an image-text release."""


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


def open_space(spec: str) -> TextSpace:
    """The space in which texts meet the vectors of `vujax embed --encoder SPEC`.

    Args:
      spec: `lite`, whose vectors are compared with MiniLM's, or a workdir or folder of a released
        image-text model.

    Raises:
      ValueError: there is no such space, or weights are damaged.
      FileNotFoundError: `spec` names no released model.
      OSError: released weights cannot be had.
      ImportError: the extra [sentences] is not installed.
    """
    raise NotImplementedError(spec)  # replaced in the next commit
