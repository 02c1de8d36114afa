"""A model's own tokenizer: the file tokenizer.json of Hugging Face's tokenizers package.

The file holds all of it: how texts are cleaned, where they are cut and how they are padded.

How pictures and texts become a model's input, as its release says.

A model that is trained here from scratch takes CLIP's way; an imported one brings its own, and what
is fine-tuned from it keeps that.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vujax.models.tokenizers.clip import Tokenizer, check_texts, tokenize

MISSING_TOKENIZERS = (
    "A model's own tokenizer needs the tokenizers package: pip install 'vujax[sentences]'"
)


@dataclass(frozen=True)
class TokenizerFile:
    """Texts -> int32 `[n context]`; picklable, and opened at first use.

    Attributes:
      path: of the file, which cuts and pads texts to `context` tokens.
      context: tokens of a text.
    """

    path: str
    context: int

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """The texts' tokens.

        Raises:
          TypeError: `texts` is one string, or an entry is no string; the message names its index.
          ValueError: the file is damaged.
          ImportError: the extra [sentences] is not installed.
        """
        check_texts(texts)
        if not texts:
            return np.zeros((0, self.context), np.int32)
        # A lone surrogate is no character of any file, but a text from Python may hold one.
        whole = [text.encode("utf-8", "replace").decode() for text in texts]
        opened = _open(self.path, _version(self.path))
        rows = [encoding.ids for encoding in opened.encode_batch(whole)]
        if any(len(row) != self.context for row in rows):
            raise ValueError(f"{self.path} does not pad texts to {self.context} tokens.")
        return np.array(rows, np.int32)


def open_tokenizer_file(path: Path) -> Any:
    """The file as a `tokenizers.Tokenizer`.

    Raises:
      FileNotFoundError: there is no file.
      ValueError: it is damaged.
      ImportError: the extra [sentences] is not installed.
    """
    try:  # only those who read text need the package
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ImportError(MISSING_TOKENIZERS) from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is missing: import the model again.")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises bare Exceptions
        raise ValueError(f"{path} is no tokenizer ({error}): take the model's again.") from None


@functools.lru_cache(maxsize=8)
def _open(path: str, version: int | None) -> Any:
    return open_tokenizer_file(Path(path))


def _version(path: str) -> int | None:
    """Of a file that may have been written anew since it was opened; None: there is none."""
    return Path(path).stat().st_mtime_ns if Path(path).is_file() else None


KEYS = ("preprocess", "tokenizer")

"""Of a release's config; absent: CLIP's way."""


@dataclass(frozen=True)
class Preprocessing:
    """One model's way; picklable.

    Attributes:
      tokenizer: texts -> int32 `[n context]`.
      picture: `resize` and `interpolation` for `vujax.data.images.preprocess_eval_image`.
    """

    tokenizer: Tokenizer
    picture: Mapping[str, str] = field(default_factory=dict)


def open_preprocessing(release: str | Path | None, context: int) -> Preprocessing:
    """The way of a released model.

    Args:
      release: folder or workdir; None or '': CLIP's way.
      context: tokens of a text.

    Raises:
      FileNotFoundError: there is no model.
      ValueError: the release is damaged, or its texts have another length.
    """
    if not release:
        return Preprocessing(functools.partial(tokenize, context=context))
    folder, config = _read(release)
    picture = dict(config.get("preprocess") or {})
    picture.pop("size", None)  # the model's own
    return Preprocessing(_tokenizer(folder, config, context), picture)


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
    from vujax.models.release import (  # brings JAX and orbax, which workers do not need
        find,
        read_config,
    )

    folder = find(Path(release))
    return folder, read_config(folder)
