"""Models small enough to compile in seconds, and batches for them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vujax.models import CLIP, build

VIT = dict(kind="vit", image_size=16, patch=8, width=32, layers=3, heads=4)
RESNET = dict(kind="resnet", image_size=64, width=8, blocks=(1, 2, 1, 1))
TEXT = dict(width=32, layers=2, heads=2, context=12, vocab=50)
END = TEXT["vocab"] - 1


def small(image: dict[str, Any] = VIT, **options: Any) -> CLIP:
    """A model of a few thousand parameters."""
    return build(**dict(image=image, text=TEXT, embed_dim=24) | options)


def batch(n: int, size: int = VIT["image_size"], seed: int = 0) -> tuple[jax.Array, jax.Array]:
    """Images uint8 [n size size 3] and tokens [n context] with end tokens at various places."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, END, (n, TEXT["context"]))
    ends = rng.integers(2, TEXT["context"], n)
    tokens[np.arange(n), ends] = END
    tokens[np.arange(TEXT["context"]) > ends[:, None]] = 0
    image = rng.integers(0, 256, (n, size, size, 3))
    return jnp.asarray(image, jnp.uint8), jnp.asarray(tokens, jnp.int32)


def variables(model: CLIP, *inputs: jax.Array) -> Any:
    """Fresh variables, moved off their special values (zero biases, unit scales)."""
    fresh = jax.jit(model.init)(jax.random.key(0), *inputs)
    leaves, tree = jax.tree.flatten(fresh)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [
        x + 0.05 * jnp.abs(jax.random.normal(key, x.shape))
        for x, key in zip(leaves, keys, strict=True)
    ]
    return tree.unflatten(moved)
