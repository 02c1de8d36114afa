"""Settings of transformers' CLIPModel and SiglipModel as a model of `vujax.models.build`.

What a config leaves out has the default of transformers: SigLIP's published ones say little else.
"""

from collections.abc import Mapping
from typing import Any

ACTIVATIONS = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
}
OLD_END = 2  # configs written before the end token was right mean the largest token
_CLIP = {
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
_SIGLIP = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
_PIXELS = {"image_size": 224, "num_channels": 3}
DEFAULTS = {
    "clip": {
        "text_config": _CLIP
        | {
            "hidden_size": 512,
            "intermediate_size": 2048,
            "num_hidden_layers": 12,
            "num_attention_heads": 8,
            "vocab_size": 49408,
            "max_position_embeddings": 77,
            "eos_token_id": 49407,
        },
        "vision_config": _CLIP
        | _PIXELS
        | {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "patch_size": 32,
        },
    },
    "siglip": {
        "text_config": _SIGLIP | {"vocab_size": 32000, "max_position_embeddings": 64},
        "vision_config": _SIGLIP | _PIXELS | {"patch_size": 16, "vision_use_head": True},
    },
}


def model(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Arguments of `models.build`, but for the pixels' mean and std.

    Args:
      settings: of config.json.
      where: for messages.

    Raises:
      ValueError: another kind of model, or a setting that our modules do not have.
    """
    family = settings.get("model_type")
    if family not in DEFAULTS:
        raise ValueError(
            f"{where} is a model of type {family!r}: those of {', '.join(DEFAULTS)} are read."
        )
    text, vision = (_tower(settings, family, name, where) for name in DEFAULTS[family])
    for name in ("hidden_act", "layer_norm_eps"):
        if text[name] != vision[name]:
            raise ValueError(
                f"{where}: its towers differ in {name} ({text[name]!r}, {vision[name]!r}), which "
                "no model here does."
            )
    if text["hidden_act"] not in ACTIVATIONS:
        raise ValueError(
            f"{where}: hidden_act {text['hidden_act']!r} is unknown: {', '.join(ACTIVATIONS)} are "
            "known."
        )
    common = dict(
        image=dict(kind="vit", **_sizes(vision), **_pixels(vision, where)),
        text=dict(
            **_sizes(text), context=text["max_position_embeddings"], vocab=text["vocab_size"]
        ),
        act=ACTIVATIONS[text["hidden_act"]],
        epsilon=text["layer_norm_eps"],
    )
    kinds = {"clip": _clip, "siglip": _siglip}
    return kinds[family](common, settings, text, vision, where)


def _clip(
    common: dict[str, Any],
    settings: Mapping[str, Any],
    text: Mapping[str, Any],
    vision: Mapping[str, Any],
    where: str,
) -> dict[str, Any]:
    end = text["eos_token_id"]
    if not isinstance(end, int):
        raise ValueError(f"{where}: eos_token_id {end!r} is no single token.")
    if end not in (OLD_END, text["vocab_size"] - 1):  # else the largest token is the end
        common["text"]["end"] = end
    return common | dict(embed_dim=settings.get("projection_dim", 512))


def _siglip(
    common: dict[str, Any],
    settings: Mapping[str, Any],
    text: Mapping[str, Any],
    vision: Mapping[str, Any],
    where: str,
) -> dict[str, Any]:
    if not vision["vision_use_head"]:
        raise ValueError(f"{where}: vision_use_head is false, so it makes no image vectors.")
    common["image"] |= dict(stem="plain", pool="attention")
    common["text"] |= dict(causal=False, pool="last", bias=True)
    return common | dict(embed_dim=vision["hidden_size"], bias=True, max_scale=None)


def _tower(settings: Mapping[str, Any], family: str, name: str, where: str) -> dict[str, Any]:
    """A tower's settings with the defaults; what an old `..._config_dict` says comes last."""
    tower = DEFAULTS[family][name] | (settings.get(name) or {})
    if old := settings.get(f"{name}_dict"):
        tower |= DEFAULTS[family][name] | old
    for size in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"):
        if not isinstance(tower[size], int) or tower[size] < 1:
            raise ValueError(f"{where}: {name}.{size} is {tower[size]!r}, no positive number.")
    return tower


def _sizes(tower: Mapping[str, Any]) -> dict[str, int]:
    return dict(
        width=tower["hidden_size"],
        layers=tower["num_hidden_layers"],
        heads=tower["num_attention_heads"],
        hidden=tower["intermediate_size"],
    )


def _pixels(vision: Mapping[str, Any], where: str) -> dict[str, int]:
    if vision["num_channels"] != 3:
        raise ValueError(f"{where}: num_channels is {vision['num_channels']}: 3 are read.")
    names = {"image_size": "image_size", "patch": "patch_size"}
    return {ours: square(vision[name], f"{where}: {name}") for ours, name in names.items()}


def square(size: Any, where: str) -> int:
    """One side of a square that is given as a number or as both sides.

    Raises:
      ValueError: it is none.
    """
    sides = size if isinstance(size, list | tuple) else [size]
    if not sides or any(not isinstance(side, int) or side != sides[0] for side in sides):
        raise ValueError(f"{where} {size!r} is no square: models here take squares.")
    return sides[0]
