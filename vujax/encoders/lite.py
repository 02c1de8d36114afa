"""The encoder `lite`: EfficientNet-Lite0's pooled features, which need no training.

The names of ImageNet's 1,000 classes, in the order of the labels (source and licence beside).

ConSE: pictures in a space of words, by a classifier's probabilities and its classes' names.

Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings" (ICLR 2014),
arXiv:1312.5650. There the words' vectors are word2vec's and the temperature is 1; here they are a
sentence encoder's, and both numbers are options.
"""

import csv
import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vujax.encoders.base import LITE_NETWORK, Encoder, digest
from vujax.encoders.devices import ShardedFunction
from vujax.models import efficientnet, pretrained
from vujax.models.layers import l2_normalize

# `picture` names the keyframe preprocessing: see `vujax.data.images.preprocess_eval_image`.
SETTINGS = {
    "network": LITE_NETWORK,
    "picture": "shorter side bicubic, centre square",
    "size": efficientnet.IMAGE_SIZE,
    "features": "pooled",
}


class Lite(Encoder):
    """An `Encoder`; its vectors are the means of the last feature map, not normalised."""

    name = "lite"
    size = efficientnet.IMAGE_SIZE
    dim = efficientnet.FEATURES

    def __init__(self) -> None:
        """Loads the weights.

        Raises:
          ValueError, OSError: see `vujax.models.pretrained.load_weights`.
        """
        tensors = pretrained.load_weights(LITE_NETWORK)
        self.digest = digest(tensors, SETTINGS)
        self._network = ShardedFunction(compute_features, efficientnet.from_released(tensors))

    def encode(self, images: np.ndarray) -> jax.Array:
        """Pictures uint8 `[b 224 224 3]` -> float32 `[b 1280]`, still being computed."""
        return self._network(images)


def compute_features(variables: Any, images: jax.Array) -> jax.Array:
    """Pictures uint8 `[b h w 3]` -> float32 `[b 1280]`."""
    return efficientnet.EfficientNetLite0().apply(variables, images)[0]


CLASS_TABLE = Path(__file__).parent / "classes" / "imagenet1k.tsv"


class ClassName(NamedTuple):
    """One class.

    Attributes:
      wnid: its WordNet 3.0 id, such as n01440764.
      name: one short English name.
      synonyms: WordNet's, the first one first.
    """

    wnid: str
    name: str
    synonyms: tuple[str, ...]


def read_class_names() -> list[ClassName]:
    """All classes of ILSVRC 2012: entry k has label k."""
    with CLASS_TABLE.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [ClassName(r["wnid"], r["name"], tuple(r["synonyms"].split(", "))) for r in rows]


@functools.partial(jax.jit, static_argnames="top")
def conse(
    logits: jax.Array, names: jax.Array, *, top: int, temperature: jax.Array | float = 1.0
) -> jax.Array:
    """The direction of sum_k p_k names_k over the `top` most probable classes.

    p = softmax(logits / temperature). The paper divides by the sum of the `top` probabilities; a
    unit vector has the same direction without.

    Args:
      logits: `[n c]`.
      names: `[c d]`, a vector of each class's name.
      top: how many classes are combined, 1 to c; the first ones among equals.
      temperature: positive; above 1 lets the less probable classes say more.

    Returns:
      float32 `[n d]`, unit vectors.
    """
    best, classes = lax.top_k(logits.astype(jnp.float32) / temperature, top)
    weights = jax.nn.softmax(best, axis=-1)
    return l2_normalize(jnp.einsum("nt,ntd->nd", weights, names[classes], precision="highest"))
