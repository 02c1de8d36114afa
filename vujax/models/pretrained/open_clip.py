"""Settings of open_clip's and OpenAI's CLIPs as a model of `vujax.models.clip`.

open_clip's config is taken whole or not at all: a setting that our modules do not have is refused
by its name. A lone file of weights has no config, so its sizes are read off its tensors, as
OpenAI's code does; a head is 64 wide there. What shapes do not tell, the activation, is asked for.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from vujax.models.pretrained.huggingface import parse_square

HEAD = 64
Shapes = Mapping[str, tuple[int, ...]]

# Settings that change nothing here, and the one value that the others may have.
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
    """Arguments of `models.build`, but for the pixels' mean and std.

    Args:
      settings: 'model_cfg' of open_clip_config.json.
      where: for messages.

    Raises:
      ValueError: a setting that our modules do not have, or one that is missing.
    """
    vision, text = (dict(settings.get(name) or {}) for name in ("vision_cfg", "text_cfg"))
    if vision.get("timm_model_name") or text.get("hf_model_name"):
        raise ValueError(
            f"{where}: its tower {vision.get('timm_model_name') or text['hf_model_name']!r} comes "
            "from another library: open_clip's own ViTs and ResNets are read, and SigLIP in the "
            "layout of transformers."
        )
    _check(settings, _TOP, where)
    _check(vision, _VISION, f"{where}: vision_cfg", pool="tok")
    _check(text, _TEXT, f"{where}: text_cfg", pool="argmax")
    try:
        image = (
            _resnet(vision, where) if isinstance(vision["layers"], list) else _vit(vision, where)
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
        raise ValueError(f"{where} lacks {error}.") from None
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
                raise ValueError(f"{where}: {name} is {value!r}, which no model here has.")
        elif name not in known and name not in _FREE:
            raise ValueError(f"{where}: {name} is a setting that is not known here.")


def _vit(vision: Mapping[str, Any], where: str) -> dict[str, Any]:
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


def _resnet(vision: Mapping[str, Any], where: str) -> dict[str, Any]:
    if vision.get("head_width", HEAD) != HEAD:
        raise ValueError(f"{where}: a ResNet's head_width is {HEAD} here.")
    size = parse_square(vision["image_size"], f"{where}: image_size")
    width, blocks = vision.get("width", 64), vision["layers"]
    return dict(kind="resnet", image_size=size, width=width, blocks=blocks)


def infer_config(shapes: Shapes, act: str | None, where: str) -> dict[str, Any]:
    """Arguments of `models.build` from the tensors of a lone file, by OpenAI's names.

    Args:
      shapes: of the tensors.
      act: the activation, 'gelu' or 'quick_gelu'.
      where: for messages.

    Raises:
      ValueError: `act` is None, or the tensors are no CLIP's by these names.
    """
    if any(name.startswith("visual.trunk.") for name in shapes):
        raise ValueError(
            f"{where} holds a tower of the timm library: take the model in the layout of "
            "transformers, if there is one."
        )
    if any(name.startswith(("text_model.", "vision_model.")) for name in shapes):
        raise ValueError(
            f"{where} has the names of transformers, whose config.json tells what shapes do not: "
            "give the folder that holds both."
        )
    if act is None:
        raise ValueError(
            f"{where} does not say which activation its model has: give --act quick_gelu (OpenAI's "
            "weights, and those that open_clip calls quickgelu) or --act gelu (its others)."
        )
    try:
        image = _resnet_of(shapes) if "visual.layer1.0.conv1.weight" in shapes else _vit_of(shapes)
        width, embed_dim = shapes["text_projection"]
        vocab, context = shapes["token_embedding.weight"][0], shapes["positional_embedding"][0]
        text = dict(_stack(shapes, "transformer", width), context=context, vocab=vocab)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{where} is no CLIP by OpenAI's names: it lacks {error}.") from None
    bias = "logit_bias" in shapes
    return dict(image=image, text=text, embed_dim=embed_dim, act=act, bias=bias)


def _stack(shapes: Shapes, name: str, width: int) -> dict[str, int]:
    hidden = shapes[f"{name}.resblocks.0.mlp.c_fc.weight"][0]
    layers = _count(shapes, rf"{re.escape(name)}\.resblocks\.(\d+)\..+")
    return dict(width=width, layers=layers, heads=width // HEAD, hidden=hidden)


def _vit_of(shapes: Shapes) -> dict[str, Any]:
    width, _, patch, _ = shapes["visual.conv1.weight"]
    grid = math.isqrt(shapes["visual.positional_embedding"][0] - 1)
    sizes = _stack(shapes, "visual.transformer", width)
    return dict(kind="vit", image_size=grid * patch, patch=patch, **sizes)


def _resnet_of(shapes: Shapes) -> dict[str, Any]:
    blocks = [_count(shapes, rf"visual\.layer{stage}\.(\d+)\..+") for stage in (1, 2, 3, 4)]
    grid = math.isqrt(shapes["visual.attnpool.positional_embedding"][0] - 1)
    width = shapes["visual.layer1.0.conv1.weight"][0]
    return dict(kind="resnet", image_size=32 * grid, width=width, blocks=blocks)


def _count(shapes: Shapes, pattern: str) -> int:
    """How many numbers the names that match have in their group."""
    return len({match[1] for match in (re.fullmatch(pattern, name) for name in shapes) if match})
