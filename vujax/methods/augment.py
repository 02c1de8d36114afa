"""Two views of one shot: random changes that keep what it shows and sounds like.

They run on the device, inside the train step, with one key a shot, so that they depend on neither
devices nor micro-batches. Ranges are our choices.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp

GREY = (0.299, 0.587, 0.114)  # luma of ITU-R BT.601


@dataclasses.dataclass(frozen=True)
class Augment:
    """How far a view departs from the shot; 0 (for `crop` 1) leaves it as it is.

    Attributes:
      crop: smallest share of the picture's area that a random crop keeps; the same crop in all
        keyframes of a shot.
      flip: probability that the pictures are mirrored.
      colour: strength of brightness, contrast and saturation: factors in [1 - c, 1 + c].
      grey: probability that the pictures lose their colour.
      dropout: share of a feature's numbers that are set to 0 (the rest grow accordingly).
      noise: standard deviation of noise added to a feature, as a share of its own root mean square.
      gain: greatest change of the log-mel spectrogram's level.
      mask: greatest share of its time steps, and of its bands, that one mask each hides.
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
        wrong = [name for name in shares if not 0 <= getattr(self, name) <= 1]
        wrong += [name for name in ("noise", "gain") if getattr(self, name) < 0]
        wrong += [] if 0 < self.crop <= 1 else ["crop"]
        if wrong or self.dropout == 1:
            name = (wrong or ["dropout"])[0]
            raise ValueError(f"method.augment.{name} {getattr(self, name)} is out of its range")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """From a config entry.

        Raises:
          ValueError: an unknown name, or a value out of its range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise ValueError(f"method.augment has no '{unknown[0]}'; it has {sorted(known)}")
        return cls(**settings)

    def __call__(self, inputs: dict[str, jax.Array], keys: jax.Array) -> dict[str, jax.Array]:
        """A view of each of n shots.

        Args:
          inputs: any of image uint8 `[n k h w 3]`, feature `[n f]`, audio `[n t mels]`.
          keys: typed PRNG keys `[n]`.
        """
        how = {"image": self.image, "feature": self.feature, "audio": self.audio}
        return {name: jax.vmap(how[name])(value, keys) for name, value in inputs.items()}

    def image(self, image: jax.Array, key: jax.Array) -> jax.Array:
        """Keyframes uint8 `[k h w 3]`: crop, mirror, colours."""
        crop, flip, colour, grey = jax.random.split(key, 4)
        x = image.astype(jnp.float32)
        if self.crop < 1:
            x = random_crop(x, crop, self.crop)
        x = jnp.where(jax.random.bernoulli(flip, self.flip), x[:, :, ::-1], x)
        if self.colour:
            x = jitter(x, colour, self.colour)
        grey_x = jnp.broadcast_to((x @ jnp.array(GREY))[..., None], x.shape)
        x = jnp.where(jax.random.bernoulli(grey, self.grey), grey_x, x)
        return jnp.clip(jnp.round(x), 0, 255).astype(jnp.uint8)

    def feature(self, feature: jax.Array, key: jax.Array) -> jax.Array:
        """A feature `[f]`: dropout and noise."""
        drop, noise = jax.random.split(key)
        if self.noise:
            size = jnp.sqrt((feature**2).mean())
            feature += self.noise * size * jax.random.normal(noise, feature.shape)
        if not self.dropout:
            return feature
        kept = jax.random.bernoulli(drop, 1 - self.dropout, feature.shape)
        return jnp.where(kept, feature / (1 - self.dropout), 0.0)

    def audio(self, audio: jax.Array, key: jax.Array) -> jax.Array:
        """A log-mel spectrogram `[t mels]`: level, and a mask in time and one over bands.

        Masks (Park et al. 2019, SpecAugment, arXiv:1904.08779) show the spectrogram's mean.
        """
        level, *spans = jax.random.split(key, 3)
        gain = jax.random.uniform(level, minval=-self.gain, maxval=self.gain)
        time, band = map(functools.partial(_span, share=self.mask), spans, audio.shape)
        return jnp.where(time[:, None] | band[None, :], audio.mean(), audio) + gain


def random_crop(x: jax.Array, key: jax.Array, least: float) -> jax.Array:
    """A random part of all keyframes `[k h w 3]`, stretched to their size.

    It has `least` to 1 of the area and 3/4 to 4/3 of the shape (Szegedy et al. 2015).
    """
    _, h, w, _ = x.shape
    area, shape, place = jax.random.split(key, 3)
    area = jax.random.uniform(area, minval=least, maxval=1.0)
    ratio = jnp.exp(jax.random.uniform(shape, minval=-1.0, maxval=1.0) * jnp.log(4 / 3))
    part = jnp.minimum(jnp.sqrt(area * jnp.stack([1 / ratio, ratio])), 1.0)  # of h and w
    offset = jax.random.uniform(place, (2,)) * (1 - part)
    scale, moved = 1 / part, -offset / part * jnp.array([h, w])
    return jax.image.scale_and_translate(x, x.shape, (1, 2), scale, moved, "linear", False)


def jitter(x: jax.Array, key: jax.Array, strength: float) -> jax.Array:
    """Brightness, contrast and saturation of all keyframes `[k h w 3]` alike."""
    bright, contrast, saturation = 1 + strength * jax.random.uniform(key, (3,), minval=-1.0)
    x = x * bright
    x = (x - x.mean()) * contrast + x.mean()
    grey = (x @ jnp.array(GREY))[..., None]
    return (x - grey) * saturation + grey


def _span(key: jax.Array, size: int, *, share: float) -> jax.Array:
    """A random run of at most `share` of `size` places: bool `[size]`."""
    length, start = jax.random.uniform(key, (2,)) * jnp.array([share * size, 1.0])
    first = start * (size - length)
    place = jnp.arange(size)
    return (place >= first) & (place + 1 <= first + length)
