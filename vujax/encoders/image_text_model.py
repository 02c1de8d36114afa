"""A trained or imported image-text model behind two calls."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vujax import encoders
from vujax.data.images import to_rgb
from vujax.encoders.base import locate_model
from vujax.encoders.image_text import FeatureEncoder, ImageTextEncoder
from vujax.encoders.texts import AnyTextEncoder, open_text_encoder

BATCH = 32

ImageLike = str | Path | bytes | Image.Image | np.ndarray


class ImageTextModel:
    """An image-text model with its preprocessing and its tokenizer.

    Attributes:
      name: of the model's directory.
      dim: dimension of the embeddings.
      image_spec: shape and resizing of what the image tower sees.
    """

    def __init__(self, path: Path, images: ImageTextEncoder | FeatureEncoder) -> None:
        """Load a model; see `load_model`."""
        self._path, self._images = path, images
        self._texts: AnyTextEncoder | None = None
        self.name, self.dim, self.image_spec = images.name, images.dim, images.image_spec

    def encode_image(self, images: Sequence[ImageLike] | np.ndarray) -> np.ndarray:
        """Return embeddings of images, float32 `[n dim]`, unit length.

        Args:
          images: uint8 `[n h w 3]`, RGB; or a list of paths, encoded files, PIL images and uint8
            arrays `[h w 3]`. All are resized as the model was trained.

        Raises:
          TypeError: `images` is one image, not a list.
          ValueError: an image cannot be decoded, or is not uint8 `[h w 3]`.
          FileNotFoundError: a path is missing.
        """
        if isinstance(images, str | bytes | Path | Image.Image):
            raise TypeError("encode_image takes a list of images: write [image]")
        rows = [self._images.preprocess(_to_source(image, n)) for n, image in enumerate(images)]
        parts = [
            np.asarray(self._images.encode(np.stack(rows[i : i + BATCH])), np.float32)
            for i in range(0, len(rows), BATCH)
        ]
        return np.concatenate([np.zeros((0, self.dim), np.float32), *parts])

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of texts, float32 `[n dim]`, unit length.

        Raises:
          TypeError: `texts` is one string, or an entry is no string.
          ImportError: the model's own tokenizer needs the extra [sentences].
        """
        if self._texts is None:  # weights of the text tower are read when they are needed
            self._texts = open_text_encoder(self._path)
        return self._texts.encode(texts)


def load_model(path: str | Path) -> ImageTextModel:
    """Load an image-text model that was trained here or imported.

    Args:
      path: workdir of a training, directory of a release, or ORG/MODEL of the hub.

    Raises:
      FileNotFoundError: the directory holds no model.
      ValueError: the model is damaged, or is not an image-text model.
    """
    encoder: Any = encoders.open_encoder(str(path))
    if not isinstance(encoder, ImageTextEncoder | FeatureEncoder):
        raise ValueError(
            f"{path} is not an image-text model: compute its embeddings of a catalog with "
            "`vujax embed`"
        )
    return ImageTextModel(locate_model(path), encoder)


def _to_source(image: ImageLike, number: int) -> bytes | np.ndarray:
    """Return the encoded file or the pixels of an image."""
    if isinstance(image, str | Path):
        return Path(image).read_bytes()
    if isinstance(image, Image.Image):
        return np.asarray(to_rgb(image))
    if isinstance(image, bytes):
        return image
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] != 3:
        raise ValueError(
            f"image {number} is {pixels.dtype} {list(pixels.shape)}: give uint8 [h w 3], RGB"
        )
    return pixels
