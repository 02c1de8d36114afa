"""Published image-text models: their files, in a folder or as a single file, read or written.

Two layouts are known: that of Hugging Face's transformers (config.json, model.safetensors or its
shards, preprocessor_config.json, a tokenizer's files), and open_clip's (open_clip_config.json,
open_clip_model.safetensors). Nothing that can run programs is read: no pickle, no code.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vujax.models.convert import Naming

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
    """Files of a published model.

    Attributes:
      path: as given by the user.
      layout: 'transformers', 'open_clip', or 'file' (weights alone, by OpenAI's names).
      settings: of the model; {} for a file.
      weights: safetensors files.
    """

    path: Path
    layout: str
    settings: dict[str, Any]
    weights: tuple[Path, ...]

    @property
    def family(self) -> str:
        """'clip', 'siglip', 'siglip2' or another model type of transformers; else 'open_clip'."""
        named = self.layout == "transformers"
        return str(self.settings.get("model_type")) if named else "open_clip"

    @property
    def is_siglip(self) -> bool:
        """True for a SigLIP or SigLIP2 in the layout of transformers."""
        return self.family in ("siglip", "siglip2")

    @property
    def folder(self) -> Path:
        """Folder of its other files."""
        return self.path if self.path.is_dir() else self.path.parent

    def json(self, name: str) -> dict[str, Any] | None:
        """Read a JSON file of the folder; None when it is missing, or for a single file."""
        path = self.folder / name
        return None if self.layout == "file" or not path.is_file() else read_json(path)

    def sha256(self) -> dict[str, str]:
        """Compute the sha256 of the files of weights, in hexadecimal, by name."""
        digests = {}
        for path in self.weights:
            with path.open("rb") as file:
                digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        return digests

    def license(self) -> str | None:
        """Read the license from the front matter of the model card, README.md, or return None."""
        card = self.folder / "README.md"
        if self.layout == "file" or not card.is_file():
            return None
        text = card.read_text(errors="replace")
        front = re.match(r"\s*---\n(.*?)\n---", text, re.DOTALL)
        stated = front and re.search(r"^license:\s*['\"]?([\w.+-]+)", front[1], re.MULTILINE)
        return stated[1] if stated else None


class Export(NamedTuple):
    """Files of a model in another implementation's format.

    Attributes:
      naming: of its tensors.
      weights: name of the file of weights.
      files: contents of the other files, by name.
    """

    naming: Naming
    weights: str
    files: dict[str, bytes]


def check_expressible(
    format_name: str, settings: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    """Check that a format has the settings of a model.

    Args:
      format_name: of the format.
      settings: the model's, by the names of its config.
      expected: the only values that the format can express, by the same names.

    Raises:
      ValueError: a setting has another value.
    """
    for name, value in expected.items():
        if settings[name] != value:
            raise ValueError(
                f"the format {format_name} cannot express {name} = {settings[name]!r}, only "
                f"{value!r}: the release itself is the only file of this model"
            )


def to_json(value: Any) -> bytes:
    """Encode indented JSON, as a file of a published model."""
    return (json.dumps(value, indent=2) + "\n").encode()


def find_published(path: Path) -> PublishedModel:
    """Find the published model that `path` is or holds.

    Raises:
      FileNotFoundError: no model is found.
      ValueError: its format is not supported, or its files contradict each other.
    """
    path = Path(path)
    if path.is_file():
        return _file(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist: give a folder or a .safetensors file")
    names = {entry.name for entry in path.iterdir()}
    layout, weights = choose_layout(names)
    if layout is None:
        raise build_missing_error(path, names)
    settings = read_json(path / SETTINGS[layout])
    if weights == INDEX:
        return PublishedModel(path, layout, settings, _shards(path))
    return PublishedModel(path, layout, settings, (path / weights,))


def choose_layout(names: Iterable[str]) -> tuple[str | None, str | None]:
    """Return the layout of a folder with these files, and its weights or the shards' index."""
    names = set(names)
    for layout in ("transformers", "open_clip"):
        for weights in (*WEIGHTS[layout], *([INDEX] if layout == "transformers" else ())):
            if weights in names and SETTINGS[layout] in names:
                return layout, weights
    return None, None


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
      ValueError: the file does not hold one.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): download it again") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} is not a JSON object: download it again")
    return value


def _file(path: Path) -> PublishedModel:
    if path.suffix in PICKLES:
        raise ValueError(f"{path} may be a pickle, and {REMEDY}")
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} is not a .safetensors file: give one, or a folder")
    beside = path.parent / SETTINGS["open_clip"]
    if path.name in WEIGHTS["open_clip"] and beside.is_file():
        return PublishedModel(path, "open_clip", read_json(beside), (path,))
    return PublishedModel(path, "file", {}, (path,))


def _shards(folder: Path) -> tuple[Path, ...]:
    """Return the files that an index names, all of the same folder."""
    index = read_json(folder / INDEX).get("weight_map")
    if not isinstance(index, dict) or not index:
        raise ValueError(f"{folder / INDEX} has no 'weight_map': download it again")
    files = sorted({str(file) for file in index.values()})
    for file in files:
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise ValueError(
                f"{folder / INDEX} names {file!r}, which is not a safetensors file of that folder"
            )
        if not (folder / file).is_file():
            raise FileNotFoundError(
                f"{folder} lacks {file}, which its {INDEX} names: download it again"
            )
    return tuple(folder / file for file in files)


def build_missing_error(path: Path, names: set[str]) -> Exception:
    """Build the error for a folder of these files, for which `choose_layout` returns None."""
    pickles = sorted(name for name in names if name.endswith(PICKLES))
    safe = sorted(name for name in names if name.endswith(".safetensors"))
    if pickles and not safe:
        return ValueError(f"{path} holds its weights as {pickles[0]}, and {REMEDY}")
    if safe and not names & set(SETTINGS.values()):
        return FileNotFoundError(
            f"{path} holds {safe[0]} and no {' or '.join(SETTINGS.values())}: give the file itself "
            "if its tensors have OpenAI's names"
        )
    return FileNotFoundError(
        f"{path} is not a published model: it must hold config.json with model.safetensors or "
        f"{INDEX}, or open_clip_config.json with {WEIGHTS['open_clip'][0]}"
    )
