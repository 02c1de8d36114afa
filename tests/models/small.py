"""Models small enough to compile in seconds, and batches for them."""

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from vujax.models import CLIP, build_clip

VIT = dict(kind="vit", image_size=16, patch=8, width=32, layers=2, heads=4)
RESNET = dict(kind="resnet", image_size=32, width=8, blocks=(2, 1, 0, 0))
TEXT = dict(width=32, layers=2, heads=2, context=12, vocab=50)
END = TEXT["vocab"] - 1


def small(image: dict[str, Any] = VIT, **options: Any) -> CLIP:
    """Build a model of a few thousand parameters."""
    return build_clip(**dict(image=image, text=TEXT, embed_dim=24) | options)


def batch(n: int, size: int = VIT["image_size"], seed: int = 0) -> tuple[jax.Array, jax.Array]:
    """Draw images uint8 [n size size 3] and tokens [n context] with various end positions."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, END, (n, TEXT["context"]))
    ends = rng.integers(2, TEXT["context"], n)
    tokens[np.arange(n), ends] = END
    tokens[np.arange(TEXT["context"]) > ends[:, None]] = 0
    image = rng.integers(0, 256, (n, size, size, 3))
    return jnp.asarray(image, jnp.uint8), jnp.asarray(tokens, jnp.int32)


def variables(model: CLIP, *inputs: jax.Array) -> Any:
    """Random variables, none at a special value such as a zero bias; nothing is compiled."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(1)

    def leaf(path: tuple[Any, ...], shape: jax.ShapeDtypeStruct) -> jax.Array:
        noise = rng.normal(size=shape.shape) / math.sqrt(math.prod(shape.shape[:-1]) or 1)
        positive = path[-1].key in ("scale", "var")
        return jnp.asarray(1 + 0.1 * abs(noise) if positive else noise, jnp.float32)

    return jax.tree_util.tree_map_with_path(leaf, shapes)


def assert_close(actual: Any, desired: Any, tolerance: float = 1e-5) -> None:
    """Largest difference in each leaf over its largest entry; leaves that are only noise pass."""
    chex.assert_trees_all_equal_shapes_and_dtypes(actual, desired)
    floor = 1e-6 * max(np.abs(leaf).max() for leaf in jax.tree.leaves(desired))
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(desired), strict=True
    ):
        limit = tolerance * np.abs(y).max() + floor
        np.testing.assert_allclose(x, y, rtol=0, atol=limit, err_msg=jax.tree_util.keystr(path))
