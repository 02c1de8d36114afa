"""Two small towers on embeddings of frozen encoders, with a common embedding space.

With a frozen image encoder and a trained text side this is locked-image tuning (LiT, Zhai et al.,
CVPR 2022, arXiv:2111.07991); here both encoders are frozen, so that a training takes seconds on a
CPU. The sizes are our choice.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from vujax.models.dropout import Dropout, drop_units
from vujax.models.layers import gelu
from vujax.models.two_towers import Out, TwoTowers
from vujax.utils.validation import check_known

EPSILON = 1e-6
SIZES = ("image_dim", "text_dim", "hidden", "embed_dim")


class FeatureTower(nn.Module):
    """A perceptron on embeddings, `[b in_dim]` -> (features `[b dim]` float32, out).

    Encoders differ in scale and offset, so an embedding is standardized by itself, then centered by
    the mean of the training embeddings, a running average in 'batch_stats'. `out` holds 'hidden'
    `[b hidden]`, the activations.

    Attributes:
      in_dim: dimension of the frozen embeddings.
      hidden: number of GELU units.
      dim: dimension of the features.
    """

    in_dim: int
    hidden: int
    dim: int

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        train: bool = False,
        axis_name: str | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[jax.Array, Out]:
        if x.shape[1:] != (self.in_dim,):
            raise ValueError(
                f"embeddings of shape {x.shape} do not fit this tower, which takes "
                f"[b {self.in_dim}]: use those of the encoder that it was trained on"
            )
        x = nn.LayerNorm(EPSILON, use_bias=False, use_scale=False, name="norm")(x)
        x = Center(name="center")(x, train=train, axis_name=axis_name)
        hidden = gelu(nn.Dense(self.hidden, name="in")(drop_units(x, dropout, 0)))
        features = nn.Dense(self.dim, name="out")(drop_units(hidden, dropout, 1))
        return features, {"hidden": hidden}


class Center(nn.Module):
    """Subtraction of the mean of the training rows of earlier steps, `[b d]` -> `[b d]`.

    The rows of a batch join the mean for the next step, so that no row depends on another.
    """

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, axis_name: str | None = None
    ) -> jax.Array:
        mean = self.variable("batch_stats", "mean", jnp.zeros, x.shape[1:], jnp.float32)
        steps = self.variable("batch_stats", "steps", jnp.zeros, (), jnp.float32)
        centered = x - mean.value
        if train and not self.is_initializing():
            batch = lax.stop_gradient(x).mean(axis=0)
            batch = batch if axis_name is None else lax.pmean(batch, axis_name)
            steps.value = steps.value + 1
            mean.value = mean.value + (batch - mean.value) / steps.value
        return centered


class FeatureTowers(TwoTowers):
    """Towers and temperature, used like `vujax.models.clip.CLIP`.

    Inputs are embeddings of images `[b image_dim]` and of texts `[b text_dim]`, float. Batch
    statistics are {'image', 'text'}; `dropout` falls on inputs and activations.

    Attributes:
      image: tower of the images' embeddings.
      text: tower of the texts' embeddings.
      encoder: name or path of the encoder of images; '' if unknown.
      text_encoder: likewise of texts.
    """

    encoder: str = ""
    text_encoder: str = ""


def build_feature_towers(
    *,
    image_dim: int = 1280,
    text_dim: int = 384,
    hidden: int = 256,
    embed_dim: int = 64,
    encoder: str = "",
    text_encoder: str = "",
    **unknown: object,
) -> FeatureTowers:
    """Build two towers from plain configuration values.

    Args:
      image_dim: dimension of the embeddings of images.
      text_dim: dimension of the embeddings of texts.
      hidden: GELU units of each tower.
      embed_dim: dimension of the common space.
      encoder: name or path of the encoder of images; '' if unknown.
      text_encoder: likewise of texts.
      **unknown: other options, rejected.

    Raises:
      ValueError: an option is unknown or out of range.
    """
    options = (*SIZES, "encoder", "text_encoder")
    check_known("model", unknown, options)
    sizes = dict(image_dim=image_dim, text_dim=text_dim, hidden=hidden, embed_dim=embed_dim)
    if bad := next((name for name, size in sizes.items() if size < 1), None):
        raise ValueError(f"model.{bad} must be positive, got {sizes[bad]}")
    image, text = (FeatureTower(dim, hidden, embed_dim) for dim in (image_dim, text_dim))
    return FeatureTowers(image, text, encoder=encoder, text_encoder=text_encoder)


def select_tower(variables: Mapping[str, Mapping[str, Any]], side: str) -> dict[str, dict]:
    """Return the variables of one side, 'image' or 'text'."""
    kept = (side, "logit_scale")
    return {
        collection: {name: value for name, value in tree.items() if name in kept}
        for collection, tree in variables.items()
    }
