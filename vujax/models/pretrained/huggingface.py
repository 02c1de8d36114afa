"""Hugging Face models: download from the hub; configs of CLIPModel, SiglipModel, Siglip2Model.

Of a repository `organization/model` only the needed files are downloaded, into the hub's own cache,
at one revision. The hub's environment variables apply: HF_ENDPOINT, HF_HOME, HF_TOKEN,
HF_HUB_OFFLINE. A setting that a config omits has the default of transformers: SigLIP's published
configs state few.
"""

import math
import re
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vujax.models.pretrained.published import INDEX, build_missing_error, choose_layout

ACTIVATIONS = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
}

TEXTS = ("*.json", "merges.txt", "README.md")
SHARDS = "model-*-of-*.safetensors"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

OLD_END = 2  # in old configs a placeholder for the largest token

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
    "siglip2": {
        "text_config": _SIGLIP | {"vocab_size": 32000, "max_position_embeddings": 64},
        "vision_config": _SIGLIP
        | {"num_channels": 3, "patch_size": 16, "vision_use_head": True, "num_patches": 256},
    },
}


def is_hub_name(source: str) -> bool:
    """Return True when `source` can be a name on the hub and is no path of this machine."""
    return NAME.fullmatch(source) is not None and not Path(source).exists()


def select_files(name: str, names: set[str]) -> list[str]:
    """Select the files of a repository to download.

    Raises:
      ValueError, FileNotFoundError: it has no weights in a supported format.
    """
    _, weights = choose_layout(names)
    if weights is None:
        raise build_missing_error(Path(name), names)
    patterns = (*TEXTS, SHARDS if weights == INDEX else weights)
    if not names & {"tokenizer.json", "vocab.json"}:
        patterns += ("spiece.model",)
    return sorted(file for file in names if any(fnmatch(file, pattern) for pattern in patterns))


def fetch_repository(name: str) -> Path:
    """Download a model unless it is cached; return its folder.

    Raises:
      ImportError: the extra [hub] is not installed.
      ConnectionError: the hub is not reachable, or has no such model.
      ValueError, FileNotFoundError: it has no weights in a supported format.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{name} is not a local path, and the hub needs: pip install 'vujax[hub]'"
        ) from error
    try:
        info = huggingface_hub.HfApi().model_info(name)
        names = {file.rfilename for file in info.siblings or () if "/" not in file.rfilename}
        options = dict(revision=info.sha, allow_patterns=select_files(name, names))
        return Path(huggingface_hub.snapshot_download(name, **options))
    except (ValueError, FileNotFoundError):
        raise
    except Exception as error:  # the classes of the package's errors change between versions
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConnectionError(
            f"{name} is not a local path, and the hub failed ({reason}): download its folder "
            "elsewhere and give that"
        ) from error


def parse_transformers_config(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Parse config.json to arguments of `models.build_clip`, except mean and std of the pixels.

    Args:
      settings: of config.json.
      where: for messages.

    Raises:
      ValueError: the model type or a setting is not supported.
    """
    family = settings.get("model_type")
    if family not in DEFAULTS:
        raise ValueError(
            f"{where} has the unsupported model_type {family!r}; expected one of: "
            f"{', '.join(DEFAULTS)}"
        )
    text, vision = (_tower(settings, family, name, where) for name in DEFAULTS[family])
    if family == "siglip2":
        vision["image_size"] = _find_square(vision, where)
    for name in ("hidden_act", "layer_norm_eps"):
        if text[name] != vision[name]:
            raise ValueError(
                f"{where}: its towers differ in {name} ({text[name]!r}, {vision[name]!r}), which "
                "is not supported"
            )
    if text["hidden_act"] not in ACTIVATIONS:
        raise ValueError(
            f"{where}: unknown hidden_act {text['hidden_act']!r}; expected one of: "
            f"{', '.join(ACTIVATIONS)}"
        )
    common = dict(
        image=dict(kind="vit", **_sizes(vision), **_pixels(vision, where)),
        text=dict(
            **_sizes(text), context=text["max_position_embeddings"], vocab=text["vocab_size"]
        ),
        act=ACTIVATIONS[text["hidden_act"]],
        epsilon=text["layer_norm_eps"],
    )
    complete = _clip if family == "clip" else _siglip
    return complete(common, settings, text, vision, where)


def _clip(
    common: dict[str, Any],
    settings: Mapping[str, Any],
    text: Mapping[str, Any],
    vision: Mapping[str, Any],
    where: str,
) -> dict[str, Any]:
    end = text["eos_token_id"]
    if not isinstance(end, int):
        raise ValueError(f"{where}: eos_token_id {end!r} is not a single token")
    if end not in (OLD_END, text["vocab_size"] - 1):  # otherwise the largest token is the end
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
        raise ValueError(f"{where}: vision_use_head is false, so it has no image embeddings")
    common["image"] |= dict(stem="plain", pool="attention")
    common["text"] |= dict(causal=False, pool="last", bias=True)
    return common | dict(embed_dim=vision["hidden_size"], bias=True, max_scale=None)


def _tower(settings: Mapping[str, Any], family: str, name: str, where: str) -> dict[str, Any]:
    """Return a tower's settings with defaults; an old `..._config_dict` overrides them."""
    tower = DEFAULTS[family][name] | (settings.get(name) or {})
    if old := settings.get(f"{name}_dict"):
        tower |= DEFAULTS[family][name] | old
    for size in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"):
        if not isinstance(tower[size], int) or tower[size] < 1:
            raise ValueError(
                f"{where}: {name}.{size} must be a positive integer, got {tower[size]!r}"
            )
    return tower


def _sizes(tower: Mapping[str, Any]) -> dict[str, int]:
    return dict(
        width=tower["hidden_size"],
        layers=tower["num_hidden_layers"],
        heads=tower["num_attention_heads"],
        hidden=tower["intermediate_size"],
    )


def _find_square(vision: Mapping[str, Any], where: str) -> int:
    """Return the size of the square images at which SigLIP2's positions need no resizing.

    It takes images of any shape (NaFlex); here a model has one shape, see `import_model`.
    """
    patches, patch = vision["num_patches"], parse_square(vision["patch_size"], where)
    side = math.isqrt(patches) if isinstance(patches, int) and patches > 0 else 0
    if side == 0 or side**2 != patches:
        raise ValueError(f"{where}: num_patches must be a square number, got {patches!r}")
    return side * patch


def _pixels(vision: Mapping[str, Any], where: str) -> dict[str, int]:
    if vision["num_channels"] != 3:
        raise ValueError(f"{where}: num_channels must be 3, got {vision['num_channels']}")
    names = {"image_size": "image_size", "patch": "patch_size"}
    return {ours: parse_square(vision[name], f"{where}: {name}") for ours, name in names.items()}


def parse_square(size: Any, where: str) -> int:
    """Return one side of a square that is given as a number or as both sides.

    Raises:
      ValueError: the sides differ.
    """
    sides = size if isinstance(size, list | tuple) else [size]
    if not sides or any(not isinstance(side, int) or side != sides[0] for side in sides):
        raise ValueError(f"{where} {size!r} is not a square: only squares are supported")
    return sides[0]
