"""Encoders of shots or scenes with the projection head of contrastive learning."""

import math
from collections.abc import Callable, Mapping
from typing import Any

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


class ContrastModel(nn.Module):
    """Inputs -> (embeddings [... d] float32, unit-length projections [... p] float32).

    Inputs are those of n shots, with embeddings [n d]; or rows of scenes
    (`vujax.data.scene_batches`), with embeddings [r s d] and 0 in empty slots.

    Attributes:
      encoder: a `vujax.models.shot_encoder.ShotEncoder` or a
        `vujax.models.scene_encoder.SceneViT`; it remains after training.
      projection: [... d] -> [... p]; None: the embeddings themselves are compared.
    """

    encoder: nn.Module
    projection: nn.Module | None = None

    def __call__(
        self, inputs: dict[str, jax.Array], *, train: bool = False, axis_name: str | None = None
    ) -> tuple[jax.Array, jax.Array]:
        embeddings, _ = self.encoder(inputs, train=train, axis_name=axis_name)
        projected = embeddings if self.projection is None else self.projection(embeddings)
        return embeddings, l2_normalize(projected)


def build_contrast_model(
    config: Mapping[str, Any], build_encoder: Callable[..., nn.Module]
) -> ContrastModel:
    """Build an encoder, and the projection through which it is trained.

    Args:
      config: `encoder` has the options of `build_encoder`; `projection` the widths of the
        projection's layers, empty or missing for none.
      build_encoder: `build_shot_encoder` or `build_scene_encoder`.

    Raises:
      ValueError: an option is unknown, or sizes do not fit.
    """
    widths = tuple(config.get("projection", ()))
    projection = Projection(widths) if widths else None
    return ContrastModel(build_encoder(**config["encoder"]), projection)
