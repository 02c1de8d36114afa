"""A picture as a query."""

from pathlib import Path

import numpy as np

from vujax.catalog.vectors import Model
from vujax.embed.encoders import Encoder
from vujax.search.index import Index


def picture_vector(path: Path, encoder: Encoder, index: Index) -> np.ndarray:
    """A picture's unit vector in the index's space, float32 `[d]`.

    Args:
      path: of the picture.
      encoder: that made the index's vectors.
      index: to be searched.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no picture, or the encoder is not the one that made the index's vectors.
    """
    made = Model(encoder.name, encoder.digest, encoder.dim)
    if made != index.model:
        raise ValueError(
            f"the catalogue's vectors are of {index.model.folder}, and this encoder is "
            f"{made.folder}: run `vujax embed` with it first"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        pixels = encoder.picture(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no picture that can be read ({error})") from None
    vector = np.asarray(encoder.encode(pixels[None]), np.float32)
    return index.space.images(vector)[0]
