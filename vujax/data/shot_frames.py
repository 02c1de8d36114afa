"""The keyframes of shots, decoded."""

from collections.abc import Callable

import numpy as np

from vujax.data.images import decode_image, preprocess_eval_image
from vujax.data.records import BadSample


def evenly(there: int, frames: int) -> list[int]:
    """Which of the pictures of a shot stand for it: `frames` positions in [0, there).

    The middles of equal parts; fewer pictures than are asked for are repeated.

    Raises:
      ValueError: none is asked for.
    """
    if frames < 1:
        raise ValueError(f"frames is {frames}: ask for at least 1 picture of each shot")
    return [(2 * i + 1) * there // (2 * frames) for i in range(frames)]


def decode_keyframes(
    numbers: np.ndarray,
    read: Callable[[int], bytes],
    size: int | None,
    name: Callable[[int], str],
) -> np.ndarray:
    """Decodes pictures, each of them once.

    Args:
      numbers: int `[k frames]`, of the pictures; the same one may occur often.
      read: gives the file of a picture by its number.
      size: of the square that is cut from the middle, see `eval_image`; None: whole pictures.
      name: of a picture by its number, for messages.

    Returns:
      uint8 `[k frames h w 3]`.

    Raises:
      ValueError: one cannot be decoded, or whole ones differ in size.
    """
    unique, places = np.unique(numbers, return_inverse=True)
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
                f"{name(number)} is of another size than {name(unique[0])}: give image_size"
            )
    shape = (*numbers.shape, *(decoded[0].shape if decoded else (0, 0, 3)))
    return np.array(decoded, np.uint8)[places.reshape(-1)].reshape(shape)
