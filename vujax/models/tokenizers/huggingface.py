"""Tokenizers of models from their files: tokenizer.json, or SentencePiece's spiece.model.

tokenizer.json, of Hugging Face's tokenizers, holds normalization of texts, word pieces, truncation
and padding. SigLIP's texts are canonicalized in Python first, as its training did.
"""

import functools
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vujax.models.tokenizers.clip import check_texts

MISSING_TOKENIZERS = (
    "this model's tokenizer needs the tokenizers package: pip install 'vujax[sentences]'"
)
MISSING_SENTENCEPIECE = (
    "this model's tokenizer needs the sentencepiece package: pip install 'vujax[sentences]'"
)
SPACE = "\u2581"  # SentencePiece's mark of a space
END = "</s>"
PUNCTUATION = str.maketrans("", "", string.punctuation)


def canonicalize_text(text: str, lower: bool = True) -> str:
    """Canonicalize a text as SigLIP does: no ASCII punctuation, single spaces, lower case.

    As big_vision, the code of Zhai et al. (2023), and SiglipTokenizer of transformers.
    """
    text = (text.lower() if lower else text).translate(PUNCTUATION)
    return re.sub(r"\s+", " ", text).strip()


@dataclass(frozen=True)
class TokenizerFile:
    """Tokenizer, texts -> int32 `[n context]`; picklable, opened at first use.

    Attributes:
      path: of the file, which truncates and pads texts to `context` tokens.
      context: tokens per text.
      canonical: True canonicalizes texts first, see `canonicalize_text`.
      lower: whether canonical texts are in lower case.
    """

    path: str
    context: int
    canonical: bool = False
    lower: bool = True

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
        encodable = [_encodable(text) for text in texts]
        if self.canonical:
            encodable = [
                canonicalize_text(text.replace(SPACE, " "), self.lower) for text in encodable
            ]
        opened = _open(open_tokenizer_file, self.path, _version(self.path))
        rows = [encoding.ids for encoding in opened.encode_batch(encodable)]
        if any(len(row) != self.context for row in rows):
            raise ValueError(
                f"{self.path} does not pad texts to {self.context} tokens; import the model again"
            )
        return np.array(rows, np.int32)


@dataclass(frozen=True)
class SentencePieceFile:
    """SigLIP's tokenizer, texts -> int32 `[n context]`; picklable, opened at first use.

    Tokens equal those of SiglipTokenizer of transformers, but names of special tokens in a text are
    plain text, as in `vujax.models.tokenizers.clip`.

    Attributes:
      path: of a spiece.model.
      context: tokens per text; a longer one is truncated and keeps the end token.
      lower: whether texts are in lower case.
      pad: token that fills shorter texts.
    """

    path: str
    context: int
    lower: bool = True
    pad: str = END

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Tokenize texts.

        Raises:
          TypeError: `texts` is one string, or an entry is not a string; the message has its index.
          FileNotFoundError, ValueError: the file is missing or damaged.
          ImportError: the extra [sentences] is not installed.
        """
        check_texts(texts)
        opened = _open(open_sentencepiece_file, self.path, _version(self.path))
        rows = np.full((len(texts), self.context), opened.piece_to_id(self.pad), np.int32)
        # A space mark at the start of a text is dropped, unless something precedes it.
        prefix = opened.id_to_piece(opened.unk_id())
        skipped = len(opened.encode(prefix))
        for row, text in zip(rows, texts, strict=True):
            marked = SPACE + _encodable(text).replace(SPACE, " ")
            pieces = opened.encode(prefix + canonicalize_text(marked, self.lower))[skipped:]
            ids = [*pieces[: self.context - 1], opened.piece_to_id(END)]
            row[: len(ids)] = ids
        return rows


def open_sentencepiece_file(path: Path) -> Any:
    """Open a file as a `sentencepiece.SentencePieceProcessor`.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: it is damaged, or lacks the end token.
      ImportError: the extra [sentences] is not installed.
    """
    try:  # optional dependency
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise ImportError(MISSING_SENTENCEPIECE) from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is missing: import the model again")
    opened = SentencePieceProcessor()
    try:
        opened.Load(str(path))
    except Exception as error:  # the package raises errors of several classes
        raise ValueError(f"{path} is not a SentencePiece model: download it again") from error
    if opened.piece_to_id(END) == opened.unk_id():
        raise ValueError(f"{path} lacks the end token {END!r}, so it is not SigLIP's")
    return opened


def _encodable(text: str) -> str:
    """Replace lone surrogates, which a text from Python may hold, but none from a file."""
    return text.encode("utf-8", "replace").decode()


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
def _open(open_file: Callable[[Path], Any], path: str, version: int | None) -> Any:
    return open_file(Path(path))


def _version(path: str) -> int | None:
    """Return a number that changes when the file is rewritten; None for a missing file."""
    return Path(path).stat().st_mtime_ns if Path(path).is_file() else None
