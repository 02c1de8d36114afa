"""Networks that make vectors of pictures, by name."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from vujax import weights

WEIGHTS = {"lite": "efficientnet-lite0"}
"""Released encoders, and which of `vujax.weights` each needs."""


class Encoder(Protocol):
    """A network that sees one picture at a time.

    Attributes:
      name: letters, digits, - and _.
      digest: see `digest`: two encoders of one digest give the same vectors.
      size: height and width of the pictures that it sees.
      dim: numbers of a vector.
    """

    name: str
    digest: str
    size: int
    dim: int

    def encode(self, images: np.ndarray) -> ArrayLike:
        """Pictures uint8 `[b size size 3]` -> float32 `[b dim]`.

        The result may be a JAX array that is still being computed. A vector may not depend on the
        other pictures of the batch.
        """


def digest(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> str:
    """sha256, in hexadecimal, of weights by name and of the settings that change vectors."""
    found = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {value.shape}".encode())
        found.update(np.ascontiguousarray(value).data)
    return found.hexdigest()


def check(name: str) -> None:
    """Raises unless there is such an encoder; fetches its weights at the first use.

    Raises:
      ValueError: there is none.
      OSError: its weights cannot be had.
    """
    if name not in WEIGHTS:
        raise ValueError(f"there is no encoder {name!r}: there is {', '.join(WEIGHTS)}")
    weights.fetch(WEIGHTS[name])


def released(name: str) -> Encoder:
    """A released encoder, on this process's devices; raises like `check`."""
    check(name)
    from vujax.embed.lite import Lite  # brings JAX

    return Lite()
