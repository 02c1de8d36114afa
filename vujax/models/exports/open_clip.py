"""A model in the format of open_clip: its own ViTs and ResNets, with OpenAI's names.

open_clip's SigLIPs have towers of the timm library, so a SigLIP is exported for transformers only.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vujax.models.clip import CLIP
from vujax.models.convert import OPENAI_NAMINGS
from vujax.models.layers import EPSILON
from vujax.models.pretrained.open_clip import HEAD
from vujax.models.pretrained.published import (
    SETTINGS,
    WEIGHTS,
    Export,
    check_expressible,
    to_json,
)
from vujax.models.vit import ViT

EXPECTED = {
    "model.image.stem": "clip",
    "model.image.pool": "token",
    "model.image.epsilon": EPSILON,
    "model.text.pool": "token",
    "model.text.causal": True,
    "model.text.bias": False,
    "model.text.epsilon": EPSILON,
    "model.text.end": None,
    "tokenizer": "clip",
}
ACTIVATIONS = ("gelu", "quick_gelu")


def describe(model: CLIP, folder: Path, config: Mapping[str, Any]) -> Export:
    """Describe a release's files in the format of open_clip.

    Args:
      model: module of the release.
      folder: of the release.
      config: of the release.

    Raises:
      ValueError: open_clip's own towers cannot express this model.
    """
    if model.text.act not in ACTIVATIONS:
        raise ValueError(
            f"the format open_clip cannot express model.act = {model.text.act!r}, only "
            f"{' and '.join(ACTIVATIONS)}; a SigLIP has --format hf"
        )
    check_expressible("open_clip", _settings(model, config), EXPECTED)
    spec = model.image_spec.with_preprocess(config.get("preprocess"))
    text = _build_tower(model.text) | {
        "context_length": model.text.context,
        "vocab_size": model.text.vocab,
        "heads": model.text.heads,
    }
    settings = {
        "embed_dim": model.text.embed_dim,
        "quick_gelu": model.text.act == "quick_gelu",
        "vision_cfg": _build_vision(model),
        "text_cfg": text,
    }
    if model.bias:
        settings["init_logit_bias"] = -10.0  # open_clip has the bias where this is set
    preprocess = {
        "size": spec.size,
        "mean": list(spec.mean),
        "std": list(spec.std),
        "interpolation": spec.interpolation,
        "resize_mode": spec.resize,
    }
    file = {"model_cfg": settings, "preprocess_cfg": preprocess}
    kind = "vit" if isinstance(model.image, ViT) else "resnet"
    files = {SETTINGS["open_clip"]: to_json(file)}
    return Export(OPENAI_NAMINGS[kind], WEIGHTS["open_clip"][0], files)


def _settings(model: CLIP, config: Mapping[str, Any]) -> dict[str, Any]:
    image = EXPECTED  # a ResNet has none of these settings
    if isinstance(model.image, ViT):
        image = {
            "model.image.stem": model.image.stem,
            "model.image.pool": model.image.pool,
            "model.image.epsilon": model.image.epsilon,
        }
    ends = (None, model.text.vocab - 1)  # open_clip pools the largest token
    return {
        **{name: image[name] for name in EXPECTED if name.startswith("model.image.")},
        "model.text.pool": model.text.pool,
        "model.text.causal": model.text.causal,
        "model.text.bias": model.text.bias,
        "model.text.epsilon": model.text.epsilon,
        "model.text.end": None if model.text.end in ends else model.text.end,
        "tokenizer": (config.get("tokenizer") or {}).get("kind", "clip"),
    }


def _build_vision(model: CLIP) -> dict[str, Any]:
    image, size = model.image, model.image_spec.size
    if not isinstance(image, ViT):
        blocks = list(image.blocks)
        return {"image_size": size, "layers": blocks, "width": image.width, "head_width": HEAD}
    sizes = {"patch_size": image.patch, "head_width": image.width // image.heads}
    return _build_tower(image) | sizes | {"image_size": size}


def _build_tower(tower: Any) -> dict[str, Any]:
    hidden = tower.hidden or 4 * tower.width
    ratio = hidden / tower.width
    if int(tower.width * ratio) != hidden:  # open_clip truncates
        ratio = math.nextafter(ratio, math.inf)
    return {"width": tower.width, "layers": tower.layers, "mlp_ratio": ratio}
