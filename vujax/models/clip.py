"""CLIP: an image and a text tower with a common embedding space, built from configuration values.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021).
SigLIP (Zhai et al. 2023, arXiv:2303.15343) is one too, with a bias on the logits.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vujax.models.clip_resnet import CLIPResNet, get_clip_resnet_sizes
from vujax.models.image_spec import MEAN, STD, ImageSpec
from vujax.models.layers import ACTIVATIONS, EPSILON, Shard, identity
from vujax.models.text import TEXT_POOLS, TextTransformer
from vujax.models.transformer import REMAT_POLICIES
from vujax.models.two_towers import MAX_SCALE, Out, TwoTowers, clamp_scale
from vujax.models.vit import IMAGE_POOLS, STEMS, ViT, check_patches, get_vit_sizes
from vujax.utils.validation import check_choice, check_divides, check_heads, check_known

INITIAL_BIAS = -10.0
DTYPES = ("float32", "bfloat16")

STACK_OPTIONS = ("width", "layers", "heads", "hidden", "pool")
IMAGE_OPTIONS = {
    "vit": ("kind", "variant", "image_size", "patch", "stem", *STACK_OPTIONS),
    "resnet": ("kind", "variant", "image_size", "width", "blocks"),
}
TEXT_OPTIONS = ("context", "vocab", "causal", "bias", "end", *STACK_OPTIONS)
OPTIONS = (
    *("image", "text", "embed_dim", "act", "dtype", "remat", "scan", "shard", "epsilon"),
    *("mean", "std", "bias", "max_scale"),
)


def normalize_image(image: jax.Array, mean: tuple[float, ...], std: tuple[float, ...]) -> jax.Array:
    """Return (pixel / 255 - mean) / std of uint8 pixels, float32; floats pass unchanged."""
    if image.dtype != jnp.uint8:
        return image
    scale = jnp.asarray([1 / (255 * s) for s in std], jnp.float32)
    offset = jnp.asarray([m / s for m, s in zip(mean, std, strict=True)], jnp.float32)
    return image.astype(jnp.float32) * scale - offset


class CLIP(TwoTowers):
    """Image tower, text tower and temperature; see `TwoTowers`.

    Images are uint8 [b h w 3], normalized on the device, or floats that are normalized already;
    tokens are int32 [b context]. The logits are scale * image @ text.T + bias. `dropout` falls on
    what the blocks of a transformer add to the stream, and on the pooled features.

    Attributes:
      image: image tower.
      text: text tower.
      image_spec: shape and channel statistics of images.
      bias: True adds the parameter 'logit_bias' to the logits (SigLIP).
      max_scale: bound on the temperature's multiplier; None: unbounded (SigLIP).
    """

    image_spec: ImageSpec
    bias: bool = False
    max_scale: float | None = MAX_SCALE

    def setup(self) -> None:
        super().setup()
        if self.bias:
            init = nn.initializers.constant(INITIAL_BIAS)
            self.logit_bias = self.param("logit_bias", init, ())

    def prepare_image(self, image: jax.Array) -> jax.Array:
        """Return normalized images [b h w 3].

        Raises:
          ValueError: the image size is not the model's.
        """
        spec = self.image_spec
        if image.shape[1:] != spec.shape:
            raise ValueError(
                f"images of shape {image.shape} do not fit this model, which takes "
                f"{spec.describe('b')}: resize them, or build the model with their image_size"
            )
        return normalize_image(image, spec.mean, spec.std)

    def prepare_text(self, tokens: jax.Array) -> jax.Array:
        """Return tokens int32 [b context] unchanged.

        Raises:
          ValueError: the length is not the model's context.
        """
        context = self.text.context
        if tokens.shape[1:] != (context,):
            raise ValueError(
                f"tokens of shape {tokens.shape} do not fit this model, which takes "
                f"[b {context}]: tokenize with context={context}"
            )
        return tokens

    def read_scale(self) -> Out:
        """Return 'scale' () clamped at `max_scale`, with `bias` also 'bias' ()."""
        max_scale = math.inf if self.max_scale is None else self.max_scale
        scale = dict(scale=clamp_scale(self.logit_scale, max_scale))
        return scale | (dict(bias=self.logit_bias) if self.bias else {})


def build_clip(
    *,
    image: Mapping[str, Any],
    text: Mapping[str, Any] | None = None,
    embed_dim: int = 512,
    act: str = "gelu",
    dtype: str = "float32",
    remat: str = "none",
    scan: bool = False,
    mean: Iterable[float] = MEAN,
    std: Iterable[float] = STD,
    epsilon: float = EPSILON,
    bias: bool = False,
    max_scale: float | None = MAX_SCALE,
    shard: Shard = identity,
    **unknown: Any,
) -> CLIP:
    """Build a CLIP model from plain configuration values.

    Args:
      image: `dict(kind='vit', variant='B/32', image_size=224)`, with any of `vit.SIZES` and any
        patch size as variant (`vit.PatchEmbedding` drops pixels beyond the last complete patch);
        or `dict(kind='resnet', variant='RN50')`, any of `clip_resnet.VARIANTS`, with CLIP's
        image_size by default. Further keys override the variant: width, layers, heads, patch,
        hidden (width inside the MLPs), pool ('token', 'mean' or 'attention'), stem ('clip' or
        'plain'); for a ResNet width and blocks.
      text: width=512, layers=12, heads=8, context=77, vocab=49408, hidden, pool='token', 'mean' or
        'last', causal=True, bias=False, end=None; see `TextTransformer`.
      embed_dim: dimension of the embeddings.
      act: 'gelu', 'quick_gelu' as in OpenAI's weights, or 'gelu_tanh'; in transformers only.
      dtype: compute dtype, 'float32' or 'bfloat16'. Parameters, layer-norm statistics,
        softmax, pooled features and embeddings stay float32.
      remat: what the backward pass recomputes in every block, a key of
        `transformer.REMAT_POLICIES`.
      scan: True loops transformers over stacked parameters (see `TransformerConfig`).
      mean: of the RGB channels in [0, 1], for uint8 images.
      std: likewise.
      epsilon: of the transformers' layer norms.
      bias: True adds a bias to the logits, as in SigLIP.
      max_scale: bound on the temperature's multiplier; None: unbounded.
      shard: sharding constraint on activations [b ...] under FSDP.
      **unknown: other options, rejected.

    Raises:
      ValueError: an option or variant is unknown, or sizes do not divide.
    """
    check_known("model", unknown, OPTIONS)
    for name, value, known in (
        ("act", act, ACTIVATIONS),
        ("dtype", dtype, DTYPES),
        ("remat", remat, REMAT_POLICIES),
    ):
        check_choice(f"model.{name}", value, known)
    common = dict(embed_dim=embed_dim, dtype=jnp.dtype(dtype), remat=remat, shard=shard)
    stack = dict(act=act, scan=scan, epsilon=epsilon)
    image_tower, image_spec = _image_tower(dict(image), common, stack)
    text = dict(text or {})
    check_known("model.text", text, TEXT_OPTIONS)
    text_tower = TextTransformer(**common, **stack, **text)
    check_heads("model.text", text_tower.width, text_tower.heads)
    check_choice("model.text.pool", text_tower.pool, TEXT_POOLS)
    return CLIP(
        image=image_tower,
        text=text_tower,
        image_spec=dataclasses.replace(image_spec, mean=tuple(mean), std=tuple(std)),
        bias=bias,
        max_scale=max_scale,
    )


def _image_tower(
    options: dict[str, Any], common: dict[str, Any], stack: dict[str, Any]
) -> tuple[nn.Module, ImageSpec]:
    """Build the image tower; return it with the shape of its images."""
    kind = options.get("kind", "vit")
    check_choice("model.image.kind", kind, IMAGE_OPTIONS)
    check_known("model.image", options, IMAGE_OPTIONS[kind])
    options.pop("kind", None)
    if kind == "resnet":
        sizes = get_clip_resnet_sizes(options.pop("variant", "RN50")) | options
        spec = ImageSpec.from_size(sizes.pop("image_size"), "model.image.image_size")
        for side in (spec.height, spec.width):
            check_divides("model.image.image_size", side, "a ResNet's total stride", 32)
        sizes["blocks"] = tuple(sizes["blocks"])
        return CLIPResNet(**common, **sizes), spec
    image_size = options.pop("image_size", 224)
    sizes = get_vit_sizes(options.pop("variant", "B/32")) | options
    spec = ImageSpec.from_size(image_size, "model.image.image_size")
    check_patches("model.image", spec, sizes["patch"])
    check_heads("model.image", sizes["width"], sizes["heads"])
    tower = ViT(**common, **stack, **sizes)
    _check_vit(tower)
    return tower, spec


def _check_vit(tower: ViT) -> None:
    """Check that the tower's stem has the class token that its head pools, and its sizes match."""
    check_choice("model.image.pool", tower.pool, IMAGE_POOLS)
    check_choice("model.image.stem", tower.stem, STEMS)
    if tower.pool == "token" and tower.stem == "plain":
        raise ValueError(
            "model.image.stem 'plain' has no class token: set model.image.pool to 'mean' or "
            "'attention'"
        )
    if tower.pool == "attention" and tower.embed_dim != tower.width:
        raise ValueError(
            f"model.image.pool 'attention' has no projection: model.embed_dim {tower.embed_dim} "
            f"must be model.image.width {tower.width}"
        )
