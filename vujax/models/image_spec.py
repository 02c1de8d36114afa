"""Shape and preprocessing of a model's images, which every model carries.

    spec = ImageSpec.square(224)
    spec = ImageSpec.from_size([96, 64])          # height and width, as configs have them
    spec = spec.with_preprocess(release_config.get("preprocess"))
    pixels = vujax.data.images.preprocess_eval_image(file, spec)   # uint8 [96 64 3]

Without JAX, so that processes that only decode images can import it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's, of the RGB channels in [0, 1]
STD = (0.26862954, 0.26130258, 0.27577711)
PREPROCESS_KEYS = ("resize", "interpolation")

Size = int | Sequence[int]
"""Height and width in pixels, or one number for both: `image_size` of configs."""


@dataclass(frozen=True)
class ImageSpec:
    """Shape and preprocessing of images.

    Attributes:
      height: in pixels.
      width: in pixels.
      mean: of the RGB channels in [0, 1].
      std: likewise.
      resize: 'shortest', the image covers height and width and its center is cropped; or 'squash',
        both sides are resized and nothing is cropped.
      interpolation: 'bicubic' or 'bilinear'.
      dtype: of the pixels; models normalize them on the device.
    """

    height: int
    width: int
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    resize: str = "shortest"
    interpolation: str = "bicubic"
    dtype: ClassVar[np.dtype] = np.dtype(np.uint8)

    @classmethod
    def square(cls, size: int, **options: Any) -> Self:
        """Return the spec of squares; `options` are further attributes."""
        return cls(size, size, **options)

    @classmethod
    def from_size(cls, size: Size, where: str = "image_size", **options: Any) -> Self:
        """Return the spec of a configured size.

        Args:
          size: height and width, or one number for both.
          where: name of the option, for messages.
          **options: further attributes.

        Raises:
          ValueError: it is neither one nor two positive numbers.
        """
        sides = [size, size] if isinstance(size, int) else list(size)
        if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
            raise ValueError(f"{where} must be one or two positive numbers of pixels, got {size}")
        return cls(*sides, **options)

    def with_preprocess(self, options: Mapping[str, Any] | None) -> Self:
        """Return this spec with the resizing of a release; see `to_preprocess`.

        Args:
          options: `preprocess` of a release's config; None: unchanged. Its size is the model's.
        """
        known = {key: (options or {})[key] for key in PREPROCESS_KEYS if key in (options or {})}
        return dataclasses.replace(self, **known)

    def to_preprocess(self) -> dict[str, Any]:
        """Return `preprocess` of a release's config."""
        return dict(resize=self.resize, size=self.size, interpolation=self.interpolation)

    @property
    def size(self) -> int | list[int]:
        """Height and width as configs have them, one number for a square."""
        return self.height if self.height == self.width else [self.height, self.width]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, `[height width 3]`."""
        return self.height, self.width, 3

    def zeros(self, *rows: int) -> np.ndarray:
        """Return black images `[*rows height width 3]`."""
        return np.zeros((*rows, *self.shape), self.dtype)

    def describe(self, rows: str) -> str:
        """Return the shape in words, such as '[b 96 64 3]' with rows 'b'."""
        return f"[{' '.join([rows, *map(str, self.shape)])}]"


def parse_image_size(size: Size | None) -> ImageSpec | None:
    """Return the spec of a data set's option `image_size`; None: images keep their size."""
    return None if size is None else ImageSpec.from_size(size)
