"""ResNets of CLIP: three-convolution stem, average pooling at every stride, attention pooling.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021),
section 2.4.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vujax.models.dropout import Dropout, drop_units
from vujax.models.layers import Dense, Shard, add_bias, identity
from vujax.models.resnet import ConvLayers
from vujax.models.transformer import project_heads, rematerialize

VARIANTS = {
    "RN50": dict(width=64, blocks=(3, 4, 6, 3), image_size=224),
    "RN101": dict(width=64, blocks=(3, 4, 23, 3), image_size=224),
    "RN50x4": dict(width=80, blocks=(4, 6, 10, 6), image_size=288),
    "RN50x16": dict(width=96, blocks=(6, 8, 18, 8), image_size=384),
    "RN50x64": dict(width=128, blocks=(3, 15, 36, 10), image_size=448),
}


def get_clip_resnet_sizes(variant: str) -> dict[str, Any]:
    """Return the sizes of a variant such as 'RN50'.

    Raises:
      ValueError: the variant is unknown.
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"unknown ResNet variant {variant!r}; expected one of: {', '.join(VARIANTS)}"
        )
    return VARIANTS[variant]


def average_pool(x: jax.Array, size: int) -> jax.Array:
    """Average disjoint windows, [b h w c] -> [b h/size w/size c]."""
    return nn.avg_pool(x, (size, size), strides=(size, size)) if size > 1 else x


class Stem(ConvLayers):
    """Three 3x3 convolutions and average pooling: [b h w 3] -> [b h/4 w/4 width]."""

    width: int = 64

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        half = self.width // 2
        x = nn.relu(self.normalize("bn1")(self.conv(half, 3, "conv1", stride=2)(x)))
        x = nn.relu(self.normalize("bn2")(self.conv(half, 3, "conv2")(x)))
        x = nn.relu(self.normalize("bn3")(self.conv(self.width, 3, "conv3")(x)))
        return average_pool(x, 2)


class Bottleneck(ConvLayers):
    """Residual block [b h w c] -> [b h/stride w/stride 4*width], with average pooling as stride."""

    width: int = 64
    stride: int = 1
    shard: Shard = identity

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        skip = x
        x = nn.relu(self.normalize("bn1")(self.conv(self.width, 1, "conv1")(x)))
        x = nn.relu(self.normalize("bn2")(self.conv(self.width, 3, "conv2")(x)))
        x = self.conv(4 * self.width, 1, "conv3")(average_pool(x, self.stride))
        x = self.normalize("bn3", scale=0.0)(x)  # the block starts as its skip connection
        if skip.shape != x.shape:
            skip = self.conv(4 * self.width, 1, "skip_conv")(average_pool(skip, self.stride))
            skip = self.normalize("skip_bn")(skip)
        return self.shard(nn.relu(x + skip))


class AttentionPool(nn.Module):
    """Attention of the grid's mean to itself and the grid: [b h w c] -> ([b c], [b embed_dim]).

    The results are float32, before and after the output projection; dropout falls between the two.
    """

    embed_dim: int
    heads: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, dropout: Dropout | None = None) -> tuple[jax.Array, jax.Array]:
        b, h, w, c = x.shape
        x = x.reshape(b, h * w, c)
        x = jnp.concatenate([x.mean(axis=1, keepdims=True), x], axis=1)
        init = nn.initializers.normal(c**-0.5)
        x = add_bias(x, self.param("positions", init, (1 + h * w, c)))

        query = project_heads(x[:, :1], self.heads, self.dtype, "query")
        key = project_heads(x, self.heads, self.dtype, "key")
        value = project_heads(x, self.heads, self.dtype, "value")
        pooled = jax.nn.dot_product_attention(query, key, value)
        pooled = pooled.reshape(b, c).astype(jnp.float32)
        return pooled, Dense(self.embed_dim, c**-0.5, name="out")(drop_units(pooled, dropout))


class CLIPResNet(nn.Module):
    """CLIP's ResNet, image [b h w 3] float -> (features [b embed_dim] float32, out).

    With train=True batch norm uses the batch's own statistics, averaged over `axis_name` inside
    shard_map, and updates the running ones (collection 'batch_stats', which the caller makes
    mutable); otherwise it uses the running ones.

    `out` holds 'stem', 'layer1' ... 'layer4' (the stages' maps [b h w c]), 'pooled' (attention
    before its output projection, [b 32*width]) and 'projected' (the features).

    Attributes:
      embed_dim: dimension of the features.
      width: channels of the stem.
      blocks: bottlenecks of each of the four stages.
      dtype: compute dtype; parameters and batch statistics stay float32.
      remat: a key of `transformer.REMAT_POLICIES`, applied to every bottleneck.
      shard: applied to every bottleneck's output; a sharding constraint under FSDP.
    """

    embed_dim: int
    width: int = 64
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    dtype: DTypeLike = jnp.float32
    remat: str = "none"
    shard: Shard = identity

    @nn.compact
    def __call__(
        self,
        image: jax.Array,
        *,
        train: bool = False,
        axis_name: str | None = None,
        dropout: Dropout | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        common = dict(dtype=self.dtype, train=train, axis_name=axis_name)
        block = functools.partial(rematerialize(Bottleneck, self.remat), shard=self.shard)
        x = Stem(**common, width=self.width, name="stem")(image.astype(self.dtype))
        out = {"stem": x}
        for stage, depth in enumerate(self.blocks, start=1):
            width = self.width * 2 ** (stage - 1)
            for i in range(depth):
                stride = 2 if i == 0 and stage > 1 else 1
                name = f"layer{stage}_{i:02d}"
                x = block(**common, width=width, stride=stride, name=name)(x)
            out[f"layer{stage}"] = x
        pool = AttentionPool(self.embed_dim, self.width // 2, self.dtype, name="attnpool")
        pooled, projected = pool(x, dropout)
        return projected, out | dict(pooled=pooled, projected=projected)
