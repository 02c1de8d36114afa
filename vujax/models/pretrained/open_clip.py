"""Configs of open_clip's and OpenAI's CLIPs, as arguments of `vujax.models.build_clip`.

open_clip's config is accepted completely or not at all: an unsupported setting is named. A single
file of weights has no config, so its sizes are inferred from its tensors, as OpenAI's code does,
with heads of width 64. The activation cannot be inferred from shapes; the user gives it.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from vujax.models.pretrained.huggingface import parse_square

HEAD = 64
Shapes = Mapping[str, tuple[int, ...]]

# Settings without effect here, and the only supported value of the others.
_FREE = ("timm_model_pretrained", "patch_dropout", "init_logit_scale", "output_tokens")
_FREE += ("image_mean", "image_std", "pad_id")
_ONLY = {
    "hf_tokenizer_name": None,
    "tokenizer_kwargs": None,
    "ls_init_value": None,
    "attentional_pool": False,
    "no_ln_pre": False,
    "pos_embed_type": "learnable",
    "final_ln_after_pool": False,
    "no_causal_mask": False,
    "embed_cls": False,
    "proj_bias": False,
    "proj_type": "linear",
    "custom_text": False,
    "nonscalar_logit_scale": False,
    "act_kwargs": None,
    "norm_kwargs": None,
    "input_patchnorm": False,
    "global_average_pool": False,
}
_VISION = ("image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio")
_TEXT = ("context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio")
_TOP = ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_bias")


def parse_open_clip_config(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Parse a config to arguments of `models.build_clip`, except mean and std of the pixels.

    Args:
      settings: 'model_cfg' of open_clip_config.json.
      where: for messages.

    Raises:
      ValueError: a setting is not supported, or missing.
    """
    vision, text = (dict(settings.get(name) or {}) for name in ("vision_cfg", "text_cfg"))
    if vision.get("timm_model_name") or text.get("hf_model_name"):
        raise ValueError(
            f"{where}: its tower {vision.get('timm_model_name') or text['hf_model_name']!r} comes "
            "from another library: open_clip's own ViTs and ResNets are supported, and SigLIP in "
            "the layout of transformers"
        )
    _check(settings, _TOP, where)
    _check(vision, _VISION, f"{where}: vision_cfg", pool="tok")
    _check(text, _TEXT, f"{where}: text_cfg", pool="argmax")
    try:
        image = (
            _parse_resnet(vision, where)
            if isinstance(vision["layers"], list)
            else _parse_vit(vision, where)
        )
        width = text["width"]
        words = dict(
            width=width,
            layers=text["layers"],
            heads=text["heads"],
            hidden=int(width * text.get("mlp_ratio", 4.0)),
            context=text.get("context_length", 77),
            vocab=text.get("vocab_size", 49408),
        )
        embed_dim = settings["embed_dim"]
    except KeyError as error:
        raise ValueError(f"{where} lacks {error}: download it again") from None
    return dict(
        image=image,
        text=words,
        embed_dim=embed_dim,
        act="quick_gelu" if settings.get("quick_gelu") else "gelu",
        bias=settings.get("init_logit_bias") is not None,
    )


def _check(
    settings: Mapping[str, Any], known: tuple[str, ...], where: str, pool: str | None = None
) -> None:
    allowed = _ONLY if pool is None else _ONLY | {"pool_type": pool}
    for name, value in settings.items():
        if name in allowed:
            if value not in (allowed[name], None, {}):
                raise ValueError(f"{where}: {name} = {value!r} is not supported")
        elif name not in known and name not in _FREE:
            raise ValueError(f"{where}: unknown setting {name}")


def _parse_vit(vision: Mapping[str, Any], where: str) -> dict[str, Any]:
    width, head = vision["width"], vision.get("head_width", HEAD)
    return dict(
        kind="vit",
        image_size=parse_square(vision["image_size"], f"{where}: image_size"),
        patch=parse_square(vision["patch_size"], f"{where}: patch_size"),
        width=width,
        layers=vision["layers"],
        heads=width // head,
        hidden=int(width * vision.get("mlp_ratio", 4.0)),
    )


def _parse_resnet(vision: Mapping[str, Any], where: str) -> dict[str, Any]:
    if vision.get("head_width", HEAD) != HEAD:
        raise ValueError(f"{where}: head_width of a ResNet must be {HEAD}")
    size = parse_square(vision["image_size"], f"{where}: image_size")
    width, blocks = vision.get("width", 64), vision["layers"]
    return dict(kind="resnet", image_size=size, width=width, blocks=blocks)


def infer_config(shapes: Shapes, act: str | None, where: str) -> dict[str, Any]:
    """Infer arguments of `models.build_clip` from the tensors of a single file.

    Args:
      shapes: of the tensors, by OpenAI's names.
      act: activation, 'gelu' or 'quick_gelu'.
      where: for messages.

    Raises:
      ValueError: `act` is None, or the tensors are not those of a CLIP.
    """
    if any(name.startswith("visual.trunk.") for name in shapes):
        raise ValueError(
            f"{where} holds a tower of the timm library: use the model in the layout of "
            "transformers, if available"
        )
    if any(name.startswith(("text_model.", "vision_model.")) for name in shapes):
        raise ValueError(
            f"{where} has the names of transformers, whose config.json is needed too: give the "
            "folder that holds both"
        )
    if act is None:
        raise ValueError(
            f"{where} does not state its activation: give --act quick_gelu (OpenAI's weights, and "
            "those named quickgelu by open_clip) or --act gelu (all others)"
        )
    try:
        image = (
            _infer_resnet(shapes)
            if "visual.layer1.0.conv1.weight" in shapes
            else _infer_vit(shapes)
        )
        width, embed_dim = shapes["text_projection"]
        vocab, context = shapes["token_embedding.weight"][0], shapes["positional_embedding"][0]
        text = dict(_infer_stack(shapes, "transformer", width), context=context, vocab=vocab)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{where} is not a CLIP with OpenAI's names: it lacks {error}") from None
    bias = "logit_bias" in shapes
    return dict(image=image, text=text, embed_dim=embed_dim, act=act, bias=bias)


def _infer_stack(shapes: Shapes, name: str, width: int) -> dict[str, int]:
    hidden = shapes[f"{name}.resblocks.0.mlp.c_fc.weight"][0]
    layers = _count(shapes, rf"{re.escape(name)}\.resblocks\.(\d+)\..+")
    return dict(width=width, layers=layers, heads=width // HEAD, hidden=hidden)


def _infer_vit(shapes: Shapes) -> dict[str, Any]:
    width, _, patch, _ = shapes["visual.conv1.weight"]
    grid = math.isqrt(shapes["visual.positional_embedding"][0] - 1)
    sizes = _infer_stack(shapes, "visual.transformer", width)
    return dict(kind="vit", image_size=grid * patch, patch=patch, **sizes)


def _infer_resnet(shapes: Shapes) -> dict[str, Any]:
    blocks = [_count(shapes, rf"visual\.layer{stage}\.(\d+)\..+") for stage in (1, 2, 3, 4)]
    grid = math.isqrt(shapes["visual.attnpool.positional_embedding"][0] - 1)
    width = shapes["visual.layer1.0.conv1.weight"][0]
    return dict(kind="resnet", image_size=32 * grid, width=width, blocks=blocks)


def _count(shapes: Shapes, pattern: str) -> int:
    """Count the distinct first groups of the names that match."""
    return len({match[1] for match in (re.fullmatch(pattern, name) for name in shapes) if match})
