"""Selection and decoding of the keyframes of shots."""

from collections.abc import Callable

import numpy as np

from vujax.data.images import decode_image, preprocess_eval_image
from vujax.data.records import BadSample


def sample_evenly(total: int, frames: int) -> list[int]:
    """Return `frames` evenly spaced positions in [0, total), the centers of equal parts.

    Positions repeat if `frames` is larger than `total`.

    Raises:
      ValueError: `frames` is below 1.
    """
    if frames < 1:
        raise ValueError(f"frames must be at least 1 image per shot, got {frames}")
    return [(2 * i + 1) * total // (2 * frames) for i in range(frames)]


def decode_keyframes(
    numbers: np.ndarray,
    read: Callable[[int], bytes],
    size: int | None,
    name: Callable[[int], str],
) -> np.ndarray:
    """Decode keyframes, each of them once.

    Args:
      numbers: int `[k frames]`, numbers of the keyframes, which may repeat.
      read: returns the encoded file of a number.
      size: side of the center square, see `preprocess_eval_image`; None: full images.
      name: returns the name of a number, for messages.

    Returns:
      uint8 `[k frames h w 3]`.

    Raises:
      ValueError: an image cannot be decoded, or full images differ in size.
    """
    unique, inverse = np.unique(numbers, return_inverse=True)
    decoded = []
    for number in unique.tolist():
        try:
            data = read(number)
            decoded.append(
                decode_image(data) if size is None else preprocess_eval_image(data, size=size)
            )
        except BadSample as error:
            raise ValueError(f"{name(number)}: {error}") from None
        if decoded[-1].shape != decoded[0].shape:
            raise ValueError(
                f"{name(number)} differs in size from {name(unique[0])}: set image_size"
            )
    shape = (*numbers.shape, *(decoded[0].shape if decoded else (0, 0, 3)))
    return np.array(decoded, np.uint8)[inverse.reshape(-1)].reshape(shape)
