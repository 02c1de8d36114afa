"""CLIP's tokenizer: cleaned, lower-case text as byte pairs of OpenAI's vocabulary."""

import functools
import html
import re
from collections.abc import Callable, Sequence

import ftfy
import instant_clip_tokenizer
import numpy as np

Tokenizer = Callable[[Sequence[str]], np.ndarray]
"""Texts -> tokens int32 `[n context]`."""

CONTEXT = 77
VOCAB = 49408
START = 49406
END = 49407


def clean_text(text: str) -> str:
    """Clean text as CLIP does: fix encoding, unescape entities twice, collapse spaces, lower case.

    The order is that of the released code of Radford et al. (2021).
    """
    if not text.isascii() or not text.isprintable() or "&" in text:
        text = html.unescape(html.unescape(ftfy.fix_text(text)))  # no-ops on plain ASCII, but slow
    return re.sub(r"\s+", " ", text).strip().lower()


def tokenize(texts: Sequence[str], context: int = CONTEXT) -> np.ndarray:
    """Tokenize texts as int32 [n context]: start token, byte pairs, end token, then zeros.

    A longer text is truncated and keeps the end token. Names of special tokens in a text are plain
    text: '<|endoftext|>' becomes the byte pairs of these characters, where OpenAI's code would end
    the text early.

    Raises:
      TypeError: an entry is not a string; the message has its index.
      ValueError: the context is below 2.
    """
    check_texts(texts)
    if context < 2:
        raise ValueError(f"context must be at least 2, for the start and end tokens, got {context}")
    if not texts:
        return np.zeros((0, context), np.int32)
    plain = [_without_specials(clean_text(text)) for text in texts]
    return _tokenizer().tokenize_batch(plain, context_length=context).astype(np.int32)


def check_texts(texts: Sequence[str]) -> None:
    """Check that `texts` is a sequence of strings and not one string.

    Raises:
      TypeError: it is not.
    """
    if isinstance(texts, str):
        raise TypeError("tokenize takes a sequence of strings, not one string: give [text]")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {index} is {type(text).__name__}, not str: {text!r:.80}")


def _without_specials(text: str) -> str:
    # The package parses its own names of the special tokens in any text. A space after '<' hides
    # them and changes nothing else: words end between punctuation and letters anyway.
    return re.sub(r"<(?=(?:start|end)_of_text>)", "< ", text)


@functools.cache
def _tokenizer() -> instant_clip_tokenizer.Tokenizer:
    # Once per process, at first use: it cannot be pickled, and takes 40 ms to build.
    return instant_clip_tokenizer.Tokenizer()


def list_byte_pairs(count: int) -> dict[tuple[bytes, bool], int]:
    """List the first `count` tokens of VOCAB as `{(bytes, is at a word's end): token}`.

    They are the single bytes, once inside and once at a word's end, then pairs in order of their
    frequency in CLIP's training texts. Pairs with incomplete characters are omitted.
    """
    single = {(bytes([b]), end): i + 256 * end for end in (0, 1) for i, b in enumerate(_BYTES)}
    pairs = {(piece, bool(end)): token for (piece, end), token in single.items() if token < count}
    for token in range(len(_BYTES) * 2, min(count, START)):
        text = _tokenizer().decode([token])
        if "\ufffd" not in text:
            pairs[text.removesuffix(" ").encode(), text.endswith(" ")] = token
    return pairs


_PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
_BYTES = [*_PRINTABLE, *sorted(set(range(256)) - set(_PRINTABLE))]  # in the order of their tokens
