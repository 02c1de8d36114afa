"""A model in the format of transformers: CLIPModel, or SiglipModel by its attention pooling.

The tokenizer and the preprocessing of images are written too. CLIP's own vocabulary is not: its
tokenizer is that of every CLIP, `CLIPTokenizer.from_pretrained("openai/clip-vit-base-patch32")`.
"""

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vujax.models.clip import CLIP
from vujax.models.convert import CLIP_NAMING, SIGLIP_NAMING
from vujax.models.image_spec import ImageSpec
from vujax.models.pretrained.huggingface import ACTIVATIONS
from vujax.models.pretrained.preprocessing import SAMPLINGS
from vujax.models.pretrained.published import WEIGHTS, Export, check_expressible, to_json
from vujax.models.tokenizers.huggingface import END, SPACE, open_tokenizer_file
from vujax.models.vit import ViT

EXPECTED: dict[str, dict[str, Any]] = {
    "clip": {
        "model.image.stem": "clip",
        "model.image.pool": "token",
        "model.text.pool": "token",
        "model.text.causal": True,
        "model.text.bias": False,
        "model.bias": False,
    },
    "siglip": {
        "model.image.stem": "plain",
        "model.image.pool": "attention",
        "model.text.pool": "last",
        "model.text.causal": False,
        "model.text.bias": True,
        "model.bias": True,
    },
}
"""Settings that a family's class in transformers always has."""

CLASSES = {"clip": "CLIPModel", "siglip": "SiglipModel"}


def describe(model: CLIP, folder: Path, config: Mapping[str, Any]) -> Export:
    """Describe a release's files in the format of transformers.

    Args:
      model: module of the release.
      folder: of the release.
      config: of the release.

    Raises:
      ValueError: transformers has no class for this model.
      ImportError: the extra [sentences] is not installed.
    """
    if not isinstance(model.image, ViT):
        raise ValueError(
            "the format hf cannot express a ResNet: transformers' CLIPModel has a ViT; "
            "use --format open_clip"
        )
    family = "siglip" if model.image.pool == "attention" else "clip"
    check_expressible("hf", _settings(model), EXPECTED[family])
    spec = model.image_spec.with_preprocess(config.get("preprocess"))
    if spec.height != spec.width:
        raise ValueError(
            f"the format hf cannot express images of {spec.height}x{spec.width}: its models take "
            "squares"
        )
    files = {
        "config.json": to_json(_build_config(model, family)),
        "preprocessor_config.json": to_json(_build_processor(spec)),
    }
    files |= _build_tokenizer(folder, dict(config.get("tokenizer") or {}), model.text.context)
    naming = CLIP_NAMING if family == "clip" else SIGLIP_NAMING
    return Export(naming, WEIGHTS["transformers"][0], files)


def _settings(model: CLIP) -> dict[str, Any]:
    return {
        "model.image.stem": model.image.stem,
        "model.image.pool": model.image.pool,
        "model.text.pool": model.text.pool,
        "model.text.causal": model.text.causal,
        "model.text.bias": model.text.bias,
        "model.bias": model.bias,
    }


def _build_config(model: CLIP, family: str) -> dict[str, Any]:
    """Build config.json; its parser is `huggingface.parse_transformers_config`."""
    text, image = (_build_tower(tower) for tower in (model.text, model.image))
    text |= {"vocab_size": model.text.vocab, "max_position_embeddings": model.text.context}
    image |= {"image_size": model.image_spec.height, "patch_size": model.image.patch}
    config = {
        "architectures": [CLASSES[family]],
        "dtype": "float32",
        "model_type": family,
        "text_config": text,
        "vision_config": image,
    }
    if family == "siglip":
        text |= {"projection_size": model.text.embed_dim}
        return config
    largest = model.text.vocab - 1
    text |= {"eos_token_id": largest if model.text.end is None else model.text.end}
    for tower in (text, image):
        tower["projection_dim"] = model.text.embed_dim
    return config | {"projection_dim": model.text.embed_dim}


def _build_tower(tower: Any) -> dict[str, Any]:
    names = {act: name for name, act in ACTIVATIONS.items()}
    return {
        "hidden_size": tower.width,
        "intermediate_size": tower.hidden or 4 * tower.width,
        "num_hidden_layers": tower.layers,
        "num_attention_heads": tower.heads,
        "hidden_act": names[tower.act],
        "layer_norm_eps": tower.epsilon,
    }


def _build_processor(spec: ImageSpec) -> dict[str, Any]:
    """Build preprocessor_config.json: CLIP's processor crops, SigLIP's does not."""
    square = {"height": spec.height, "width": spec.width}
    crops = spec.resize == "shortest"
    sampling = {name: number for number, name in SAMPLINGS.items()}[spec.interpolation]
    settings = {
        "image_processor_type": "CLIPImageProcessor" if crops else "SiglipImageProcessor",
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_convert_rgb": True,
        "rescale_factor": 1 / 255,
        "resample": sampling,
        "image_mean": list(spec.mean),
        "image_std": list(spec.std),
        "size": {"shortest_edge": spec.height} if crops else square,
    }
    return settings | ({"do_center_crop": True, "crop_size": square} if crops else {})


def _build_tokenizer(folder: Path, settings: dict[str, Any], context: int) -> dict[str, bytes]:
    """Return the files of a release's tokenizer; none for CLIP's own."""
    kind, file = settings.get("kind", "clip"), Path(settings.get("file", "")).name
    if kind == "clip":
        return {}
    common = {"model_max_length": context, "model_input_names": ["input_ids"]}
    if kind == "sentencepiece":
        common |= {"tokenizer_class": "SiglipTokenizer", "do_lower_case": settings["lower"]}
        common |= {"pad_token": settings["pad"], "eos_token": END, "unk_token": "<unk>"}
        data = {"spiece.model": (folder / file).read_bytes()}
    else:
        opened = open_tokenizer_file(folder / file)
        if settings.get("canonical"):
            _add_canonicalization(opened, settings.get("lower", True))
        common |= {"tokenizer_class": "PreTrainedTokenizerFast"}
        common |= {"padding_side": opened.padding["direction"]}
        common |= {"pad_token": opened.padding["pad_token"]}
        data = {"tokenizer.json": opened.to_str(pretty=True).encode()}
    return data | {"tokenizer_config.json": to_json(common)}


def _add_canonicalization(opened: Any, lower: bool) -> None:
    """Make an opened tokenizer.json canonicalize texts itself, see `canonicalize_text`."""
    from tokenizers import Regex, normalizers

    steps = [normalizers.Replace(SPACE, " ")]
    steps += [normalizers.Lowercase()] if lower else []
    punctuation = "".join(f"\\{mark}" for mark in string.punctuation)
    steps += [normalizers.Replace(Regex(f"[{punctuation}]"), "")]
    steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    steps += [opened.normalizer] if opened.normalizer else []
    opened.normalizer = normalizers.Sequence(steps)
