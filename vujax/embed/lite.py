"""The encoder `lite`: EfficientNet-Lite0's pooled features, which need no training."""

from typing import Any

import jax
import numpy as np

from vujax import weights
from vujax.embed.encoders import WEIGHTS, digest
from vujax.mesh import by_rows, make_mesh, replicated
from vujax.models import efficientnet

# `picture` says how a keyframe becomes the network's input: see `vujax.data.images.eval_image`.
SETTINGS = {
    "network": WEIGHTS["lite"],
    "picture": "shorter side bicubic, centre square",
    "size": efficientnet.IMAGE_SIZE,
    "features": "pooled",
}


@jax.jit
def features(variables: Any, images: jax.Array) -> jax.Array:
    """Pictures uint8 `[b h w 3]` -> float32 `[b 1280]`."""
    return efficientnet.EfficientNetLite0().apply(variables, images)[0]


class Lite:
    """An `Encoder`; its vectors are the means of the last feature map, not normalised.

    All devices of the process share each batch.
    """

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
        self._mesh = make_mesh(jax.local_devices())
        variables = efficientnet.from_released(tensors)
        self._variables = jax.device_put(variables, replicated(self._mesh))

    def encode(self, images: np.ndarray) -> jax.Array:
        """Pictures uint8 `[b 224 224 3]` -> float32 `[b 1280]`, still being computed."""
        count = len(images)
        if padding := -count % self._mesh.size:
            images = np.pad(images, ((0, padding), (0, 0), (0, 0), (0, 0)))
        placed = jax.device_put(images, by_rows(self._mesh))
        found = features(self._variables, placed)
        return found[:count] if padding else found
