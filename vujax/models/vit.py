"""Vision transformers of CLIP and SigLIP, with learned positions; their differences are options.

Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021); Radford et al., "Learning Transferable
Visual Models From Natural Language Supervision" (2021); Zhai et al., "Sigmoid Loss for Language
Image Pre-Training" (2023).
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vujax.models.dropout import Dropout, drop_units
from vujax.models.image_spec import ImageSpec
from vujax.models.layers import (
    EPSILON,
    Dense,
    ProjectionHead,
    Shard,
    add_bias,
    identity,
    layer_norm,
    multiply,
)
from vujax.models.transformer import MLP, POOLS, Transformer, TransformerConfig, project_heads

STEMS = ("clip", "plain")
IMAGE_POOLS = (*POOLS, "attention")

SIZES = {
    "Mu": dict(width=128, layers=4, heads=4),
    "Ti": dict(width=192, layers=12, heads=3),
    "S": dict(width=384, layers=12, heads=6),
    "B": dict(width=768, layers=12, heads=12),
    "L": dict(width=1024, layers=24, heads=16),
    "H": dict(width=1280, layers=32, heads=16),
}


def get_vit_sizes(variant: str) -> dict[str, Any]:
    """Return the sizes of a variant such as 'B/32' (SIZE/PATCH).

    'Mu' is our own, for small experiments on CPUs; the others are the papers'.

    Raises:
      ValueError: the variant is unknown.
    """
    match = re.fullmatch(r"(\w+)/([1-9]\d*)", variant)
    if match is None or match[1] not in SIZES:
        raise ValueError(
            f"unknown ViT variant {variant!r}; expected SIZE/PATCH, such as 'B/32', with SIZE one "
            f"of: {', '.join(SIZES)}"
        )
    return SIZES[match[1]] | dict(patch=int(match[2]))


def check_patches(where: str, spec: ImageSpec, patch: int) -> None:
    """Raise ValueError unless each side of the images holds a patch; a remainder is dropped."""
    for side in (spec.height, spec.width):
        if not 0 < patch <= side:
            raise ValueError(f"{where}.image_size {side} must be at least the patch size {patch}")


class PatchEmbedding(nn.Module):
    """Linear embedding of disjoint patches: [b h w c] -> [b floor(h/p)*floor(w/p) d].

    The kernel is a convolution's, [p p c d], applied as one matrix product over flattened patches:
    the values are the same, and the gradient is a matrix product too. Pixels beyond the last
    complete patch, at the lower and right edges, are dropped, as by a convolution without padding.
    """

    width: int
    patch: int
    dtype: DTypeLike = jnp.float32
    bias: bool = False

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        b, h, w, c = image.shape
        p = self.patch
        rows, columns = h // p, w // p
        init = nn.initializers.lecun_normal(in_axis=(0, 1, 2))
        kernel = self.param("kernel", init, (p, p, c, self.width))
        image = image[:, : rows * p, : columns * p].astype(self.dtype)
        patches = image.reshape(b, rows, p, columns, p, c)
        patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(b, -1, p * p * c)
        x = multiply(patches, kernel.reshape(-1, self.width))
        if not self.bias:
            return x
        return add_bias(x, self.param("bias", nn.initializers.zeros, (self.width,)))


class AttentionPoolHead(nn.Module):
    """SigLIP's attention pooling, [b l d] -> [b d] float32, with a learned query.

    Layer norm of the tokens, attention of the one query (probe), then an MLP with a skip
    connection.
    """

    heads: int
    act: str = "gelu"
    dtype: DTypeLike = jnp.float32
    hidden: int | None = None
    epsilon: float = EPSILON

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b, _, d = x.shape
        x = layer_norm(self.dtype, "ln_post", self.epsilon)(x)
        probe = self.param("probe", nn.initializers.xavier_uniform(), (1, 1, d))
        query = project_heads(probe, self.heads, self.dtype, "query")
        query = jnp.broadcast_to(query, (b, *query.shape[1:]))
        key, value = (project_heads(x, self.heads, self.dtype, name) for name in ("key", "value"))
        pooled = jax.nn.dot_product_attention(query, key, value).reshape(b, d)
        pooled = Dense(d, d**-0.5, name="out")(pooled)
        mlp = MLP(d**-0.5, self.act, hidden=self.hidden, name="mlp")
        return pooled + mlp(layer_norm(jnp.float32, "ln", self.epsilon)(pooled))


class ViT(nn.Module):
    """Vision transformer, image [b h w 3] float -> (features [b embed_dim] float32, out).

    `out` holds 'stem' (the stream that enters the blocks, [b 1+patches width], class token first),
    the blocks' streams as `Transformer` names them, 'pooled' (after the last layer norm, [b width])
    and 'projected' (the features).

    Attributes:
      embed_dim: dimension of the features.
      width: of the residual stream.
      patch: side of a patch, in pixels.
      pool: 'token', the class token (CLIP); 'mean', the mean of all tokens, with which small models
        learn sooner (Beyer et al., "Better plain ViT baselines for ImageNet-1k", 2022); or
        'attention' (SigLIP, see `AttentionPoolHead`), which has no projection: 'pooled' is the
        features, so `embed_dim` must be `width`.
      stem: 'clip', a class token and layer norm; or 'plain', patches with a bias and their
        positions alone (SigLIP), without a class token.
      layers, heads, act, dtype, remat, scan, shard, hidden, epsilon: see `TransformerConfig`.
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
    hidden: int | None = None
    epsilon: float = EPSILON
    stem: str = "clip"

    @nn.compact
    def __call__(
        self,
        image: jax.Array,
        *,
        train: bool = False,
        axis_name: str | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        del train, axis_name  # of a ResNet's batch norm: nothing here depends on the batch
        stem = self._stem(image)
        transformer = Transformer(TransformerConfig.from_module(self), name="transformer")
        x, streams = transformer(stem, dropout=dropout)
        pooled, projected = self._head(x, dropout)
        return projected, dict(stem=stem, **streams, pooled=pooled, projected=projected)

    def _head(self, x: jax.Array, dropout: Dropout | None) -> tuple[jax.Array, jax.Array]:
        if self.pool == "attention":
            head = AttentionPoolHead(
                heads=self.heads,
                act=self.act,
                dtype=self.dtype,
                hidden=self.hidden,
                epsilon=self.epsilon,
                name="head",
            )
            pooled = drop_units(head(x), dropout)
            return pooled, pooled
        x = x[:, 0] if self.pool == "token" else x.mean(axis=1)
        return ProjectionHead(self.embed_dim, self.epsilon, name="head")(x, dropout)

    def _stem(self, image: jax.Array) -> jax.Array:
        plain = self.stem == "plain"
        x = PatchEmbedding(self.width, self.patch, self.dtype, plain, name="patch")(image)
        init = nn.initializers.normal(self.width**-0.5)
        if plain:
            return add_bias(x, self.param("positions", init, x.shape[1:]))
        token = self.param("class_token", init, (self.width,))
        positions = self.param("positions", init, (1 + x.shape[1], self.width))
        x = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))  # the token is added with its position
        x = add_bias(x, jnp.asarray(positions).at[0].add(token))  # numpy arrays have no .at
        return layer_norm(self.dtype, "ln_pre", self.epsilon)(x)
