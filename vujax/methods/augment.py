"""Random augmentations of shots on the device: images, features and log-mel spectrograms.

They run inside the train step with one PRNG key per shot, so that a view depends on neither devices
nor micro-batches. All ranges are our choices.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp

LUMA = (0.299, 0.587, 0.114)  # weights of ITU-R BT.601


@dataclasses.dataclass(frozen=True)
class ShotAugmentation:
    """Strengths of the augmentations; 0 (for `crop` 1) turns one off.

    Attributes:
      crop: minimum share of the image's area that a random crop keeps; one crop for all keyframes
        of a shot.
      flip: probability of a horizontal flip of the images.
      colour: strength of brightness, contrast and saturation: factors in [1 - c, 1 + c].
      grey: probability that the images lose their color.
      dropout: share of a feature's entries that are set to 0 (the rest are scaled up).
      noise: standard deviation of the noise added to a feature, relative to its root mean square.
      gain: maximum change of the log-mel spectrogram's level.
      mask: maximum share of its time steps, and of its bands, that one mask each hides.
    """

    crop: float = 0.4
    flip: float = 0.5
    colour: float = 0.4
    grey: float = 0.2
    dropout: float = 0.2
    noise: float = 0.0
    gain: float = 1.0
    mask: float = 0.2

    def __post_init__(self) -> None:
        shares = ("flip", "colour", "grey", "dropout", "mask")
        invalid = [name for name in shares if not 0 <= getattr(self, name) <= 1]
        invalid += [name for name in ("noise", "gain") if getattr(self, name) < 0]
        invalid += [] if 0 < self.crop <= 1 else ["crop"]
        invalid += ["dropout"] if self.dropout == 1 else []
        if invalid:
            value = getattr(self, invalid[0])
            raise ValueError(f"method.augment.{invalid[0]} {value} is out of its range")

    @classmethod
    def from_config(cls, settings: Mapping[str, Any]) -> Self:
        """Build from the entry `method.augment` of a config.

        Raises:
          ValueError: a name is unknown, or a value is out of its range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise ValueError(
                f"unknown setting method.augment.{unknown[0]}; "
                f"expected one of: {', '.join(sorted(known))}"
            )
        return cls(**settings)

    def __call__(self, inputs: dict[str, jax.Array], keys: jax.Array) -> dict[str, jax.Array]:
        """Return a random view of each of n shots.

        Args:
          inputs: any of image uint8 `[n k h w 3]`, feature `[n f]`, audio `[n t mels]`.
          keys: typed PRNG keys `[n]`.
        """
        augment = {
            "image": self.augment_image,
            "feature": self.augment_feature,
            "audio": self.augment_audio,
        }
        return {name: jax.vmap(augment[name])(value, keys) for name, value in inputs.items()}

    def augment_image(self, image: jax.Array, key: jax.Array) -> jax.Array:
        """Crop, flip and change the color of keyframes uint8 `[k h w 3]`."""
        crop, flip, color, grey = jax.random.split(key, 4)
        x = image.astype(jnp.float32)
        if self.crop < 1:
            x = random_crop(x, crop, self.crop)
        x = jnp.where(jax.random.bernoulli(flip, self.flip), x[:, :, ::-1], x)
        if self.colour:
            x = jitter_color(x, color, self.colour)
        grey_x = jnp.broadcast_to((x @ jnp.array(LUMA))[..., None], x.shape)
        x = jnp.where(jax.random.bernoulli(grey, self.grey), grey_x, x)
        return jnp.clip(jnp.round(x), 0, 255).astype(jnp.uint8)

    def augment_feature(self, feature: jax.Array, key: jax.Array) -> jax.Array:
        """Apply noise and dropout to a feature `[f]`."""
        drop, noise = jax.random.split(key)
        if self.noise:
            rms = jnp.sqrt((feature**2).mean())
            feature += self.noise * rms * jax.random.normal(noise, feature.shape)
        if not self.dropout:
            return feature
        retained = jax.random.bernoulli(drop, 1 - self.dropout, feature.shape)
        return jnp.where(retained, feature / (1 - self.dropout), 0.0)

    def augment_audio(self, audio: jax.Array, key: jax.Array) -> jax.Array:
        """Change the level of a log-mel spectrogram `[t mels]`; mask a time span and a band.

        Masks (Park et al. 2019, SpecAugment, arXiv:1904.08779) show the spectrogram's mean.
        """
        level, *spans = jax.random.split(key, 3)
        gain = jax.random.uniform(level, minval=-self.gain, maxval=self.gain)
        time, band = map(functools.partial(_random_span, share=self.mask), spans, audio.shape)
        return jnp.where(time[:, None] | band[None, :], audio.mean(), audio) + gain


def random_crop(x: jax.Array, key: jax.Array, min_area: float) -> jax.Array:
    """Crop all keyframes `[k h w 3]` to one random rectangle, resized to their size.

    Its area is `min_area` to 1 of the image, its aspect ratio 3/4 to 4/3 of the image's (Szegedy et
    al. 2015).
    """
    _, h, w, _ = x.shape
    area, shape, position = jax.random.split(key, 3)
    area = jax.random.uniform(area, minval=min_area, maxval=1.0)
    ratio = jnp.exp(jax.random.uniform(shape, minval=-1.0, maxval=1.0) * jnp.log(4 / 3))
    sides = jnp.minimum(jnp.sqrt(area * jnp.stack([1 / ratio, ratio])), 1.0)  # relative to h, w
    offset = jax.random.uniform(position, (2,)) * (1 - sides)
    scale, translation = 1 / sides, -offset / sides * jnp.array([h, w])
    return jax.image.scale_and_translate(x, x.shape, (1, 2), scale, translation, "linear", False)


def jitter_color(x: jax.Array, key: jax.Array, strength: float) -> jax.Array:
    """Change brightness, contrast and saturation of all keyframes `[k h w 3]` by one draw."""
    brightness, contrast, saturation = 1 + strength * jax.random.uniform(key, (3,), minval=-1.0)
    x = x * brightness
    x = (x - x.mean()) * contrast + x.mean()
    grey = (x @ jnp.array(LUMA))[..., None]
    return (x - grey) * saturation + grey


def _random_span(key: jax.Array, size: int, *, share: float) -> jax.Array:
    """Draw a run of at most `share` of `size` positions: bool `[size]`."""
    length, start = jax.random.uniform(key, (2,)) * jnp.array([share * size, 1.0])
    first = start * (size - length)
    position = jnp.arange(size)
    return (position >= first) & (position + 1 <= first + length)
