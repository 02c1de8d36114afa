"""Encoder of shots or scenes with the projection head of contrastive learning."""

import jax
from flax import linen as nn

from vujax.models.layers import l2_normalize


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
