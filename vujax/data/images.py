"""Decoding, cropping and resizing of images, and of the keyframes of shots.

Training takes a random crop (RandomResizedCrop, Szegedy et al. 2015, arXiv:1409.4842, with CLIP's
mild scale as default). Evaluation resizes and crops the center, as CLIP does, or squashes the whole
image into the model's shape, as SigLIP does.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vujax.data.records import IMAGE_FORMATS, BadSample
from vujax.models.image_spec import ImageSpec
from vujax.utils.validation import check_known

FORMATS = tuple(IMAGE_FORMATS)
ORIENTATION = 0x0112
BICUBIC = Image.Resampling.BICUBIC
INTERPOLATIONS = {"bicubic": BICUBIC, "bilinear": Image.Resampling.BILINEAR}
GRAY_16 = ("I", "I;16", "I;16B", "I;16L", "I;16N")
Box = tuple[float, float, float, float]
"""Left, upper, right, lower, in pixels of the upright image."""


@dataclass(frozen=True)
class Augment:
    """Augmentation of training images.

    Attributes:
      scale: smallest and largest share of the image's area that is cropped; (1, 1): the center.
      ratio: smallest and largest width / height of the crop, relative to that of
        the images of the model.
      flip: mirror half of the images (beware of captions that mention left or right).
    """

    scale: tuple[float, float] = (0.9, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(
                f"augment.scale must be two shares in order, in (0, 1], got {self.scale}"
            )
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(
                f"augment.ratio must be two positive numbers in order, got {self.ratio}"
            )

    @classmethod
    def from_config(cls, options: Any) -> "Augment":
        """Build from a config; a ValueError names an unknown option."""
        check_known("augment", options, [field.name for field in fields(cls)])
        return cls(**options)


def preprocess_train_image(
    image: bytes | np.ndarray, rng: np.random.Generator, *, spec: ImageSpec, augment: Augment
) -> np.ndarray:
    """Decode, randomly crop and resize a training image.

    Args:
      image: encoded file, or uint8 `[h w 3]`.
      rng: the only source of randomness.
      spec: shape of the result.
      augment: ranges of the crop.

    Returns:
      uint8 `[height width 3]`.

    Raises:
      BadSample: the file cannot be decoded.
    """
    if isinstance(image, np.ndarray):
        return _train_image(Image.fromarray(image), rng, spec, augment)
    return _decode(image, lambda opened: _train_image(opened, rng, spec, augment))


def preprocess_eval_image(image: bytes | np.ndarray, spec: ImageSpec) -> np.ndarray:
    """Decode and resize an evaluation image.

    Args:
      image: encoded file, or uint8 `[h w 3]`.
      spec: shape and resizing.

    Returns:
      uint8 `[height width 3]`.

    Raises:
      BadSample: the file cannot be decoded.
      KeyError: the resizing or interpolation is unknown.
    """
    fit = {"shortest": _crop_center, "squash": _squash}[spec.resize]
    sampling = INTERPOLATIONS[spec.interpolation]
    if isinstance(image, np.ndarray):
        if image.shape == spec.shape:
            return image
        return fit(Image.fromarray(image), spec, sampling)
    # No reduced-size decoding here: pixels must be those behind published numbers.
    return _decode(image, lambda opened: fit(to_rgb(opened), spec, sampling))


def decode_image(image: bytes) -> np.ndarray:
    """Decode an image at its full size, uint8 `[h w 3]`; raises like `preprocess_eval_image`."""
    return _decode(image, lambda opened: np.asarray(to_rgb(opened)))


def _decode(data: bytes, use: Any) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            return use(opened)
    except UnidentifiedImageError:  # its message has an address, new at each call
        raise BadSample(f"its image is not one of {', '.join(FORMATS)}, or damaged") from None
    except Exception as error:
        # Pillow raises almost any exception for damaged files (OSError, SyntaxError, ValueError,
        # struct.error, DecompressionBombError ...).
        raise BadSample(f"its image cannot be decoded ({error})") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to upright RGB; transparent parts become white."""
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in GRAY_16:  # Pillow would clip at 255
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    return image.getexif().get(ORIENTATION, 1)


def _squash(image: Image.Image, spec: ImageSpec, sampling: Image.Resampling) -> np.ndarray:
    if image.size != (spec.width, spec.height):
        image = image.resize((spec.width, spec.height), sampling)
    return np.asarray(image)


def _crop_center(image: Image.Image, spec: ImageSpec, sampling: Image.Resampling) -> np.ndarray:
    """Resize the image so that it just covers the shape, and crop what is too long."""
    width, height = image.size
    is_narrow = width * spec.height <= height * spec.width
    short, size = (width, spec.width) if is_narrow else (height, spec.height)
    if short != size:
        width, height = int(size * width / short), int(size * height / short)
        image = image.resize((width, height), sampling)
    left, upper = round((width - spec.width) / 2), round((height - spec.height) / 2)
    return np.asarray(image.crop((left, upper, left + spec.width, upper + spec.height)))


def _train_image(
    image: Image.Image, rng: np.random.Generator, spec: ImageSpec, augment: Augment
) -> np.ndarray:
    is_rotated = _orientation(image) in (5, 6, 7, 8)
    width, height = image.size[::-1] if is_rotated else image.size
    box = sample_crop_box(width, height, rng, augment, spec.width / spec.height)
    flip = augment.flip and rng.random() < 0.5
    # JPEG decodes at 1/2, 1/4 or 1/8 cheaply, if the crop still has the shape's pixels.
    needed = (
        math.ceil(spec.width * width / (box[2] - box[0])),
        math.ceil(spec.height * height / (box[3] - box[1])),
    )
    image.draft("RGB", needed[::-1] if is_rotated else needed)
    image = to_rgb(image)
    x, y = image.size[0] / width, image.size[1] / height
    box = (box[0] * x, box[1] * y, box[2] * x, box[3] * y)
    image = image.resize((spec.width, spec.height), BICUBIC, box=box, reducing_gap=3.0)
    return np.asarray(ImageOps.mirror(image) if flip else image)


def sample_crop_box(
    width: int, height: int, rng: np.random.Generator, augment: Augment, aspect: float = 1.0
) -> Box:
    """Sample a crop of a `width` x `height` image, with area and ratio drawn from `augment`.

    Draws up to ten times until a crop fits into the image, then takes the largest centered one with
    an allowed ratio. The ratio is uniform in its logarithm. `aspect` is the width / height that the
    ratios of `augment` multiply.
    """
    small, large = augment.scale
    narrow, wide = (ratio * aspect for ratio in augment.ratio)
    for a, r, x, y in rng.random((10, 4)).tolist():  # one call: calls cost more than numbers
        area = width * height * (small + a * (large - small))
        ratio = narrow * (wide / narrow) ** r
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, upper = int(x * (width - w + 1)), int(y * (height - h + 1))
            return left, upper, left + w, upper + h
    w = min(width, height * wide)
    h = min(height, width / narrow)
    left, upper = (width - w) / 2, (height - h) / 2
    return left, upper, left + w, upper + h


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
    spec: ImageSpec | None,
    name: Callable[[int], str],
) -> np.ndarray:
    """Decode keyframes, each of them once.

    Args:
      numbers: int `[k frames]`, numbers of the keyframes, which may repeat.
      read: returns the encoded file of a number.
      spec: see `preprocess_eval_image`; None: full images.
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
                decode_image(data) if spec is None else preprocess_eval_image(data, spec)
            )
        except BadSample as error:
            raise ValueError(f"{name(number)}: {error}") from None
        if decoded[-1].shape != decoded[0].shape:
            raise ValueError(
                f"{name(number)} differs in size from {name(unique[0])}: set image_size"
            )
    shape = (*numbers.shape, *(decoded[0].shape if decoded else (0, 0, 3)))
    return np.array(decoded, np.uint8)[inverse.reshape(-1)].reshape(shape)
