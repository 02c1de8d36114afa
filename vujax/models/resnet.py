"""Residual networks, and the convolutions and norms that they share with other networks.

He et al., "Deep Residual Learning for Image Recognition" (2015), arXiv:1512.03385: a 7x7 stem, max
pooling, and mean pooling at the end; strides are in the blocks' 3x3 convolutions, as in
torchvision's ResNet v1.5. CLIP's variant is `vujax.models.clip_resnet`.

As in `vujax.models.layers`, a kernel's gradient is summed in float32 in any compute dtype.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from vujax.models import convert
from vujax.models.layers import Shard, identity
from vujax.models.transformer import rematerialize

# Normalization of activations in training. 'sync': by the statistics of the global batch, averaged
# over the mesh. 'batch': each device by those of its own rows; a query and its key on one device
# then share a fingerprint that distinguishes them from the negatives (He et al., "Momentum Contrast
# for Unsupervised Visual Representation Learning", 2020, section 3.3). 'group': each example alone.
NORMS = ("sync", "batch", "group")

GROUP = 16  # channels of a group at most: Wu and He, "Group Normalization" (2018), section 4.1
TORCH = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # torch's default
KAIMING = nn.initializers.variance_scaling(2.0, "fan_out", "normal")  # He et al. (2015)

_LAYOUT = ("NHWC", "HWIO", "NHWC")


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, by channel in [0, 1]

VARIANTS = {
    "Mu": dict(width=16, blocks=(1, 1, 1, 1), bottleneck=False),
    "RN18": dict(width=64, blocks=(2, 2, 2, 2), bottleneck=False),
    "RN34": dict(width=64, blocks=(3, 4, 6, 3), bottleneck=False),
    "RN50": dict(width=64, blocks=(3, 4, 6, 3), bottleneck=True),
    "RN101": dict(width=64, blocks=(3, 4, 23, 3), bottleneck=True),
}

_RULES: convert.Rules = (
    (r"layer(\d)\.(.+)", r"layer\1_\2"),
    (r"((?:conv|bn)1\..+)", r"stem.\1"),
)


def _convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    strides, around = (stride, stride), ((padding, padding),) * 2
    kernel = kernel.astype(x.dtype)
    return lax.conv_general_dilated(x, kernel, strides, around, dimension_numbers=_LAYOUT)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """Convolve x [b h w c] with kernel [k l c d], zero padded: [b h' w' d] in x's dtype.

    The kernel's gradient is in the kernel's dtype, and is summed in it.
    """
    return _convolve(x, kernel, stride, padding)


def _forward(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> tuple[jax.Array, Any]:
    return _convolve(x, kernel, stride, padding), (x, kernel)


def _backward(
    stride: int, padding: int, saved: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    _, pull_back = jax.vjp(lambda x: _convolve(x, kernel, stride, padding), x)
    # The kernel's gradient is a convolution of x with g, with batch and channels exchanged.
    after = [
        size + (out - 1) * stride - length - padding
        for size, out, length in zip(kernel.shape[:2], g.shape[1:3], x.shape[1:3], strict=True)
    ]
    by_kernel = lax.conv_general_dilated(
        x,
        g,
        window_strides=(1, 1),
        padding=[(padding, end) for end in after],
        rhs_dilation=(stride, stride),
        dimension_numbers=("CHWN", "IHWO", "HWNC"),
        preferred_element_type=kernel.dtype,
    )
    return pull_back(g)[0], by_kernel


convolve.defvjp(_forward, _backward)


class Convolution(nn.Module):
    """Convolution [b h w c] -> [b h/stride w/stride width], padded by half the kernel, no bias."""

    width: int
    size: int
    stride: int = 1
    dtype: DTypeLike = jnp.float32
    kernel_init: nn.initializers.Initializer = TORCH

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.width)
        kernel = self.param("kernel", self.kernel_init, shape)
        return convolve(x.astype(self.dtype), kernel, self.stride, self.size // 2)


class BatchNorm(nn.BatchNorm):
    """Batch norm whose updated running statistics can be averaged over devices.

    Attributes:
      shared_over: mesh axis over which they are averaged when `axis_name` is None, so that each
        device normalizes by its own rows and the state stays replicated.
    """

    shared_over: str | None = None

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        y = super().__call__(x)
        updated = not (self.use_running_average or self.is_initializing())
        if updated and self.shared_over is not None:
            for name in ("mean", "var"):
                statistic = self.get_variable("batch_stats", name)
                self.put_variable("batch_stats", name, lax.pmean(statistic, self.shared_over))
        return y


def apply_group_norm(x: jax.Array, **options: Any) -> jax.Array:
    """Apply group norm inside a compact method, with groups of gcd(16, channels) channels."""
    return nn.GroupNorm(None, math.gcd(GROUP, x.shape[-1]), **options)(x)


class ConvLayers(nn.Module):
    """Base of modules with convolutions and norms.

    Attributes:
      dtype: compute dtype; parameters and statistics stay float32.
      train: True uses (and updates) the batch's own statistics.
      axis_name: mesh axis over which these are averaged inside shard_map.
      norm: one of NORMS. Without `axis_name` 'batch' equals 'sync'.
      kernel_init: of the convolutions.
    """

    dtype: DTypeLike = jnp.float32
    train: bool = False
    axis_name: str | None = None
    norm: str = "sync"
    kernel_init: nn.initializers.Initializer = TORCH

    def conv(self, width: int, size: int, name: str, stride: int = 1) -> Convolution:
        """Build a square convolution."""
        return Convolution(width, size, stride, self.dtype, self.kernel_init, name=name)

    def normalize(self, name: str, scale: float = 1.0) -> Callable[[jax.Array], jax.Array]:
        """Build a norm over the channels of the last axis; torch's momentum 0.1 is flax's 0.9."""
        scale_init = nn.initializers.constant(scale)
        common = dict(epsilon=1e-5, dtype=self.dtype, scale_init=scale_init, name=name)
        if self.norm == "group":
            return functools.partial(apply_group_norm, **common)
        sync = self.norm == "sync"
        return BatchNorm(
            use_running_average=not self.train,
            momentum=0.9,
            axis_name=self.axis_name if sync else None,
            shared_over=None if sync else self.axis_name,
            **common,
        )


def get_resnet_sizes(variant: str) -> dict[str, Any]:
    """Return the sizes of a variant such as 'RN50'.

    'Mu' is our own, for small experiments on CPUs; the others are the paper's.

    Raises:
      ValueError: the variant is unknown.
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"unknown ResNet variant {variant!r}; expected one of: {', '.join(VARIANTS)}"
        )
    return VARIANTS[variant]


class Block(ConvLayers):
    """Residual block [b h w c] -> [b h/stride w/stride width], or 4*width with a bottleneck."""

    width: int = 64
    stride: int = 1
    bottleneck: bool = True
    shard: Shard = identity

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y, skip = self._branch(x), x
        if skip.shape != y.shape:
            skip = self.conv(y.shape[-1], 1, "skip_conv", self.stride)(skip)
            skip = self.normalize("skip_bn")(skip)
        return self.shard(nn.relu(y + skip))

    def _branch(self, x: jax.Array) -> jax.Array:
        width, stride = self.width, self.stride
        wide = ((width, 1, 1), (width, 3, stride), (4 * width, 1, 1))
        layers = wide if self.bottleneck else ((width, 3, stride), (width, 3, 1))
        for i, (channels, size, step) in enumerate(layers, start=1):
            last = i == len(layers)
            x = self.conv(channels, size, f"conv{i}", step)(x)
            # The block starts as its skip connection (Goyal et al., arXiv:1706.02677).
            x = self.normalize(f"bn{i}", scale=0.0 if last else 1.0)(x)
            x = x if last else nn.relu(x)
        return x


class Stem(ConvLayers):
    """7x7 convolution and max pooling: [b h w c] -> [b h/4 w/4 width]."""

    width: int = 64

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(self.normalize("bn1")(self.conv(self.width, 7, "conv1", stride=2)(x)))
        return nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))


class ResNet(nn.Module):
    """Residual network, image [b h w c] float of any size -> (features [b dim] float32, out).

    With train=True norms use the batch's own statistics according to `norm`, and update the running
    ones (collection 'batch_stats', which the caller makes mutable); otherwise they use the running
    ones.

    `out` holds 'stem', 'layer1' ... 'layer4' (the stages' maps [b h w c]) and 'features', the mean
    of the last map.

    Attributes:
      width: channels of the stem.
      blocks: of each of the four stages.
      bottleneck: True for blocks that narrow, filter and widen by 4; False for two filters.
      norm: one of NORMS.
      dtype: compute dtype; parameters, statistics and features stay float32.
      remat: a key of `transformer.REMAT_POLICIES`, applied to every block.
      shard: applied to every block's output; a sharding constraint under FSDP.
    """

    width: int = 64
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    bottleneck: bool = True
    norm: str = "sync"
    dtype: DTypeLike = jnp.float32
    remat: str = "none"
    shard: Shard = identity

    @property
    def dim(self) -> int:
        """Dimension of the features."""
        return 8 * self.width * (4 if self.bottleneck else 1)

    @nn.compact
    def __call__(
        self, image: jax.Array, *, train: bool = False, axis_name: str | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        layers = dict(dtype=self.dtype, train=train, axis_name=axis_name, norm=self.norm)
        layers |= dict(kernel_init=KAIMING)
        common = layers | dict(bottleneck=self.bottleneck, shard=self.shard)
        block = functools.partial(rematerialize(Block, self.remat), **common)
        x = Stem(**layers, width=self.width, name="stem")(image.astype(self.dtype))
        out = {"stem": x}
        for stage, depth in enumerate(self.blocks, start=1):
            for i in range(depth):
                stride = 2 if i == 0 and stage > 1 else 1
                width = self.width * 2 ** (stage - 1)
                x = block(width=width, stride=stride, name=f"layer{stage}_{i:02d}")(x)
            out[f"layer{stage}"] = x
        features = x.mean(axis=(1, 2), dtype=jnp.float32)
        return features, out | dict(features=features)


def from_torchvision(tensors: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """Convert tensors with torchvision's names to variables, without its classifier 'fc'.

    Args:
      tensors: arrays by name, of any float dtype.
      template: variables of a `ResidualNet`, or their shapes alone.

    Raises:
      ValueError: a tensor is missing, unexpected, or of another shape.
    """
    body = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
    return convert.fill_variables(body, _RULES, template)
