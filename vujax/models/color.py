"""Colour histograms of pictures, the features that need no learning."""

import jax
import jax.numpy as jnp

BITS = 3  # of each channel that tell colours apart
BINS = 2 ** (3 * BITS)


def count_colors(image: jax.Array) -> jax.Array:
    """Pictures uint8 [... h w 3] -> how many pixels have each colour, float32 [... 512]."""
    *lead, h, w, _ = image.shape
    red, green, blue = jnp.moveaxis((image >> (8 - BITS)).astype(jnp.int32), -1, 0)
    colours = ((red << 2 * BITS) + (green << BITS) + blue).reshape(-1, h * w)
    count = jax.vmap(lambda pixels: jnp.bincount(pixels, length=BINS))(colours)
    return count.reshape(*lead, BINS).astype(jnp.float32)
