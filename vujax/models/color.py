"""Color histograms of images, features without learned parameters."""

import jax
import jax.numpy as jnp

BITS = 3  # per channel that distinguish colors
BINS = 2 ** (3 * BITS)


def count_colors(image: jax.Array) -> jax.Array:
    """Count the pixels of each color in images uint8 [... h w 3] -> float32 [... 512]."""
    h, w = image.shape[-3:-1]
    red, green, blue = jnp.moveaxis((image >> (8 - BITS)).astype(jnp.int32), -1, 0)
    colors = ((red << 2 * BITS) + (green << BITS) + blue).reshape(-1, h * w)
    count = jax.vmap(lambda pixels: jnp.bincount(pixels, length=BINS))(colors)
    return count.reshape((*image.shape[:-3], BINS)).astype(jnp.float32)
