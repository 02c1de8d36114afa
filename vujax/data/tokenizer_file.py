"""A model's own tokenizer: the file tokenizer.json of Hugging Face's tokenizers package.

The file holds all of it: how texts are cleaned, where they are cut and how they are padded.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vujax.data.tokens import check_texts

MISSING = "A model's own tokenizer needs the tokenizers package: pip install 'vujax[sentences]'"


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


def pieces(path: Path) -> Any:
    """The file as a `tokenizers.Tokenizer`.

    Raises:
      FileNotFoundError: there is no file.
      ValueError: it is damaged.
      ImportError: the extra [sentences] is not installed.
    """
    try:  # only those who read text need the package
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ImportError(MISSING) from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is missing: import the model again.")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises bare Exceptions
        raise ValueError(f"{path} is no tokenizer ({error}): take the model's again.") from None


@functools.lru_cache(maxsize=8)
def _open(path: str, version: int | None) -> Any:
    return pieces(Path(path))


def _version(path: str) -> int | None:
    """Of a file that may have been written anew since it was opened; None: there is none."""
    return Path(path).stat().st_mtime_ns if Path(path).is_file() else None
