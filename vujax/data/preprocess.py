"""How pictures and texts become a model's input, as its release says.

A model that is trained here from scratch takes CLIP's way; an imported one brings its own, and what
is fine-tuned from it keeps that.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vujax.data.tokenizer_file import TokenizerFile
from vujax.data.tokens import Tokenizer, tokenize

KEYS = ("preprocess", "tokenizer")
"""Of a release's config; absent: CLIP's way."""


@dataclass(frozen=True)
class Preprocess:
    """One model's way; picklable.

    Attributes:
      tokenizer: texts -> int32 `[n context]`.
      picture: `resize` and `interpolation` for `vujax.data.images.eval_image`.
    """

    tokenizer: Tokenizer
    picture: Mapping[str, str] = field(default_factory=dict)


def open_preprocess(release: str | Path | None, context: int) -> Preprocess:
    """The way of a released model.

    Args:
      release: folder or workdir; None or '': CLIP's way.
      context: tokens of a text.

    Raises:
      FileNotFoundError: there is no model.
      ValueError: the release is damaged, or its texts have another length.
    """
    if not release:
        return Preprocess(functools.partial(tokenize, context=context))
    folder, config = _read(release)
    picture = dict(config.get("preprocess") or {})
    picture.pop("size", None)  # the model's own
    return Preprocess(_tokenizer(folder, config, context), picture)


def open_tokenizer(release: str | Path) -> Tokenizer:
    """The tokenizer of a released image-text model: texts -> int32 `[n context]`.

    Raises:
      FileNotFoundError: there is no model.
      ValueError: the release is damaged or no image-text model.
    """
    folder, config = _read(release)
    text = (config.get("model") or {}).get("text")
    if not isinstance(text, Mapping):
        raise ValueError(f"{folder} is no image-text model: it reads no texts.")
    return _tokenizer(folder, config, text.get("context", 77))


def _tokenizer(folder: Path, config: Mapping[str, Any], context: int) -> Tokenizer:
    settings = config.get("tokenizer") or {"kind": "clip"}
    if settings.get("kind") == "clip":
        return functools.partial(tokenize, context=context)
    file = settings.get("file")
    if settings.get("kind") != "file" or not isinstance(file, str) or Path(file).name != file:
        raise ValueError(f"{folder} has a tokenizer that is not known here: {settings}.")
    return TokenizerFile(str(folder / file), context)


def _read(release: str | Path) -> tuple[Path, dict[str, Any]]:
    from vujax.release import find, read_config  # brings JAX and orbax, which workers do not need

    folder = find(Path(release))
    return folder, read_config(folder)
