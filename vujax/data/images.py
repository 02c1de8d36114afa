"""From a picture's file to pixels: decode, crop, resize.

Training takes a random part (RandomResizedCrop, Szegedy et al. 2015, arXiv:1409.4842, with CLIP's
mild scale as default); evaluation resizes the shorter side and cuts the centre, as CLIP does, or
squeezes the whole picture into the square, as SigLIP does.
"""

import io
import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vujax.data.records import BadSample

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # Pillow's others run programs or are never photos
ORIENTATION = 0x0112
BICUBIC = Image.Resampling.BICUBIC
RESIZES = ("shortest", "squash")
INTERPOLATIONS = {"bicubic": BICUBIC, "bilinear": Image.Resampling.BILINEAR}
GRAY_16 = ("I", "I;16", "I;16B", "I;16L", "I;16N")
Box = tuple[float, float, float, float]
"""Left, upper, right, lower, in pixels of the upright picture."""


@dataclass(frozen=True)
class Augment:
    """How training sees a picture.

    Attributes:
      scale: least and greatest share of the picture's area that is kept; (1, 1): the centre crop.
      ratio: least and greatest width / height of the kept part before it becomes square.
      flip: whether half of the pictures are mirrored (captions may say left and right).
    """

    scale: tuple[float, float] = (0.9, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"augment.scale must be two shares in order, in (0, 1]: {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"augment.ratio must be two positive numbers in order: {self.ratio}")

    @classmethod
    def from_config(cls, options: Any) -> "Augment":
        """From a config; a ValueError names an unknown option."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(options) - set(known)):
            raise ValueError(f"augment has no option {', '.join(unknown)}: it has {known}")
        return cls(**options)


def preprocess_train_image(
    image: bytes | np.ndarray, rng: np.random.Generator, *, size: int, augment: Augment
) -> np.ndarray:
    """A random part of the picture.

    Args:
      image: an encoded file, or uint8 `[h w 3]`.
      rng: the only source of chance.
      size: of the result.
      augment: what may vary.

    Returns:
      uint8 `[size size 3]`.

    Raises:
      BadSample: the file cannot be decoded.
    """
    if isinstance(image, np.ndarray):
        return _train_image(Image.fromarray(image), rng, size, augment)
    return _guarded(image, lambda opened: _train_image(opened, rng, size, augment))


def preprocess_eval_image(
    image: bytes | np.ndarray,
    *,
    size: int,
    resize: str = "shortest",
    interpolation: str = "bicubic",
) -> np.ndarray:
    """The picture as an evaluation sees it; the default is CLIP's way.

    Args:
      image: an encoded file, or uint8 `[h w 3]`.
      size: of the result.
      resize: 'shortest', the shorter side to `size`, then the centre square; or 'squash', both
        sides to `size`.
      interpolation: a key of INTERPOLATIONS.

    Returns:
      uint8 `[size size 3]`.

    Raises:
      BadSample: the file cannot be decoded.
      KeyError: there is no such resize or interpolation.
    """
    fit = {"shortest": _centre, "squash": _squash}[resize]
    sampling = INTERPOLATIONS[interpolation]
    if isinstance(image, np.ndarray):
        if image.shape[:2] == (size, size):
            return image
        return fit(Image.fromarray(image), size, sampling)
    # No reduced decoding here: the pixels must be those that published numbers were made with.
    return _guarded(image, lambda opened: fit(to_rgb(opened), size, sampling))


def decode_image(image: bytes) -> np.ndarray:
    """The whole picture as it is kept: uint8 `[h w 3]`; raises like `eval_image`."""
    return _guarded(image, lambda opened: np.asarray(to_rgb(opened)))


def _guarded(data: bytes, use: Any) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            return use(opened)
    except UnidentifiedImageError:  # its own message holds an address, new at each call
        raise BadSample(f"its picture is none of {', '.join(FORMATS)}, or damaged") from None
    except Exception as error:
        # Pillow answers damaged files with almost any exception (OSError, SyntaxError, ValueError,
        # struct.error, DecompressionBombError ...).
        raise BadSample(f"its picture cannot be decoded ({error})") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Upright RGB; transparent parts become white."""
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


def _squash(image: Image.Image, size: int, sampling: Image.Resampling) -> np.ndarray:
    if image.size != (size, size):
        image = image.resize((size, size), sampling)
    return np.asarray(image)


def _centre(image: Image.Image, size: int, sampling: Image.Resampling) -> np.ndarray:
    width, height = image.size
    short = min(width, height)
    if short != size:
        width, height = int(size * width / short), int(size * height / short)
        image = image.resize((width, height), sampling)
    left, upper = round((width - size) / 2), round((height - size) / 2)
    return np.asarray(image.crop((left, upper, left + size, upper + size)))


def _train_image(
    image: Image.Image, rng: np.random.Generator, size: int, augment: Augment
) -> np.ndarray:
    turned = _orientation(image) in (5, 6, 7, 8)
    width, height = image.size[::-1] if turned else image.size
    box = sample_crop_box(width, height, rng, augment)
    flip = augment.flip and rng.random() < 0.5
    # JPEG decodes at 1/2, 1/4 or 1/8 for little when the crop still has `size` pixels a side.
    needed = (
        math.ceil(size * width / (box[2] - box[0])),
        math.ceil(size * height / (box[3] - box[1])),
    )
    image.draft("RGB", needed[::-1] if turned else needed)
    image = to_rgb(image)
    x, y = image.size[0] / width, image.size[1] / height
    box = (box[0] * x, box[1] * y, box[2] * x, box[3] * y)
    image = image.resize((size, size), BICUBIC, box=box, reducing_gap=3.0)
    return np.asarray(ImageOps.mirror(image) if flip else image)


def sample_crop_box(width: int, height: int, rng: np.random.Generator, augment: Augment) -> Box:
    """A part of a `width` x `height` picture whose area and ratio are drawn from `augment`.

    Up to ten draws until one fits into the picture, then the largest centred part whose ratio is
    allowed. The ratio is drawn uniformly in its logarithm.
    """
    (least, most), (narrow, wide) = augment.scale, augment.ratio
    for a, r, x, y in rng.random((10, 4)).tolist():  # one call: it costs more than its numbers
        area = width * height * (least + a * (most - least))
        ratio = narrow * (wide / narrow) ** r
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, upper = int(x * (width - w + 1)), int(y * (height - h + 1))
            return left, upper, left + w, upper + h
    w = min(width, height * augment.ratio[1])
    h = min(height, width / augment.ratio[0])
    left, upper = (width - w) / 2, (height - h) / 2
    return left, upper, left + w, upper + h
