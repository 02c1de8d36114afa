"""An encoder of shots or scenes and the head that contrastive learning compares through."""

import jax
from flax import linen as nn

from vujax.models.layers import l2_normalize


class ShotContrast(nn.Module):
    """Inputs of n shots -> (vectors [n d] float32, unit vectors [n p] to be compared).

    Attributes:
      encoder: see `vujax.models.shot_encoder.ShotEncoder`; what is kept after the training.
      projection: [n d] -> [n p]; None: the vectors themselves are compared.
    """

    encoder: nn.Module
    projection: nn.Module | None = None

    def __call__(
        self, inputs: dict[str, jax.Array], *, train: bool = False, axis_name: str | None = None
    ) -> tuple[jax.Array, jax.Array]:
        vectors, _ = self.encoder(inputs, train=train, axis_name=axis_name)
        compared = vectors if self.projection is None else self.projection(vectors)
        return vectors, l2_normalize(compared)


class SceneContrast(ShotContrast):
    """Rows of scenes -> (vectors [r s d] float32, unit vectors [r s p]); 0 where no scene is.

    Rows are those of `vujax.data.scene_batches`.

    Attributes:
      encoder: see `vujax.models.scene_encoder.SceneViT`; what is kept after the training.
      projection: [r s d] -> [r s p]; None: the vectors themselves are compared.
    """
