"""Image encoder of towers that were trained on features: a frozen encoder, then the image tower."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from vujax.encoders.base import Encoder, compute_release_digest
from vujax.encoders.devices import ShardedFunction
from vujax.models.feature_towers import build_feature_towers, select_tower

Tree = Any


class FeatureEncoder(Encoder):
    """`Encoder` of images, with embeddings of unit length, like those of the model's texts."""

    def __init__(
        self, name: str, config: Mapping[str, Any], variables: Tree, *, frozen: Encoder
    ) -> None:
        """Build the tower.

        Args:
          name: name of the encoder.
          config: config of the release.
          variables: variables of the release.
          frozen: encoder whose embeddings the tower takes.
        """
        self.name, self.image_spec, self._frozen = name, frozen.image_spec, frozen
        self.digest = compute_release_digest(config, variables)
        self.preprocess = frozen.preprocess
        model = build_feature_towers(**config["model"])
        self._tower = ShardedFunction(
            lambda variables, rows: model.apply(variables, rows, method="encode_image")[0],
            select_tower(variables, "image"),
        )
        self.dim = model.image.dim

    def encode(self, images: np.ndarray) -> jax.Array:
        """Return the embeddings float32 `[b dim]`, of unit length, of images uint8."""
        return self._tower(self._frozen.encode(images))
