"""Convolutional network over the log-mel spectrogram of a shot.

The plan is that of Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio
Pattern Recognition" (2020), arXiv:1912.10211: pairs of 3x3 convolutions, each pair followed by
average pooling, the mean over the bands, then mean and maximum over time. Sizes are our choice.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vujax.models.layers import Shard, identity
from vujax.models.resnet import KAIMING, ConvLayers

SIZES = {"small": (16, 32, 64), "large": (64, 128, 256, 512)}  # channels after each pair


class Bands(ConvLayers):
    """Normalization of each band: [n t mels] -> [n t mels 1]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return self.normalize("bn")(x)[..., None]


class Pair(ConvLayers):
    """Two convolutions and average pooling, [n t m c] -> [n t/2 m/2 width], rounded down."""

    width: int = 16
    shard: Shard = identity

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i in (1, 2):
            x = nn.relu(self.normalize(f"bn{i}")(self.conv(self.width, 3, f"conv{i}")(x)))
        return self.shard(nn.avg_pool(x, (2, 2), strides=(2, 2)))


class AudioNet(nn.Module):
    """Log-mel [n t mels] -> (features [n widths[-1]] float32, out), for t of at least `min_frames`.

    All frames have equal weight, padding of short shots included: the data pipeline chooses what
    it holds. Norms are as in `resnet.ResNet`; with 'group' a shot's own level has no effect.

    `out` holds 'pair1', ... (maps [n t m c]) and 'features', the mean plus the maximum over time of
    the last map's mean over the bands.

    Attributes:
      widths: channels after each pair of convolutions.
      mels: bands.
      norm: one of `resnet.NORMS`.
      dtype: compute dtype; parameters, statistics and features stay float32.
      shard: applied to every pair's output; a sharding constraint under FSDP.
    """

    widths: tuple[int, ...] = SIZES["small"]
    mels: int = 64
    norm: str = "sync"
    dtype: DTypeLike = jnp.float32
    shard: Shard = identity

    @property
    def dim(self) -> int:
        """Dimension of the features."""
        return self.widths[-1]

    @property
    def min_frames(self) -> int:
        """Minimum number of frames, and of bands."""
        return 2 ** len(self.widths)

    @nn.compact
    def __call__(
        self, log_mel: jax.Array, *, train: bool = False, axis_name: str | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Encode spectrograms.

        Raises:
          ValueError: they have another number of bands, or are too short.
        """
        self._check(log_mel)
        common = dict(dtype=self.dtype, train=train, axis_name=axis_name, norm=self.norm)
        common |= dict(kernel_init=KAIMING)
        x, out = Bands(**common, name="bands")(log_mel), {}
        for i, width in enumerate(self.widths, start=1):
            x = Pair(**common, width=width, shard=self.shard, name=f"pair{i}")(x)
            out[f"pair{i}"] = x
        by_time = x.mean(axis=2, dtype=jnp.float32)
        features = by_time.mean(axis=1) + by_time.max(axis=1)
        return features, out | dict(features=features)

    def _check(self, log_mel: jax.Array) -> None:
        shape = log_mel.shape
        if len(shape) != 3 or shape[2] != self.mels or shape[1] < self.min_frames:
            raise ValueError(
                f"audio of shape {shape} does not fit this encoder, which takes log-mel "
                f"[n t {self.mels}] with t at least {self.min_frames}: check audio.mels"
            )
