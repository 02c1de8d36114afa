"""CLIP: an image and a text tower that meet in one space of unit vectors.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021).
SigLIP (Zhai et al. 2023, arXiv:2303.15343) is one too, with a bias on the logits.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
INITIAL_SCALE = 1 / 0.07
MAX_SCALE = 100.0
INITIAL_BIAS = -10.0

Out = dict[str, Any]


def normalize(image: jax.Array, mean: tuple[float, ...], std: tuple[float, ...]) -> jax.Array:
    """uint8 pixels [b h w 3] -> (pixel / 255 - mean) / std, float32; floats stay as they are."""
    if image.dtype != jnp.uint8:
        return image
    scale = jnp.asarray([1 / (255 * s) for s in std], jnp.float32)
    offset = jnp.asarray([m / s for m, s in zip(mean, std, strict=True)], jnp.float32)
    return image.astype(jnp.float32) * scale - offset


def unit(x: jax.Array) -> jax.Array:
    """Rows of x [b d] over their lengths, float32; a zero row stays zero, with finite gradient."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-12)


def clamped_scale(logit_scale: jax.Array, most: float = MAX_SCALE) -> jax.Array:
    """min(exp(logit_scale), most) whose gradient ignores the clamp.

    A plain minimum has no gradient above the clamp, so that a temperature which once went past it
    could never come back.
    """
    excess = jnp.maximum(logit_scale - math.log(most), 0.0)
    return jnp.exp(logit_scale - jax.lax.stop_gradient(excess))


class CLIP(nn.Module):
    """Image tower, text tower, temperature: parameters {'image', 'text', 'logit_scale'}.

    With `bias` there is a fourth, 'logit_bias', which SigLIP adds to the logits. The temperature's
    multiplier is clamped at `max_scale`; None: it is not (SigLIP).

    Images are uint8 [b h w 3], normalised on the device with `mean` and `std` of the RGB channels
    in [0, 1], or floats that are normalised already; tokens are int32 [b context].

    Every method also returns the towers' intermediates by name, which cost nothing under jit when
    they are not used. `train` and `axis_name` matter to a ResNet's batch norm only (see `ResNet`).
    """

    image: nn.Module
    text: nn.Module
    image_size: int
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    bias: bool = False
    max_scale: float | None = MAX_SCALE

    def setup(self) -> None:
        init = nn.initializers.constant(math.log(INITIAL_SCALE))
        self.logit_scale = self.param("logit_scale", init, ())
        if self.bias:
            init = nn.initializers.constant(INITIAL_BIAS)
            self.logit_bias = self.param("logit_bias", init, ())

    def __call__(
        self,
        image: jax.Array,
        tokens: jax.Array,
        *,
        train: bool = False,
        axis_name: str | None = None,
    ) -> tuple[Out, Out]:
        """A batch of pairs -> (embedding, out).

        Returns:
          embedding: 'image' and 'text' unit vectors [b d] float32, 'scale' () = exp(logit_scale)
            clamped at `max_scale`, with `bias` also 'bias' (). The logits are scale * image @
            text.T + bias.
          out: 'image' and 'text', each the tower's intermediates.
        """
        image, image_out = self.encode_image(image, train=train, axis_name=axis_name)
        text, text_out = self.encode_text(tokens)
        most = math.inf if self.max_scale is None else self.max_scale
        embedding = dict(image=image, text=text, scale=clamped_scale(self.logit_scale, most))
        if self.bias:
            embedding["bias"] = self.logit_bias
        return embedding, dict(image=image_out, text=text_out)

    def encode_image(
        self, image: jax.Array, *, train: bool = False, axis_name: str | None = None
    ) -> tuple[jax.Array, Out]:
        """Image [b h w 3] -> (unit vectors [b d] float32, intermediates).

        Raises:
          ValueError: the image size is not the model's.
        """
        size = self.image_size
        if image.shape[1:] != (size, size, 3):
            raise ValueError(
                f"Images of shape {image.shape} do not fit this model, which takes "
                f"[b {size} {size} 3]: resize them, or build the model with their image_size."
            )
        image = normalize(image, self.mean, self.std)
        features, out = self.image(image, train=train, axis_name=axis_name)
        return unit(features), out

    def encode_text(self, tokens: jax.Array) -> tuple[jax.Array, Out]:
        """Tokens int32 [b context] -> (unit vectors [b d] float32, intermediates).

        Raises:
          ValueError: the length is not the model's context.
        """
        context = self.text.context
        if tokens.shape[1:] != (context,):
            raise ValueError(
                f"Tokens of shape {tokens.shape} do not fit this model, which takes "
                f"[b {context}]: tokenize with context={context}."
            )
        features, out = self.text(tokens)
        return unit(features), out
