"""ConSE: pictures in a space of words, by a classifier's probabilities and its classes' names.

Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings" (ICLR 2014),
arXiv:1312.5650. There the words' vectors are word2vec's and the temperature is 1; here they are a
sentence encoder's, and both numbers are options.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from vujax.models.clip import unit


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
    return unit(jnp.einsum("nt,ntd->nd", weights, names[classes], precision="highest"))
