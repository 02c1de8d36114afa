"""Encoder of shots or scenes with the projection head of contrastive learning."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vujax.models.layers import Dense, l2_normalize


class Projection(nn.Module):
    """Dense layers with ReLU between them: x [... d] -> [... widths[-1]] float32.

    Widths (2048, 128) after a ResNet-50 are the head 2048-2048-128; without any, x passes.
    """

    widths: tuple[int, ...]
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, width in enumerate(self.widths, start=1):
            last = i == len(self.widths)
            std = math.sqrt((1 if last else 2) / x.shape[-1])
            x = Dense(width, std, self.dtype, name=f"fc{i}")(x)
            x = x if last else nn.relu(x)
        return x.astype(jnp.float32)


class ShotContrast(nn.Module):
    """Inputs of n shots -> (embeddings [n d] float32, unit-length projections [n p]).

    Attributes:
      encoder: see `vujax.models.shot_encoder.ShotEncoder`; it remains after training.
      projection: [n d] -> [n p]; None: the embeddings themselves are compared.
    """

    encoder: nn.Module
    projection: nn.Module | None = None

    def __call__(
        self, inputs: dict[str, jax.Array], *, train: bool = False, axis_name: str | None = None
    ) -> tuple[jax.Array, jax.Array]:
        embeddings, _ = self.encoder(inputs, train=train, axis_name=axis_name)
        projected = embeddings if self.projection is None else self.projection(embeddings)
        return embeddings, l2_normalize(projected)


class SceneContrast(ShotContrast):
    """Rows of scenes -> (embeddings [r s d] float32, unit-length [r s p]); 0 in empty slots.

    Rows are those of `vujax.data.scene_batches`.

    Attributes:
      encoder: see `vujax.models.scene_encoder.SceneViT`; it remains after training.
      projection: [r s d] -> [r s p]; None: the embeddings themselves are compared.
    """
