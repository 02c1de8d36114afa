"""Tokenizer of a model from its file tokenizer.json, in the format of Hugging Face's tokenizers.

The file holds everything: normalization of texts, word pieces, truncation and padding.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vujax.models.tokenizers.clip import check_texts

MISSING_TOKENIZERS = (
    "this model's tokenizer needs the tokenizers package: pip install 'vujax[sentences]'"
)


@dataclass(frozen=True)
class TokenizerFile:
    """Tokenizer, texts -> int32 `[n context]`; picklable, opened at first use.

    Attributes:
      path: of the file, which truncates and pads texts to `context` tokens.
      context: tokens per text.
    """

    path: str
    context: int

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Tokenize texts.

        Raises:
          TypeError: `texts` is one string, or an entry is not a string; the message has its index.
          ValueError: the file is damaged.
          ImportError: the extra [sentences] is not installed.
        """
        check_texts(texts)
        if not texts:
            return np.zeros((0, self.context), np.int32)
        # A lone surrogate cannot come from a file, but a text from Python may hold one.
        encodable = [text.encode("utf-8", "replace").decode() for text in texts]
        opened = _open(self.path, _version(self.path))
        rows = [encoding.ids for encoding in opened.encode_batch(encodable)]
        if any(len(row) != self.context for row in rows):
            raise ValueError(
                f"{self.path} does not pad texts to {self.context} tokens; import the model again"
            )
        return np.array(rows, np.int32)


def open_tokenizer_file(path: Path) -> Any:
    """Open a file as a `tokenizers.Tokenizer`.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: it is damaged.
      ImportError: the extra [sentences] is not installed.
    """
    try:  # optional dependency
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ImportError(MISSING_TOKENIZERS) from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is missing: import the model again")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises bare Exceptions
        raise ValueError(f"{path} is not a tokenizer ({error}): import the model again") from None


@functools.lru_cache(maxsize=8)
def _open(path: str, version: int | None) -> Any:
    return open_tokenizer_file(Path(path))


def _version(path: str) -> int | None:
    """Return a number that changes when the file is rewritten; None for a missing file."""
    return Path(path).stat().st_mtime_ns if Path(path).is_file() else None
