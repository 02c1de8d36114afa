"""The image tower of an image-text model, trained here or imported, as an encoder of pictures."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from vujax import models
from vujax.data.images import eval_image
from vujax.embed.devices import OnDevices
from vujax.embed.encoders import Encoder
from vujax.embed.trained import digest_of

Tree = Any
HOW = ("resize", "interpolation")


class ImageText(Encoder):
    """An `Encoder`; its vectors are of length 1, as the model's texts are."""

    def __init__(self, name: str, config: Mapping[str, Any], variables: Tree) -> None:
        """Builds the model.

        Args:
          name: of the encoder.
          config: of the release. `preprocess` says how a picture becomes `size` pixels wide and
            high: see `vujax.data.images.eval_image`.
          variables: of the release.

        Raises:
          ValueError: the settings cannot be.
        """
        model = models.build(**config["model"])
        self.name, self.digest, self.size = name, digest_of(config, variables), model.image_size
        given = config.get("preprocess") or {}
        self._how = {key: given[key] for key in HOW if key in given}
        params = {key: value for key, value in variables["params"].items() if key != "text"}

        def embed(variables: Tree, images: jax.Array) -> jax.Array:
            return model.apply(variables, images, method="encode_image")[0]

        self._network = OnDevices(embed, {**variables, "params": params})
        self.dim = self._network.dim(np.zeros((1, self.size, self.size, 3), np.uint8))

    def picture(self, file: bytes) -> np.ndarray:
        """See `Encoder`; as the model saw pictures when it learned."""
        return eval_image(file, size=self.size, **self._how)

    def encode(self, images: np.ndarray) -> jax.Array:
        """Pictures uint8 `[b size size 3]` -> unit vectors float32 `[b dim]`."""
        return self._network(images)
