"""Convolutions and the norms between them, shared by the residual networks and the audio network.

As in `vujax.models.dense`, a kernel's gradient is summed in float32 whatever the compute dtype.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

# How activations are normalised in training. 'sync': by the whole batch's statistics, averaged over
# the mesh. 'batch': each device by those of its own rows; a query and its key on one device then
# share a fingerprint that tells them from the negatives (He et al., "Momentum Contrast for
# Unsupervised Visual Representation Learning", 2020, section 3.3). 'group': each example by itself.
NORMS = ("sync", "batch", "group")

GROUP = 16  # channels of a group at most: Wu and He, "Group Normalization" (2018), section 4.1

TORCH = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # torch's default
KAIMING = nn.initializers.variance_scaling(2.0, "fan_out", "normal")  # He et al. (2015)

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def _convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    strides, around = (stride, stride), ((padding, padding),) * 2
    kernel = kernel.astype(x.dtype)
    return lax.conv_general_dilated(x, kernel, strides, around, dimension_numbers=_LAYOUT)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """Images x [b h w c] by kernel [k l c d], zeros around x: [b h' w' d] in x's dtype.

    The kernel's gradient is in the kernel's dtype, and summed in it.
    """
    return _convolve(x, kernel, stride, padding)


def _forward(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> tuple[jax.Array, Any]:
    return _convolve(x, kernel, stride, padding), (x, kernel)


def _backward(
    stride: int, padding: int, saved: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    _, pull_back = jax.vjp(lambda x: _convolve(x, kernel, stride, padding), x)
    # The kernel's gradient is a convolution of x by g too, in which batch and channels trade roles.
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
    """[b h w c] -> [b h/stride w/stride width]: no bias, padded by half the kernel on all sides."""

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
    """A batch norm whose updated running statistics may be made equal on all devices.

    Attributes:
      shared_over: mesh axis over which these are averaged when `axis_name` is None, so that each
        device normalises by its own rows and the state stays replicated.
    """

    shared_over: str | None = None

    def __call__(self, x: jax.Array) -> jax.Array:
        y = super().__call__(x)
        updated = not (self.use_running_average or self.is_initializing())
        if updated and self.shared_over is not None:
            for name in ("mean", "var"):
                statistic = self.get_variable("batch_stats", name)
                self.put_variable("batch_stats", name, lax.pmean(statistic, self.shared_over))
        return y


def group_norm(x: jax.Array, **options: Any) -> jax.Array:
    """Group norm inside a compact method: groups of 16 channels, or of what divides them all."""
    return nn.GroupNorm(None, math.gcd(GROUP, x.shape[-1]), **options)(x)


class Layers(nn.Module):
    """What such networks are made of: convolutions and norms.

    Attributes:
      dtype: of the computation; parameters and statistics stay float32.
      train: use (and update) the batch's own statistics.
      axis_name: mesh axis over which these are averaged inside shard_map.
      norm: one of NORMS. Without `axis_name` 'batch' is 'sync'.
      kernel_init: of the convolutions.
    """

    dtype: DTypeLike = jnp.float32
    train: bool = False
    axis_name: str | None = None
    norm: str = "sync"
    kernel_init: nn.initializers.Initializer = TORCH

    def conv(self, width: int, size: int, name: str, stride: int = 1) -> Convolution:
        """A square convolution."""
        return Convolution(width, size, stride, self.dtype, self.kernel_init, name=name)

    def normalize(self, name: str, scale: float = 1.0) -> Callable[[jax.Array], jax.Array]:
        """A norm over the last axis's channels; torch's momentum 0.1 is flax's 0.9."""
        scale_init = nn.initializers.constant(scale)
        common = dict(epsilon=1e-5, dtype=self.dtype, scale_init=scale_init, name=name)
        if self.norm == "group":
            return functools.partial(group_norm, **common)
        sync = self.norm == "sync"
        return BatchNorm(
            use_running_average=not self.train,
            momentum=0.9,
            axis_name=self.axis_name if sync else None,
            shared_over=None if sync else self.axis_name,
            **common,
        )
