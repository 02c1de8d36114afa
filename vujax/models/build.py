"""Models from plain configuration values, checked."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vujax.models.check import check_choice, check_divides, check_heads, check_known
from vujax.models.clip import CLIP, MAX_SCALE, MEAN, STD
from vujax.models.resnet import ResNet, resnet_sizes
from vujax.models.text import TEXT_POOLS, TextTransformer
from vujax.models.transformer import ACTIVATIONS, EPSILON, REMAT, Shard, identity
from vujax.models.vit import IMAGE_POOLS, STEMS, ViT, vit_sizes

DTYPES = ("float32", "bfloat16")
TOWERS = ("image", "text", "embed_dim")
COMPUTING = ("act", "dtype", "remat", "scan", "shard", "epsilon")
OPTIONS = (*TOWERS, *COMPUTING, "mean", "std", "bias", "max_scale")
STACK_OPTIONS = ("width", "layers", "heads", "hidden", "pool")
IMAGE_OPTIONS = {
    "vit": ("kind", "variant", "image_size", "patch", "stem", *STACK_OPTIONS),
    "resnet": ("kind", "variant", "image_size", "width", "blocks"),
}
TEXT_OPTIONS = ("context", "vocab", "causal", "bias", "end", *STACK_OPTIONS)


def build(
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
    """A CLIP model from plain configuration values.

    Args:
      image: `dict(kind='vit', variant='B/32', image_size=224)`, the variant being any of
        `vit.SIZES` with any patch size; or `dict(kind='resnet', variant='RN50')`, any of
        `resnet.VARIANTS`, whose image_size defaults to CLIP's. Further keys depart from the
        variant: width, layers, heads, patch, hidden (width inside the MLPs), pool ('token',
        'mean' or 'attention'), stem ('clip' or 'plain'); width, blocks.
      text: width=512, layers=12, heads=8, context=77, vocab=49408, hidden, pool='token', 'mean' or
        'last', causal=True, bias=False, end=None; see `TextTransformer`.
      embed_dim: dimension of the common space.
      act: 'gelu', 'quick_gelu' as in OpenAI's weights, or 'gelu_tanh'; in transformers only.
      dtype: of the computation, 'float32' or 'bfloat16'. Parameters, layer-norm statistics,
        softmax, pooled features and embeddings stay float32.
      remat: what the backward pass recomputes in every block, a key of `transformer.REMAT`.
      scan: transformers loop over stacked parameters (see `Transformer`).
      mean: of the RGB channels in [0, 1], for uint8 images.
      std: likewise.
      epsilon: of the transformers' layer norms.
      bias: whether the logits have one, as SigLIP's.
      max_scale: bound on the temperature's multiplier; None: there is none.
      shard: constraint on activations [b ...] under FSDP.
      **unknown: anything else, an error.

    Raises:
      ValueError: an unknown option or variant, or sizes that do not divide.
    """
    check_known("model", unknown, OPTIONS)
    for name, value, known in (
        ("act", act, ACTIVATIONS),
        ("dtype", dtype, DTYPES),
        ("remat", remat, REMAT),
    ):
        check_choice(f"model.{name}", value, known)
    common = dict(embed_dim=embed_dim, dtype=jnp.dtype(dtype), remat=remat, shard=shard)
    stack = dict(act=act, scan=scan, epsilon=epsilon)
    image_tower, image_size = _image_tower(dict(image), common, stack)
    text = dict(text or {})
    check_known("model.text", text, TEXT_OPTIONS)
    text_tower = TextTransformer(**common, **stack, **text)
    check_heads("model.text", text_tower.width, text_tower.heads)
    check_choice("model.text.pool", text_tower.pool, TEXT_POOLS)
    sizes = (image_size, tuple(mean), tuple(std))
    return CLIP(image_tower, text_tower, *sizes, bias=bias, max_scale=max_scale)


def _image_tower(
    options: dict[str, Any], common: dict[str, Any], stack: dict[str, Any]
) -> tuple[nn.Module, int]:
    """The image tower and the size of its images."""
    kind = options.get("kind", "vit")
    check_choice("model.image.kind", kind, IMAGE_OPTIONS)
    check_known("model.image", options, IMAGE_OPTIONS[kind])
    options.pop("kind", None)
    if kind == "resnet":
        sizes = resnet_sizes(options.pop("variant", "RN50")) | options
        image_size = sizes.pop("image_size")
        check_divides("model.image.image_size", image_size, "a ResNet's total stride", 32)
        sizes["blocks"] = tuple(sizes["blocks"])
        return ResNet(**common, **sizes), image_size
    image_size = options.pop("image_size", 224)
    sizes = vit_sizes(options.pop("variant", "B/32")) | options
    check_divides("model.image.image_size", image_size, "the patch size", sizes["patch"])
    check_heads("model.image", sizes["width"], sizes["heads"])
    tower = ViT(**common, **stack, **sizes)
    _check_vit(tower)
    return tower, image_size


def _check_vit(tower: ViT) -> None:
    """Raises ValueError unless the tower's stem has what its head pools."""
    check_choice("model.image.pool", tower.pool, IMAGE_POOLS)
    check_choice("model.image.stem", tower.stem, STEMS)
    if tower.pool == "token" and tower.stem == "plain":
        raise ValueError(
            "model.image.stem 'plain' has no class token: set model.image.pool to 'mean' or "
            "'attention'."
        )
    if tower.pool == "attention" and tower.embed_dim != tower.width:
        raise ValueError(
            f"model.image.pool 'attention' projects nothing: model.embed_dim {tower.embed_dim} "
            f"must be model.image.width {tower.width}."
        )
