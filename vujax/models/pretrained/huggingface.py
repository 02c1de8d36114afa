"""Settings of transformers' CLIPModel and SiglipModel as a model of `vujax.models.clip`.

What a config leaves out has the default of transformers: SigLIP's published ones say little else.

Published models by their name on the Hugging Face hub, `organisation/model`.

Only what is needed of a repository is downloaded, into the hub's own cache, at one revision. The
hub's own variables hold: HF_ENDPOINT, HF_HOME, HF_TOKEN, HF_HUB_OFFLINE.

What a published image-text model consists of, found in a folder or given as one file.

Two layouts are known: that of Hugging Face's transformers (config.json, model.safetensors or its
shards, preprocessor_config.json, a tokenizer's files), and open_clip's (open_clip_config.json,
open_clip_model.safetensors). Nothing that can run programs is read: no pickle, no code.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
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


def parse_transformers_config(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
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
    return {ours: parse_square(vision[name], f"{where}: {name}") for ours, name in names.items()}


def parse_square(size: Any, where: str) -> int:
    """One side of a square that is given as a number or as both sides.

    Raises:
      ValueError: it is none.
    """
    sides = size if isinstance(size, list | tuple) else [size]
    if not sides or any(not isinstance(side, int) or side != sides[0] for side in sides):
        raise ValueError(f"{where} {size!r} is no square: models here take squares.")
    return sides[0]


TEXTS = ("*.json", "merges.txt", "README.md")

SHARDS = "model-*-of-*.safetensors"

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_name(source: str) -> bool:
    """Whether `source` can be a name on the hub, and nothing on this machine."""
    return NAME.fullmatch(source) is not None and not Path(source).exists()


def select_files(name: str, names: set[str]) -> list[str]:
    """Which of a repository's files are needed.

    Raises:
      ValueError, FileNotFoundError: it has no weights that are read here.
    """
    _, weights = choose_layout(names)
    if weights is None:
        raise build_missing_error(Path(name), names)
    patterns = (*TEXTS, SHARDS if weights == INDEX else weights)
    return sorted(file for file in names if any(fnmatch(file, pattern) for pattern in patterns))


def fetch_repository(name: str) -> Path:
    """The folder of a model, downloaded if it is not there.

    Raises:
      ImportError: the extra [hub] is not installed.
      ConnectionError: the hub cannot be reached, or gives no such model.
      ValueError, FileNotFoundError: it has no weights that are read here.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{name} is neither here nor can the hub be asked: pip install 'vujax[hub]'"
        ) from error
    try:
        info = huggingface_hub.HfApi().model_info(name)
        names = {file.rfilename for file in info.siblings or () if "/" not in file.rfilename}
        options = dict(revision=info.sha, allow_patterns=select_files(name, names))
        return Path(huggingface_hub.snapshot_download(name, **options))
    except (ValueError, FileNotFoundError):
        raise
    except Exception as error:  # the package's own errors have changed their classes before
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConnectionError(
            f"{name} is neither here nor fetched from the hub ({reason}): download its folder "
            "elsewhere and give that."
        ) from error


INDEX = "model.safetensors.index.json"

SETTINGS = {"open_clip": "open_clip_config.json", "transformers": "config.json"}

WEIGHTS = {
    "open_clip": ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    "transformers": ("model.safetensors",),
}

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

REMEDY = (
    "a pickle can run programs when it is read: take the model's .safetensors file, or load it "
    "where you trust it and write one with safetensors.torch.save_file(state_dict, FILE) or "
    "model.save_pretrained(FOLDER)"
)


@dataclass(frozen=True)
class PublishedModel:
    """A published model's files.

    Attributes:
      path: as it was given.
      layout: 'transformers', 'open_clip', or 'file' (weights alone, by OpenAI's names).
      settings: the model's, {} for a file.
      weights: safetensors files.
    """

    path: Path
    layout: str
    settings: dict[str, Any]
    weights: tuple[Path, ...]

    @property
    def folder(self) -> Path:
        """Where its other files lie."""
        return self.path if self.path.is_dir() else self.path.parent

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON file of a folder, or None; a lone file has nothing beside it."""
        path = self.folder / name
        return None if self.layout == "file" or not path.is_file() else read_json(path)

    def sha256(self) -> dict[str, str]:
        """Of the files of weights, in hexadecimal, by name."""
        found = {}
        for path in self.weights:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        return found

    def licence(self) -> str | None:
        """What the model card, README.md, says in its front matter."""
        card = self.folder / "README.md"
        if self.layout == "file" or not card.is_file():
            return None
        text = card.read_text(errors="replace")
        front = re.match(r"\s*---\n(.*?)\n---", text, re.DOTALL)
        stated = front and re.search(r"^license:\s*['\"]?([\w.+-]+)", front[1], re.MULTILINE)
        return stated[1] if stated else None


def find_published(path: Path) -> PublishedModel:
    """The published model that `path` is or holds.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is there in a form that is not read, or its files contradict each other.
    """
    path = Path(path)
    if path.is_file():
        return _file(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist: give a folder or a .safetensors file.")
    names = {entry.name for entry in path.iterdir()}
    layout, weights = choose_layout(names)
    if layout is None:
        raise build_missing_error(path, names)
    settings = read_json(path / SETTINGS[layout])
    if weights == INDEX:
        return PublishedModel(path, layout, settings, _shards(path))
    return PublishedModel(path, layout, settings, (path / weights,))


def choose_layout(names: Iterable[str]) -> tuple[str | None, str | None]:
    """The layout of a folder of these files and its file of weights, or the shards' index."""
    names = set(names)
    for layout in ("transformers", "open_clip"):
        for weights in (*WEIGHTS[layout], *([INDEX] if layout == "transformers" else ())):
            if weights in names and SETTINGS[layout] in names:
                return layout, weights
    return None, None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
      ValueError: the file is none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}): download it again.") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} is no JSON object: download it again.")
    return value


def _file(path: Path) -> PublishedModel:
    if path.suffix in PICKLES:
        raise ValueError(f"{path} is a pickle or may be one, and {REMEDY}.")
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} is no .safetensors file: give one, or a folder.")
    beside = path.parent / SETTINGS["open_clip"]
    if path.name in WEIGHTS["open_clip"] and beside.is_file():
        return PublishedModel(path, "open_clip", read_json(beside), (path,))
    return PublishedModel(path, "file", {}, (path,))


def _shards(folder: Path) -> tuple[Path, ...]:
    """The files that an index names; they lie beside it and hold just what it says."""
    index = read_json(folder / INDEX).get("weight_map")
    if not isinstance(index, dict) or not index:
        raise ValueError(f"{folder / INDEX} has no 'weight_map': download it again.")
    files = sorted({str(file) for file in index.values()})
    for file in files:
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise ValueError(
                f"{folder / INDEX} names {file!r}, which is no safetensors file there."
            )
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} lacks {file}, which its {INDEX} names.")
    return tuple(folder / file for file in files)


def build_missing_error(path: Path, names: set[str]) -> Exception:
    """What to raise for a folder of these files, in which `choose` finds nothing."""
    pickles = sorted(name for name in names if name.endswith(PICKLES))
    safe = sorted(name for name in names if name.endswith(".safetensors"))
    if pickles and not safe:
        return ValueError(f"{path} holds its weights as {pickles[0]}, and {REMEDY}.")
    if safe and not names & set(SETTINGS.values()):
        return FileNotFoundError(
            f"{path} holds {safe[0]} and no {' or '.join(SETTINGS.values())}: give the file itself "
            "if its tensors have OpenAI's names."
        )
    return FileNotFoundError(
        f"{path} is no published model: it must hold config.json with model.safetensors or "
        f"{INDEX}, or open_clip_config.json with {WEIGHTS['open_clip'][0]}."
    )
