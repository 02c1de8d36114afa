"""The image tower of an image-text model, trained here or imported, as an encoder of pictures.

The text tower of an image-text model, trained here or imported, as an encoder of texts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vujax import models
from vujax.data.images import preprocess_eval_image
from vujax.encoders.base import Encoder, digest_of, name_of
from vujax.encoders.devices import ShardedFunction, build_weight_mesh
from vujax.models import release
from vujax.models.inputs import open_tokenizer
from vujax.models.tokenizers.clip import check_texts
from vujax.utils.mesh import replicated_sharding, row_sharding

Tree = Any

BATCH = 64


class TextEncoder:
    """Texts as unit vectors, in the space of the same release's pictures.

    Attributes:
      name: of the folder.
      digest: equal to that of the release's encoder of pictures.
      dim: numbers of a vector.
    """

    def __init__(self, path: Path) -> None:
        """Loads a release; see `open_text_encoder`."""
        self._tokenizer = open_tokenizer(path)
        config, variables = release.load_host(path)
        self.name, self.digest = name_of(path), digest_of(config, variables)
        model = models.build_clip(**config["model"])
        self.dim = model.text.embed_dim
        params = {key: value for key, value in variables["params"].items() if key != "image"}
        self._mesh = build_weight_mesh(params)
        self._variables = jax.device_put({"params": params}, replicated_sharding(self._mesh))

        def encode(variables: Tree, tokens: jax.Array) -> jax.Array:
            return model.apply(variables, tokens, method="encode_text")[0]

        self._encode = jax.jit(encode)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Texts -> unit vectors float32 `[n dim]`.

        Raises:
          TypeError: `texts` is one string, or an entry is no string.
          ImportError: the model's own tokenizer needs the extra [sentences].
        """
        check_texts(texts)
        parts = [self._rows(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
        return np.concatenate([np.zeros((0, self.dim), np.float32), *parts])

    def _rows(self, texts: Sequence[str]) -> np.ndarray:
        # Few sizes, so few programs; a single query does not wait for a batch.
        size = max(1 << (len(texts) - 1).bit_length(), self._mesh.size)
        size += -size % self._mesh.size
        tokens = self._tokenizer([*texts, *[""] * (size - len(texts))])
        placed = jax.device_put(tokens, row_sharding(self._mesh))
        return np.asarray(self._encode(self._variables, placed))[: len(texts)]


def open_text_encoder(spec: str | Path) -> TextEncoder:
    """The encoder of texts of an image-text model, on this process's devices.

    Args:
      spec: workdir or folder of a release.

    Raises:
      FileNotFoundError: there is no model.
      ValueError: it is damaged, or reads no texts.
    """
    return TextEncoder(Path(spec))


PREPROCESS_KEYS = ("resize", "interpolation")


class ImageText(Encoder):
    """An `Encoder`; its vectors are of length 1, as the model's texts are."""

    def __init__(self, name: str, config: Mapping[str, Any], variables: Tree) -> None:
        """Builds the model.

        Args:
          name: of the encoder.
          config: of the release. `preprocess` says how a picture becomes `size` pixels wide and
            high: see `vujax.data.images.preprocess_eval_image`.
          variables: of the release.

        Raises:
          ValueError: the settings cannot be.
        """
        model = models.build_clip(**config["model"])
        self.name, self.digest, self.size = name, digest_of(config, variables), model.image_size
        given = config.get("preprocess") or {}
        self._how = {key: given[key] for key in PREPROCESS_KEYS if key in given}
        params = {key: value for key, value in variables["params"].items() if key != "text"}

        def embed(variables: Tree, images: jax.Array) -> jax.Array:
            return model.apply(variables, images, method="encode_image")[0]

        self._network = ShardedFunction(embed, {**variables, "params": params})
        self.dim = self._network.dim(np.zeros((1, self.size, self.size, 3), np.uint8))

    def picture(self, file: bytes) -> np.ndarray:
        """See `Encoder`; as the model saw pictures when it learned."""
        return preprocess_eval_image(file, size=self.size, **self._how)

    def encode(self, images: np.ndarray) -> jax.Array:
        """Pictures uint8 `[b size size 3]` -> unit vectors float32 `[b dim]`."""
        return self._network(images)
