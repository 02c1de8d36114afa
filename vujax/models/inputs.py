"""Preprocessing and tokenizer of a released model, read from its config.

A model that is trained from scratch uses CLIP's; an imported one brings its own, and a model that
is fine-tuned from it inherits those.
"""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vujax.models.tokenizers.clip import Tokenizer, tokenize
from vujax.models.tokenizers.huggingface import SentencePieceFile, TokenizerFile
from vujax.utils.validation import check_known

FILES = {"file": TokenizerFile, "sentencepiece": SentencePieceFile}
"""Tokenizers of files, by `tokenizer.kind` of a release's config."""


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
    kind, file = settings.get("kind"), settings.get("file")
    if kind not in FILES or not isinstance(file, str) or Path(file).name != file:
        raise ValueError(
            f"{folder} has an unknown tokenizer {settings}; expected a kind of: clip, "
            f"{', '.join(FILES)}"
        )
    options = {name: value for name, value in settings.items() if name not in ("kind", "file")}
    known = [field.name for field in dataclasses.fields(FILES[kind])[2:]]
    check_known(f"{folder}: tokenizer", options, known)
    return FILES[kind](str(folder / file), context, **options)


def _read(release: str | Path) -> tuple[Path, dict[str, Any]]:
    from vujax.models.release import (  # brings JAX and orbax, which workers do not need
        find,
        read_config,
    )

    folder = find(Path(release))
    return folder, read_config(folder)
