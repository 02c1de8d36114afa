"""Import of a published image-text model as a release of vujax, every parameter accounted for.

    import_model("siglip-base-patch16-224/", "models/siglip")   # a folder, a file or a hub's name
    config, variables = release.load("models/siglip")

Tensors are converted one at a time: a model need not fit in memory twice.
"""

import dataclasses
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from vujax import models
from vujax.models import convert
from vujax.models.image_spec import ImageSpec, Size
from vujax.models.pretrained import huggingface, open_clip, safetensors
from vujax.models.pretrained.preprocessing import (
    PublishedTokenizer,
    read_preprocessing,
    read_tokenizer,
)
from vujax.models.pretrained.published import PublishedModel, find_published
from vujax.models.pretrained.safetensors import TensorFiles
from vujax.models.release import CONFIG, FOLDER, WEIGHTS, is_model, read_config
from vujax.models.two_towers import MAX_SCALE
from vujax.models.vit import check_patches
from vujax.utils.io import write_atomically, write_bytes, write_json
from vujax.utils.system import get_cache_folder

SCALE = ("params", "logit_scale")
POSITIONS = ("params", "image", "positions")
ROUNDING = 1e-4  # half precision rounds ln 100 up


@dataclass(frozen=True)
class ImportedModel:
    """Result of an import.

    Attributes:
      folder: the release.
      config: its config.
      parameters: number of parameters.
      new: False if the release existed already.
    """

    folder: Path
    config: dict[str, Any]
    parameters: int
    new: bool


def get_default_folder(source: str) -> Path:
    """Return the default output folder of a model, in the cache by its name."""
    path = Path(source)
    name = source.replace("/", "--") if huggingface.is_hub_name(source) else path.absolute().name
    return get_imports_folder() / name.removesuffix(".safetensors")


def get_imports_folder() -> Path:
    """Return the folder of the cache that holds imported models."""
    return get_cache_folder() / "models"


def import_model(
    source: str | Path,
    out: Path | None = None,
    act: str | None = None,
    image_size: Size | None = None,
) -> ImportedModel:
    """Write `out/release` from a published model.

    Args:
      source: a folder, a .safetensors file, or a name on the hub.
      out: output folder; None: `get_default_folder`.
      act: activation of the model of a single file, 'gelu' or 'quick_gelu'.
      image_size: height and width in pixels, or one number for both; a ViT's positions are resized
        as transformers and open_clip do. None: the model's own, of a SigLIP2 of any shape the
        square of its positions.

    Raises:
      FileNotFoundError: the model is not found.
      ValueError: the model type or a setting is not supported; a parameter is missing, unexpected
        or of another shape; a file is damaged; `out` holds another model.
      ConnectionError: the hub is not reachable.
      ImportError: an extra is not installed.
    """
    folder = Path(out or get_default_folder(str(source))) / FOLDER
    published = find_published(
        huggingface.fetch_repository(str(source))
        if huggingface.is_hub_name(str(source))
        else Path(source)
    )
    files = TensorFiles(published.weights)
    model, rules = _parse_model(published, files, act)
    where = published.path
    spec, spec_stated = read_preprocessing(published, model["image"]["image_size"])
    model |= dict(mean=list(spec.mean), std=list(spec.std))
    leaves = _find_leaves(published, files, model, rules)
    if image_size is not None:
        spec = _resize(published, model, leaves, spec, image_size)
    _bound_scale(model, files, leaves)
    words = read_tokenizer(published, model["text"])
    assumed = {"preprocess": spec_stated, "tokenizer": words.stated}
    config = {
        "model": model,
        "method": {"name": "distill"},
        "preprocess": spec.to_preprocess(),
        "tokenizer": words.settings,
        "imported": {
            "source": str(source)
            if huggingface.is_hub_name(str(source))
            else Path(where).absolute().name,
            "layout": published.layout,
            "sha256": published.sha256(),
            "licence": published.license(),
            "assumed": sorted(name for name, stated in assumed.items() if not stated),
        },
    }
    parameters = sum(math.prod(leaf.shape) for leaf in leaves.values())
    if (folder / CONFIG).is_file():
        _check_same(folder, config)
        return ImportedModel(folder, config, parameters, False)
    _write(folder, config, files, leaves, words)
    return ImportedModel(folder, config, parameters, True)


def import_once(name: str) -> Path:
    """Return the folder of a model of the hub in the cache, imported at its first use.

    The first use on a machine is reported on standard error.

    Raises:
      ConnectionError, ImportError, FileNotFoundError, ValueError: see `import_model`.
    """
    folder = get_default_folder(name)
    if not is_model(folder):
        print(f"{name}: importing from the hub", file=sys.stderr, flush=True)
        licence = import_model(name, folder).config["imported"]["licence"]
        print(f"{name}: cached in {folder} ({licence or 'licence not stated'})", file=sys.stderr)
    return folder


def _parse_model(
    published: PublishedModel, files: TensorFiles, act: str | None
) -> tuple[dict[str, Any], convert.Rules]:
    """Return the arguments of `models.build_clip`, and the rules for the tensors' names."""
    where = str(published.path)
    if act is not None and published.layout != "file":
        raise ValueError(f"{where} states its activation: remove --act")
    if published.layout == "transformers":
        model = huggingface.parse_transformers_config(published.settings, where)
        return model, convert.SIGLIP if published.is_siglip else convert.HUGGING_FACE
    rules = convert.get_openai_rules(files.shapes)
    if published.layout == "file":
        return open_clip.infer_config(files.shapes, act, where), rules
    return open_clip.parse_open_clip_config(published.settings.get("model_cfg") or {}, where), rules


def _find_leaves(
    published: PublishedModel, files: TensorFiles, model: Mapping[str, Any], rules: convert.Rules
) -> dict[convert.Path, convert.Source]:
    """Find the source of each parameter.

    Raises:
      ValueError: the settings are invalid, or do not fit the tensors.
    """
    try:
        if max(model[tower].get("layers", 0) for tower in ("image", "text")) > len(files.shapes):
            raise ValueError("its settings name more layers than it has tensors")
        module = models.build_clip(**model)
        image = jax.ShapeDtypeStruct((1, *module.image_spec.shape), jnp.uint8)
        tokens = jax.ShapeDtypeStruct((1, module.text.context), jnp.int32)
        template = jax.eval_shape(module.init, jax.random.key(0), image, tokens)
        return convert.find_sources(files.shapes, rules, template)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(f"{published.path}: {error}") from None


def _resize(
    published: PublishedModel,
    model: dict[str, Any],
    leaves: dict[convert.Path, convert.Source],
    spec: ImageSpec,
    image_size: Size,
) -> ImageSpec:
    """Change a ViT and its positions to images of another size; return their spec.

    Raises:
      ValueError: it is a ResNet, or the size is invalid.
    """
    if model["image"]["kind"] != "vit":
        raise ValueError(f"{published.path} is a ResNet: remove --image_size, which is for ViTs")
    size, patch = ImageSpec.from_size(image_size), model["image"]["patch"]
    check_patches("model.image", size, patch)
    grid = (model["image"]["image_size"] // patch,) * 2
    target = (size.height // patch, size.width // patch)
    source = leaves[POSITIONS]
    count, width = source.shape
    shape = (count + math.prod(target) - math.prod(grid), width)
    change = partial(
        convert.resize_positions,
        grid=grid,
        target=target,
        resampling=convert.RESAMPLINGS[published.family],
    )
    leaves[POSITIONS] = source._replace(shape=shape, change=None if grid == target else change)
    model["image"] |= dict(image_size=size.size)
    return dataclasses.replace(spec, height=size.height, width=size.width)


def _bound_scale(
    model: dict[str, Any], files: TensorFiles, leaves: dict[convert.Path, convert.Source]
) -> None:
    """Remove the bound on the temperature if the model's value exceeds it."""
    scale = files.read(leaves[SCALE].tensor).astype(np.float64).item()
    if scale > math.log(MAX_SCALE) + ROUNDING:
        model["max_scale"] = None


def _check_same(folder: Path, config: dict[str, Any]) -> None:
    """Check that the folder holds the release of this config.

    Raises:
      ValueError: it holds another one.
    """
    existing = read_config(folder)
    if any(existing.get(key) != config[key] for key in ("model", "preprocess", "tokenizer")) or (
        existing.get("imported", {}).get("sha256") != config["imported"]["sha256"]
    ):
        raise ValueError(f"{folder} holds another model: give another --out, or delete it")


def _write(
    folder: Path,
    config: dict[str, Any],
    files: TensorFiles,
    leaves: dict[convert.Path, convert.Source],
    words: PublishedTokenizer,
) -> None:
    """Write a release, the config last: without it the folder is not a release."""
    named = {"/".join(path): leaf for path, leaf in leaves.items()}
    shapes = {name: leaf.shape for name, leaf in named.items()}
    with tqdm(total=len(named), desc="weights", unit="tensor", disable=None) as progress:

        def tensor(name: str) -> np.ndarray:
            progress.update()
            return convert.read_leaf(files.read(named[name].tensor), named[name])

        write_atomically(folder / WEIGHTS, lambda p: safetensors.write_tensors(p, shapes, tensor))
    if words.data is not None:
        write_bytes(folder / words.settings["file"], words.data)
    write_json(folder / CONFIG, config)
