"""The vision transformer of CLIP: class token, learned positions, layer norm before the blocks.

Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021); Radford et al., "Learning Transferable
Visual Models From Natural Language Supervision" (2021).
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vujax.models.dense import offset, product
from vujax.models.transformer import Head, Shard, Transformer, identity, layer_norm

SIZES = {
    "Mu": dict(width=128, layers=4, heads=4),
    "Ti": dict(width=192, layers=12, heads=3),
    "S": dict(width=384, layers=12, heads=6),
    "B": dict(width=768, layers=12, heads=12),
    "L": dict(width=1024, layers=24, heads=16),
    "H": dict(width=1280, layers=32, heads=16),
}


def vit_sizes(variant: str) -> dict[str, Any]:
    """The sizes that a name such as 'B/32' (SIZE/PATCH) stands for.

    'Mu' is our own, for small experiments on CPUs; the others are the papers'.

    Raises:
      ValueError: there is no such size.
    """
    match = re.fullmatch(r"(\w+)/([1-9]\d*)", variant)
    if match is None or match[1] not in SIZES:
        raise ValueError(
            f"Unknown ViT variant {variant!r}: give SIZE/PATCH, such as 'B/32', "
            f"with SIZE one of {', '.join(SIZES)}."
        )
    return SIZES[match[1]] | dict(patch=int(match[2]))


class PatchEmbedding(nn.Module):
    """Disjoint patches times a matrix: [b h w c] -> [b hw/p^2 d].

    The kernel is a convolution's, [p p c d], applied as one matrix product over flattened patches:
    the same numbers, and a gradient that is a matrix product too.
    """

    width: int
    patch: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        b, h, w, c = image.shape
        p = self.patch
        init = nn.initializers.lecun_normal(in_axis=(0, 1, 2))
        kernel = self.param("kernel", init, (p, p, c, self.width))
        patches = image.astype(self.dtype).reshape(b, h // p, p, w // p, p, c)
        patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(b, -1, p * p * c)
        return product(patches, kernel.reshape(-1, self.width))


class ViT(nn.Module):
    """Image [b h w 3] float -> (features [b embed_dim] float32, out).

    `out` holds 'stem' (the stream that enters the blocks, [b 1+hw/p^2 width], class token first),
    the blocks' streams as `Transformer` names them, 'pooled' (after the last layer norm, [b width])
    and 'projected' (the features). `pool` says what is pooled: 'token', the class token (CLIP), or
    'mean', the mean of all tokens, with which small models learn sooner (Beyer et al., "Better
    plain ViT baselines for ImageNet-1k", 2022). `act` to `shard` are `Transformer`'s.
    """

    embed_dim: int
    width: int
    layers: int
    heads: int
    patch: int
    pool: str = "token"
    act: str = "gelu"
    dtype: DTypeLike = jnp.float32
    remat: str = "none"
    scan: bool = False
    shard: Shard = identity

    @nn.compact
    def __call__(
        self, image: jax.Array, *, train: bool = False, axis_name: str | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        del train, axis_name  # a ResNet's: nothing here depends on the batch
        stem = self._stem(image)
        options = (self.act, self.dtype, self.remat, self.scan, self.shard)
        stack = Transformer(self.layers, self.heads, False, *options, name="transformer")
        x, streams = stack(stem)
        x = x[:, 0] if self.pool == "token" else x.mean(axis=1)
        pooled, projected = Head(self.embed_dim, name="head")(x)
        return projected, dict(stem=stem, **streams, pooled=pooled, projected=projected)

    def _stem(self, image: jax.Array) -> jax.Array:
        x = PatchEmbedding(self.width, self.patch, self.dtype, name="patch")(image)
        init = nn.initializers.normal(self.width**-0.5)
        token = self.param("class_token", init, (self.width,))
        positions = self.param("positions", init, (1 + x.shape[1], self.width))
        x = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))  # the token is added with its position
        x = offset(x, positions.at[0].add(token))
        return layer_norm(self.dtype, "ln_pre")(x)
