"""Models from plain configuration values, checked."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vujax.models.check import check_choice, check_divides, check_heads, check_known
from vujax.models.clip import CLIP, MEAN, STD
from vujax.models.resnet import ResNet, resnet_sizes
from vujax.models.text import TextTransformer
from vujax.models.transformer import ACTIVATIONS, POOLS, REMAT, Shard, identity
from vujax.models.vit import ViT, vit_sizes

DTYPES = ("float32", "bfloat16")
OPTIONS = ("image", "text", "embed_dim", "act", "dtype", "remat", "scan", "mean", "std", "shard")
IMAGE_OPTIONS = {
    "vit": ("kind", "variant", "image_size", "width", "layers", "heads", "patch", "pool"),
    "resnet": ("kind", "variant", "image_size", "width", "blocks"),
}
TEXT_OPTIONS = ("width", "layers", "heads", "context", "vocab", "pool")


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
    shard: Shard = identity,
    **unknown: Any,
) -> CLIP:
    """A CLIP model from plain configuration values.

    Args:
      image: `dict(kind='vit', variant='B/32', image_size=224)`, the variant being any of
        `vit.SIZES` with any patch size; or `dict(kind='resnet', variant='RN50')`, any of
        `resnet.VARIANTS`, whose image_size defaults to CLIP's. Further keys depart from the
        variant: width, layers, heads, patch, pool ('token' or 'mean'); width, blocks.
      text: width=512, layers=12, heads=8, context=77, vocab=49408, pool='token' or 'mean'.
      embed_dim: dimension of the common space.
      act: 'gelu', or 'quick_gelu' as in OpenAI's weights; in transformers only.
      dtype: of the computation, 'float32' or 'bfloat16'. Parameters, layer-norm statistics,
        softmax, pooled features and embeddings stay float32.
      remat: what the backward pass recomputes in every block, a key of `transformer.REMAT`.
      scan: transformers loop over stacked parameters (see `Transformer`).
      mean: of the RGB channels in [0, 1], for uint8 images.
      std: likewise.
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
    stack = dict(act=act, scan=scan)
    image_tower, image_size = _image_tower(dict(image), common, stack)
    text = dict(text or {})
    check_known("model.text", text, TEXT_OPTIONS)
    text_tower = TextTransformer(**common, **stack, **text)
    check_heads("model.text", text_tower.width, text_tower.heads)
    check_choice("model.text.pool", text_tower.pool, POOLS)
    return CLIP(image_tower, text_tower, image_size, tuple(mean), tuple(std))


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
    check_choice("model.image.pool", sizes.get("pool", "token"), POOLS)
    return ViT(**common, **stack, **sizes), image_size
