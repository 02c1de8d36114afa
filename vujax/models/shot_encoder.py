"""Shot encoder: an embedding from keyframes, sound, precomputed features, or any of these.

    encoder = build_shot_encoder(
        image=dict(encoder="resnet", variant="RN50", pool="stack", frames=3)
    )
    variables = encoder.init(jax.random.key(0), {"image": image})
    embedding, out = encoder.apply(variables, {"image": image})

The plan, an encoder for each input and their embeddings joined at the end, is that of Chen et al.,
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
from vujax.models.layers import Shard, identity, l2_normalize
from vujax.models.projection import Projection
from vujax.models.resnet import NORMS
from vujax.models.transformer import REMAT_POLICIES
from vujax.utils.validation import check_choice, check_divides, check_known

Out = dict[str, Any]

INPUTS = ("image", "audio", "feature")
FUSIONS = ("concat", "unit")
OPTIONS = (*INPUTS, "fusion", "projection", "dtype", "remat", "shard")
AUDIO_OPTIONS = ("size", "widths", "mels", "norm")
FEATURE_OPTIONS = ("hidden", "dim", "width", "unit")


class FeatureEncoder(nn.Module):
    """Precomputed features, unchanged or through a few layers: [n f] -> [n dim] float32.

    Attributes:
      mlp: the layers; without widths the features pass.
      width: f, or None for any.
      unit: True scales each row to unit length first, and its input to the layers by sqrt(f), so
        that components are near 1.
    """

    mlp: Projection
    width: int | None = None
    unit: bool = False

    @property
    def dim(self) -> int:
        """Dimension of the result.

        Raises:
          ValueError: the features pass unchanged, and their width was not given.
        """
        widths = (*filter(None, [self.width]), *self.mlp.widths)
        if not widths:
            raise ValueError("features that pass unchanged have no known size: give feature.width")
        return widths[-1]

    @nn.compact
    def __call__(self, feature: jax.Array) -> jax.Array:
        """Encode features.

        Raises:
          ValueError: their width does not fit.
        """
        shape = feature.shape
        if len(shape) != 2 or self.width not in (None, shape[-1]):
            raise ValueError(
                f"features of shape {shape} do not fit this encoder, which takes "
                f"[n {self.width or 'f'}]: check feature.width"
            )
        x = l2_normalize(feature) if self.unit else feature.astype(jnp.float32)
        if self.unit and self.mlp.widths:
            x *= math.sqrt(shape[-1])
        return self.mlp(x)


class ShotEncoder(nn.Module):
    """Inputs of n shots -> (embeddings [n dim] float32, not normalized; out).

    With train=True norms of the ResNet and of the audio network use the batch's own statistics
    according to `norm`, and update the running ones (collection 'batch_stats', which the caller
    makes mutable). EfficientNet-Lite0 uses its running statistics in training too: its weights can
    be fine-tuned, its statistics stay.

    `out` holds each input's embedding under the input's name, its intermediates under 'image/...'
    and 'audio/...', and 'fused' (joined, before the projection).

    Attributes:
      image: encoder of keyframes uint8 [n k h w 3], or None.
      audio: encoder of log-mel spectrograms float32 [n t mels], or None.
      feature: encoder of features float32 [n f], or None.
      projection: of the joined embeddings.
      fusion: 'concat', or 'unit': each input's embedding is scaled to unit length first, so that
        none outweighs the others.
    """

    image: KeyframeEncoder | None
    audio: AudioNet | None
    feature: FeatureEncoder | None
    projection: Projection
    fusion: str = "concat"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Keys of the inputs that the encoder takes."""
        return tuple(name for name in INPUTS if getattr(self, name) is not None)

    @property
    def dim(self) -> int:
        """Dimension of the embeddings.

        Raises:
          ValueError: features pass unchanged, and their width was not given.
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
        """Encode shots; ignore keys of `inputs` that the encoder does not take.

        Raises:
          ValueError: an input is missing or has a shape that does not fit.
        """
        missing = [name for name in self.inputs if name not in inputs]
        if missing:
            raise ValueError(
                f"input {missing[0]!r} is missing: this shot encoder takes "
                f"{' and '.join(self.inputs)}, and was given {', '.join(inputs) or 'nothing'}"
            )
        mode, out, embeddings = dict(train=train, axis_name=axis_name), {}, []
        for name in self.inputs:
            encode = getattr(self, name)
            if name == "feature":
                embedding, inner = encode(inputs[name]), {}
            else:
                embedding, inner = encode(inputs[name], **mode)
            out |= {name: embedding} | {f"{name}/{key}": value for key, value in inner.items()}
            embeddings.append(l2_normalize(embedding) if self.fusion == "unit" else embedding)
        fused = jnp.concatenate(embeddings, axis=-1)
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
    """Build a shot encoder from plain configuration values; it takes each input that is given.

    Args:
      image: `encoder` is 'resnet', 'vit' or 'lite' (EfficientNet-Lite0); `pool` of the keyframes
        'mean', 'attention' or, for a ResNet, 'stack'; frames=3, image_size=224; mean and std of the
        RGB channels. A ResNet has `variant`, any of `resnet.VARIANTS`, which `width` and
        `blocks` override, and `norm`, any of `resnet.NORMS`. A ViT has `variant` (see `vit`),
        width, layers, heads, patch, token_pool, act, scan, and dim, by default its width.
      audio: `size` 'small' or 'large', or `widths` in its place; mels=64; norm as above.
      feature: widths `hidden`=() and `dim`=None of an MLP; without both the features pass
        unchanged. `width` is the features', to be checked; `unit`=True scales each row to unit
        length first.
      fusion: 'concat' or 'unit' (see `ShotEncoder`).
      projection: widths of layers after the joined embeddings.
      dtype: compute dtype, 'float32' or 'bfloat16'; EfficientNet-Lite0 stays in float32.
        Parameters, statistics and embeddings stay float32.
      remat: what the backward pass recomputes in every block, a key of
        `transformer.REMAT_POLICIES`; for ResNets and ViTs.
      shard: sharding constraint on activations [b ...] under FSDP.
      **unknown: other options, rejected.

    Raises:
      ValueError: no input is given, an option or variant is unknown, or sizes do not fit.
    """
    check_known("model", unknown, OPTIONS)
    for name, value, known in (
        ("fusion", fusion, FUSIONS),
        ("dtype", dtype, DTYPES),
        ("remat", remat, REMAT_POLICIES),
    ):
        check_choice(f"model.{name}", value, known)
    if image is None and audio is None and feature is None:
        raise ValueError(f"a shot encoder needs an input: give model.{' or model.'.join(INPUTS)}")
    common = dict(dtype=jnp.dtype(dtype), shard=shard)
    keyframes = None
    if image is not None:
        keyframes = build_keyframe_encoder(image, "model.image", common | dict(remat=remat))
    return ShotEncoder(
        image=keyframes,
        audio=None if audio is None else _build_audio(audio, common),
        feature=None if feature is None else _build_feature(feature, common["dtype"]),
        projection=_build_projection("model.projection", projection, common["dtype"]),
        fusion=fusion,
    )


def _build_audio(options: Mapping[str, Any], common: Mapping[str, Any]) -> AudioNet:
    options = dict(options)
    check_known("model.audio", options, AUDIO_OPTIONS)
    size = options.pop("size", "small")
    check_choice("model.audio.size", size, SIZES)
    check_choice("model.audio.norm", options.get("norm", "sync"), NORMS)
    widths = _check_widths("model.audio.widths", options.pop("widths", SIZES[size]))
    net = AudioNet(widths=widths, **options, **common)
    check_divides("model.audio.mels", net.mels, "bands", 1)
    return net


def _build_feature(options: Mapping[str, Any], dtype: DTypeLike) -> FeatureEncoder:
    options = dict(options)
    check_known("model.feature", options, FEATURE_OPTIONS)
    dim = options.pop("dim", None)
    widths = [*options.pop("hidden", ()), *([] if dim is None else [dim])]
    return FeatureEncoder(_build_projection("model.feature.hidden", widths, dtype), **options)


def _build_projection(where: str, widths: Iterable[int], dtype: DTypeLike) -> Projection:
    return Projection(_check_widths(where, widths), dtype)


def _check_widths(where: str, widths: Iterable[int]) -> tuple[int, ...]:
    widths = tuple(widths)
    for width in widths:
        check_divides(where, width, "channels", 1)
    return widths
