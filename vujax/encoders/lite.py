"""Encoder `lite`: pooled features of EfficientNet-Lite0, which need no training.

Its ImageNet classifier also gives embeddings in a space of words, by ConSE: the names of the most
probable classes, weighted by their probabilities (Norouzi et al., "Zero-Shot Learning by Convex
Combination of Semantic Embeddings", ICLR 2014, arXiv:1312.5650). The paper's word embeddings are
word2vec's and its temperature is 1; here they are a sentence encoder's, and the temperature and the
number of classes are options.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike

from vujax.encoders.base import LITE_NETWORK, Encoder, compute_digest
from vujax.models import efficientnet, pretrained
from vujax.models.image_spec import ImageSpec
from vujax.models.inference import open_function
from vujax.models.layers import l2_normalize

# `picture` names the keyframe preprocessing: see `vujax.data.images.preprocess_eval_image`.
SETTINGS = {
    "network": LITE_NETWORK,
    "picture": "shorter side bicubic, centre square",
    "size": efficientnet.IMAGE_SIZE,
    "features": "pooled",
}


class LiteEncoder(Encoder):
    """`Encoder` of images: the mean of the last feature map, not normalized."""

    name = "lite"
    image_spec = ImageSpec.square(
        efficientnet.IMAGE_SIZE, mean=efficientnet.MEAN, std=efficientnet.STD
    )
    dim = efficientnet.FEATURES

    def __init__(self) -> None:
        """Load the weights.

        Raises:
          ValueError, OSError: see `vujax.models.pretrained.load_weights`.
        """
        tensors = pretrained.load_weights(LITE_NETWORK)
        self.digest = compute_digest(tensors, SETTINGS)
        variables = efficientnet.from_released(tensors)
        # In bfloat16 the cosine with float32 falls below .999.
        self._network = open_function(compute_features, variables, precision="f32")

    def encode(self, images: np.ndarray) -> ArrayLike:
        """Return the features float32 `[b 1280]` of images uint8 `[b 224 224 3]`."""
        return self._network(images)


def compute_features(variables: Any, images: jax.Array) -> jax.Array:
    """Return the pooled features float32 `[b 1280]` of images uint8 `[b h w 3]`."""
    return efficientnet.EfficientNetLite0().apply(variables, images)[0]


@functools.partial(jax.jit, static_argnames="top")
def compute_conse(
    logits: jax.Array, names: jax.Array, *, top: int, temperature: jax.Array | float = 1.0
) -> jax.Array:
    """Compute the direction of sum_k p_k names_k over the `top` most probable classes.

    p = softmax(logits / temperature). The paper divides by the sum of the `top` probabilities; this
    does not change the direction.

    Args:
      logits: `[n c]`.
      names: embedding of each class name, `[c d]`.
      top: number of classes to combine, 1 to c; of equal ones, the first.
      temperature: positive; above 1, less probable classes weigh more.

    Returns:
      float32 `[n d]` of unit length.
    """
    best, classes = lax.top_k(logits.astype(jnp.float32) / temperature, top)
    weights = jax.nn.softmax(best, axis=-1)
    return l2_normalize(jnp.einsum("nt,ntd->nd", weights, names[classes], precision="highest"))
