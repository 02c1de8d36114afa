"""Two towers with a common embedding space and a temperature, the base of image-text models."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vujax.models.dropout import Dropout, split_dropout
from vujax.models.layers import l2_normalize

Out = dict[str, Any]

INITIAL_SCALE = 1 / 0.07
MAX_SCALE = 100.0


def clamp_scale(logit_scale: jax.Array, max_scale: float = MAX_SCALE) -> jax.Array:
    """Return min(exp(logit_scale), max_scale) with a gradient that ignores the clamp.

    A plain minimum has no gradient above the clamp, so that a temperature that once exceeded it
    could never return.
    """
    excess = jnp.maximum(logit_scale - math.log(max_scale), 0.0)
    return jnp.exp(logit_scale - jax.lax.stop_gradient(excess))


class TwoTowers(nn.Module):
    """Image tower, text tower and temperature: parameters {'image', 'text', 'logit_scale'}.

    Every method also returns the towers' intermediates by name, which are free under jit when
    unused. `train` and `axis_name` affect batch statistics only. `dropout` is of a student in
    training; None: nothing is dropped.

    Attributes:
      image: image tower, inputs -> (features `[b d]` float32, intermediates).
      text: text tower, likewise.
      frozen: towers without trainable parameters, of 'image' and 'text': dropout spares them.
    """

    image: nn.Module
    text: nn.Module
    frozen: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)

    def setup(self) -> None:
        init = nn.initializers.constant(math.log(INITIAL_SCALE))
        self.logit_scale = self.param("logit_scale", init, ())

    def prepare_image(self, image: jax.Array) -> jax.Array:
        """Check and prepare the inputs of the image tower."""
        return image

    def prepare_text(self, tokens: jax.Array) -> jax.Array:
        """Check and prepare the inputs of the text tower."""
        return tokens

    def read_scale(self) -> Out:
        """Return the multiplier of the cosines, 'scale' `()`."""
        return dict(scale=clamp_scale(self.logit_scale))

    def __call__(
        self,
        image: jax.Array,
        tokens: jax.Array,
        *,
        train: bool = False,
        axis_name: str | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[Out, Out]:
        """Encode a batch of pairs.

        Args:
          image: inputs of the image tower, one row per pair.
          tokens: inputs of the text tower, likewise.
          train: True updates batch statistics.
          axis_name: mesh axis over which batch statistics are shared, or None.
          dropout: of a student in training; None: nothing is dropped.

        Returns:
          embedding: unit-length 'image' and 'text' `[b d]` float32, and `read_scale`.
          out: 'image' and 'text', each the tower's intermediates.
        """
        options = dict(train=train, axis_name=axis_name)
        of_image, of_text = split_dropout(dropout, self.frozen)
        image, image_out = self.encode_image(image, dropout=of_image, **options)
        text, text_out = self.encode_text(tokens, dropout=of_text, **options)
        embedding = dict(image=image, text=text) | self.read_scale()
        return embedding, dict(image=image_out, text=text_out)

    def encode_image(
        self,
        image: jax.Array,
        *,
        train: bool = False,
        axis_name: str | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[jax.Array, Out]:
        """Encode images as (unit-length embeddings `[b d]` float32, intermediates).

        Raises:
          ValueError: their shape is not the model's.
        """
        options: Out = {} if dropout is None else dict(dropout=dropout)  # a tower may have none
        image = self.prepare_image(image)
        features, out = self.image(image, train=train, axis_name=axis_name, **options)
        return l2_normalize(features), out

    def encode_text(
        self,
        tokens: jax.Array,
        *,
        train: bool = False,
        axis_name: str | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[jax.Array, Out]:
        """Encode texts as (unit-length embeddings `[b d]` float32, intermediates).

        Raises:
          ValueError: their shape is not the model's.
        """
        tokens = self.prepare_text(tokens)
        features, out = self.text(tokens, train=train, axis_name=axis_name, dropout=dropout)
        return l2_normalize(features), out
