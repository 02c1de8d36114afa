"""Preprocessing and tokenizer of a released model, read from its config.

A model that is trained from scratch uses CLIP's; an imported one brings its own, and a model that
is fine-tuned from it inherits those.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vujax.models.tokenizers.clip import Tokenizer, tokenize
from vujax.models.tokenizers.huggingface import TokenizerFile


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of one model's images and texts; picklable.

    Attributes:
      tokenizer: texts -> int32 `[n context]`.
      image_options: `resize` and `interpolation`, see `ImageSpec.with_preprocess`.
    """

    tokenizer: Tokenizer
    image_options: Mapping[str, str] = field(default_factory=dict)


def open_preprocessing(release: str | Path | None, context: int) -> Preprocessing:
    """Open the preprocessing of a released model.

    Args:
      release: folder or workdir; None or '': CLIP's preprocessing.
      context: tokens per text.

    Raises:
      FileNotFoundError: `release` is not a model.
      ValueError: the release is damaged, or its texts have another length.
    """
    if not release:
        return Preprocessing(functools.partial(tokenize, context=context))
    folder, config = _read(release)
    image_options = dict(config.get("preprocess") or {})
    image_options.pop("size", None)  # given by the model's config
    return Preprocessing(_build_tokenizer(folder, config, context), image_options)


def open_tokenizer(release: str | Path) -> Tokenizer:
    """Open the tokenizer of a released image-text model: texts -> int32 `[n context]`.

    Raises:
      FileNotFoundError: `release` is not a model.
      ValueError: the release is damaged or not an image-text model.
    """
    folder, config = _read(release)
    text = (config.get("model") or {}).get("text")
    if not isinstance(text, Mapping):
        raise ValueError(f"{folder} is not an image-text model: its config has no model.text")
    return _build_tokenizer(folder, config, text.get("context", 77))


def _build_tokenizer(folder: Path, config: Mapping[str, Any], context: int) -> Tokenizer:
    settings = config.get("tokenizer") or {"kind": "clip"}
    if settings.get("kind") == "clip":
        return functools.partial(tokenize, context=context)
    file = settings.get("file")
    if settings.get("kind") != "file" or not isinstance(file, str) or Path(file).name != file:
        raise ValueError(
            f"{folder} has an unknown tokenizer {settings}; expected kind 'clip' or 'file'"
        )
    return TokenizerFile(str(folder / file), context)


def _read(release: str | Path) -> tuple[Path, dict[str, Any]]:
    from vujax.models.release import (  # brings JAX and orbax, which workers do not need
        find,
        read_config,
    )

    folder = find(Path(release))
    return folder, read_config(folder)
