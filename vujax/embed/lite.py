"""The encoder `lite`: EfficientNet-Lite0's pooled features, which need no training."""

from typing import Any

import jax
import numpy as np

from vujax import weights
from vujax.embed.devices import OnDevices
from vujax.embed.encoders import WEIGHTS, Encoder, digest
from vujax.models import efficientnet

# `picture` says how a keyframe becomes the network's input: see `vujax.data.images.eval_image`.
SETTINGS = {
    "network": WEIGHTS["lite"],
    "picture": "shorter side bicubic, centre square",
    "size": efficientnet.IMAGE_SIZE,
    "features": "pooled",
}


class Lite(Encoder):
    """An `Encoder`; its vectors are the means of the last feature map, not normalised."""

    name = "lite"
    size = efficientnet.IMAGE_SIZE
    dim = efficientnet.FEATURES

    def __init__(self) -> None:
        """Loads the weights.

        Raises:
          ValueError, OSError: see `vujax.weights.load`.
        """
        tensors = weights.load(WEIGHTS["lite"])
        self.digest = digest(tensors, SETTINGS)
        self._network = OnDevices(features, efficientnet.from_released(tensors))

    def encode(self, images: np.ndarray) -> jax.Array:
        """Pictures uint8 `[b 224 224 3]` -> float32 `[b 1280]`, still being computed."""
        return self._network(images)


def features(variables: Any, images: jax.Array) -> jax.Array:
    """Pictures uint8 `[b h w 3]` -> float32 `[b 1280]`."""
    return efficientnet.EfficientNetLite0().apply(variables, images)[0]
