"""Image and text encoders of an image-text model, trained here or imported.

`FeatureEncoder` is of towers that were trained on features: a frozen encoder, then the image tower.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from vujax import models
from vujax.encoders.base import Encoder, compute_release_digest, derive_name
from vujax.models import release
from vujax.models.feature_towers import build_feature_towers, select_tower
from vujax.models.inference import ShardedFunction, build_weight_mesh, open_function
from vujax.models.inputs import open_tokenizer
from vujax.models.tokenizers.clip import check_texts
from vujax.utils.mesh import replicated_sharding, row_sharding

Tree = Any

BATCH = 64


class TextEncoder:
    """Encoder of texts, into the embedding space of the same release's images.

    Attributes:
      name: name of the release's directory.
      digest: digest of the release, equal to that of its image encoder.
      dim: dimension of an embedding.
    """

    def __init__(self, path: Path) -> None:
        """Load a release; see `vujax.encoders.texts.open_text_encoder`."""
        self._tokenizer = open_tokenizer(path)
        config, variables = release.load_host(path)
        self.name, self.digest = derive_name(path), compute_release_digest(config, variables)
        model = models.build_clip(**config["model"])
        self.dim = model.text.embed_dim
        params = {key: value for key, value in variables["params"].items() if key != "image"}
        self._mesh = build_weight_mesh(params)
        self._variables = jax.device_put({"params": params}, replicated_sharding(self._mesh))

        def encode(variables: Tree, tokens: jax.Array) -> jax.Array:
            return model.apply(variables, tokens, method="encode_text")[0]

        self._encode = jax.jit(encode)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of texts, float32 `[n dim]` of unit length.

        Raises:
          TypeError: `texts` is one string, or an entry is not a string.
          ImportError: the model's own tokenizer needs the extra [sentences].
        """
        check_texts(texts)
        parts = [self._rows(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
        return np.concatenate([np.zeros((0, self.dim), np.float32), *parts])

    def _rows(self, texts: Sequence[str]) -> np.ndarray:
        # Few sizes, so few compilations; a single query does not wait for a full batch.
        size = max(1 << (len(texts) - 1).bit_length(), self._mesh.size)
        size += -size % self._mesh.size
        tokens = self._tokenizer([*texts, *[""] * (size - len(texts))])
        placed = jax.device_put(tokens, row_sharding(self._mesh))
        return np.asarray(self._encode(self._variables, placed))[: len(texts)]


class ImageTextEncoder(Encoder):
    """`Encoder` of images, with embeddings of unit length, like those of the model's texts."""

    def __init__(self, name: str, config: Mapping[str, Any], variables: Tree) -> None:
        """Build the model.

        Args:
          name: name of the encoder.
          config: config of the release; `preprocess` is of `ImageSpec.with_preprocess`.
          variables: variables of the release.

        Raises:
          ValueError: a setting is invalid.
        """
        model = models.build_clip(**config["model"])
        self.name, self.digest = name, compute_release_digest(config, variables)
        self.image_spec = model.image_spec.with_preprocess(config.get("preprocess"))
        params = {key: value for key, value in variables["params"].items() if key != "text"}

        def embed(variables: Tree, images: jax.Array) -> jax.Array:
            return model.apply(variables, images, method="encode_image")[0]

        self._network = open_function(embed, {**variables, "params": params})
        self.dim = self._network.dim(self.image_spec.zeros(1))

    def encode(self, images: np.ndarray) -> ArrayLike:
        """Return the embeddings float32 `[b dim]`, of unit length, of images uint8."""
        return self._network(images)


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
        rows = self._frozen.encode(images)
        return self._tower(rows if isinstance(rows, jax.Array) else np.asarray(rows))
