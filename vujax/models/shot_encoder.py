"""A shot's vector from its keyframes, its sound, features computed elsewhere, or any of these.

    encoder = build_shot(image=dict(encoder="resnet", variant="RN50", pool="stack", frames=3))
    variables = encoder.init(jax.random.key(0), {"image": image})
    vector, out = encoder.apply(variables, {"image": image})

The plan, an encoder for each input and their vectors joined at the end, is that of Chen et al.,
"Shot Contrastive Self-Supervised Learning for Scene Boundary Detection" (2021); sizes are options.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vujax.models.audio import SIZES, AudioNet
from vujax.models.clip import DTYPES
from vujax.models.keyframes import KeyframeEncoder, build_keyframe_encoder
from vujax.models.layers import Dense, Shard, identity, l2_normalize
from vujax.models.resnet import NORMS
from vujax.models.transformer import REMAT_POLICIES
from vujax.utils.validation import check_choice, check_divides, check_known

Out = dict[str, Any]

INPUTS = ("image", "audio", "feature")
FUSIONS = ("concat", "unit")
OPTIONS = (*INPUTS, "fusion", "projection", "dtype", "remat", "shard")
AUDIO_OPTIONS = ("size", "widths", "mels", "norm")
FEATURE_OPTIONS = ("hidden", "dim", "width", "unit")


class Projection(nn.Module):
    """Dense layers with ReLU between them: x [... d] -> [... widths[-1]] float32.

    Widths (2048, 128) behind a ResNet-50 are the head 2048-2048-128; without any, x as it is.
    """

    widths: tuple[int, ...]
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, width in enumerate(self.widths, start=1):
            last = i == len(self.widths)
            std = math.sqrt((1 if last else 2) / x.shape[-1])
            x = Dense(width, std, self.dtype, name=f"fc{i}")(x)
            x = x if last else nn.relu(x)
        return x.astype(jnp.float32)


class FeatureEncoder(nn.Module):
    """Features computed elsewhere, as they are or through a few layers: [n f] -> [n dim] float32.

    Attributes:
      mlp: the layers; without widths the features pass.
      width: f, or None for whatever comes first.
      unit: divide each row by its length first. Layers see it times sqrt(f): components near 1.
    """

    mlp: Projection
    width: int | None = None
    unit: bool = False

    @property
    def dim(self) -> int:
        """Dimension of the result.

        Raises:
          ValueError: the features pass as they are, and their width was not given.
        """
        widths = (*filter(None, [self.width]), *self.mlp.widths)
        if not widths:
            raise ValueError("Features that pass as they are have no known size: give their width.")
        return widths[-1]

    @nn.compact
    def __call__(self, feature: jax.Array) -> jax.Array:
        """Raises ValueError when the features' width does not fit."""
        shape = feature.shape
        if len(shape) != 2 or self.width not in (None, shape[-1]):
            raise ValueError(
                f"Features of shape {shape} do not fit this encoder, which takes "
                f"[n {self.width or 'f'}]: check feature.width."
            )
        x = l2_normalize(feature) if self.unit else feature.astype(jnp.float32)
        if self.unit and self.mlp.widths:
            x *= math.sqrt(shape[-1])
        return self.mlp(x)


class ShotEncoder(nn.Module):
    """Inputs of n shots -> (vectors [n dim] float32, not normalised; out).

    With train=True norms of the ResNet and of the audio network use the batch's own statistics as
    their `norm` says, and update the running ones (collection 'batch_stats', which the caller makes
    mutable). EfficientNet-Lite0 uses its running statistics in training too: its weights can be
    fine-tuned, its statistics stay.

    `out` holds each input's vector under the input's name, its intermediates under 'image/...' and
    'audio/...', and 'fused' (joined, before the projection).

    Attributes:
      image: None or the encoder of keyframes uint8 [n k h w 3].
      audio: None or that of log-mel float32 [n t mels].
      feature: None or that of features float32 [n f].
      projection: of the joined vectors.
      fusion: 'concat', or 'unit': each input's vector over its length first, so that none outweighs
        the others.
    """

    image: KeyframeEncoder | None
    audio: AudioNet | None
    feature: FeatureEncoder | None
    projection: Projection
    fusion: str = "concat"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Keys of the inputs that it takes."""
        return tuple(name for name in INPUTS if getattr(self, name) is not None)

    @property
    def dim(self) -> int:
        """Dimension of the vectors.

        Raises:
          ValueError: features pass as they are, and their width was not given.
        """
        if self.projection.widths:
            return self.projection.widths[-1]
        return sum(getattr(self, name).dim for name in self.inputs)

    @nn.compact
    def __call__(
        self,
        inputs: Mapping[str, jax.Array],
        *,
        train: bool = False,
        axis_name: str | None = None,
    ) -> tuple[jax.Array, Out]:
        """Keys of `inputs` that the encoder does not take are ignored.

        Raises:
          ValueError: an input is missing or has a shape that does not fit.
        """
        missing = [name for name in self.inputs if name not in inputs]
        if missing:
            raise ValueError(
                f"Input {missing[0]!r} is missing: this shot encoder takes "
                f"{' and '.join(self.inputs)}, and was given {', '.join(inputs) or 'nothing'}."
            )
        how, out, vectors = dict(train=train, axis_name=axis_name), {}, []
        for name in self.inputs:
            encode = getattr(self, name)
            if name == "feature":
                vector, inner = encode(inputs[name]), {}
            else:
                vector, inner = encode(inputs[name], **how)
            out |= {name: vector} | {f"{name}/{key}": value for key, value in inner.items()}
            vectors.append(l2_normalize(vector) if self.fusion == "unit" else vector)
        fused = jnp.concatenate(vectors, axis=-1)
        return self.projection(fused), out | dict(fused=fused)


def build_shot_encoder(
    *,
    image: Mapping[str, Any] | None = None,
    audio: Mapping[str, Any] | None = None,
    feature: Mapping[str, Any] | None = None,
    fusion: str = "concat",
    projection: Iterable[int] = (),
    dtype: str = "float32",
    remat: str = "none",
    shard: Shard = identity,
    **unknown: Any,
) -> ShotEncoder:
    """A shot encoder from plain configuration values; each input that is not None is one it takes.

    Args:
      image: `encoder` is 'resnet', 'vit' or 'lite' (EfficientNet-Lite0); `pool` of the keyframes
        'mean', 'attention' or, for a ResNet, 'stack'; frames=3, image_size=224; mean and std of the
        RGB channels. A ResNet has `variant`, any of `residual.VARIANTS`, from which `width` and
        `blocks` depart, and `norm`, any of `convolution.NORMS`. A ViT has `variant` (see `vit`),
        width, layers, heads, patch, token_pool, act, scan, and dim, by default its width.
      audio: `size` 'small' or 'large', or `widths` in its place; mels=64; norm as above.
      feature: widths `hidden`=() and `dim`=None of an MLP, none after its last layer; without both
        the features pass as they are. `width` is theirs, to be checked; `unit`=True divides each
        row by its length first.
      fusion: 'concat' or 'unit' (see `ShotEncoder`).
      projection: widths of layers behind the joined vectors.
      dtype: of the computation, 'float32' or 'bfloat16'; EfficientNet-Lite0 stays in float32.
        Parameters, statistics and vectors stay float32.
      remat: what the backward pass recomputes in every block, a key of `transformer.REMAT`; for
        ResNets and ViTs.
      shard: constraint on activations [b ...] under FSDP.
      **unknown: anything else, an error.

    Raises:
      ValueError: no input, an unknown option or variant, or sizes that do not fit.
    """
    check_known("model", unknown, OPTIONS)
    for name, value, known in (
        ("fusion", fusion, FUSIONS),
        ("dtype", dtype, DTYPES),
        ("remat", remat, REMAT_POLICIES),
    ):
        check_choice(f"model.{name}", value, known)
    if image is None and audio is None and feature is None:
        raise ValueError(f"A shot encoder needs an input: give model.{' or model.'.join(INPUTS)}.")
    common = dict(dtype=jnp.dtype(dtype), shard=shard)
    return ShotEncoder(
        None
        if image is None
        else build_keyframe_encoder(image, "model.image", common | dict(remat=remat)),
        None if audio is None else _audio(audio, common),
        None if feature is None else _feature(feature, common["dtype"]),
        _projection("model.projection", projection, common["dtype"]),
        fusion,
    )


def _audio(options: Mapping[str, Any], common: Mapping[str, Any]) -> AudioNet:
    options = dict(options)
    check_known("model.audio", options, AUDIO_OPTIONS)
    size = options.pop("size", "small")
    check_choice("model.audio.size", size, SIZES)
    check_choice("model.audio.norm", options.get("norm", "sync"), NORMS)
    widths = _widths("model.audio.widths", options.pop("widths", SIZES[size]))
    net = AudioNet(widths=widths, **options, **common)
    check_divides("model.audio.mels", net.mels, "bands", 1)
    return net


def _feature(options: Mapping[str, Any], dtype: DTypeLike) -> FeatureEncoder:
    options = dict(options)
    check_known("model.feature", options, FEATURE_OPTIONS)
    dim = options.pop("dim", None)
    widths = (*options.pop("hidden", ()), *(() if dim is None else (dim,)))
    return FeatureEncoder(_projection("model.feature.hidden", widths, dtype), **options)


def _projection(where: str, widths: Iterable[int], dtype: DTypeLike) -> Projection:
    return Projection(_widths(where, widths), dtype)


def _widths(where: str, widths: Iterable[int]) -> tuple[int, ...]:
    widths = tuple(widths)
    for width in widths:
        check_divides(where, width, "channels", 1)
    return widths
