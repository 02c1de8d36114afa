"""CLIP's tokens: cleaned, lower-cased text as byte pairs of OpenAI's vocabulary."""

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
    """Text as CLIP's tokenizer sees it: mended, entities unescaped twice, spaces single, lower.

    Radford et al. (2021), released code: ftfy, html, whitespace, lower case, in this order.
    """
    if not text.isascii() or not text.isprintable() or "&" in text:
        text = html.unescape(html.unescape(ftfy.fix_text(text)))  # no-ops on plain ASCII, but slow
    return re.sub(r"\s+", " ", text).strip().lower()


def tokenize(texts: Sequence[str], context: int = CONTEXT) -> np.ndarray:
    """Texts as int32 [n context]: start token, byte pairs, end token, then zeros.

    A text that is too long loses its tail and keeps the end token. What a text says about special
    tokens is plain text: '<|endoftext|>' becomes the byte pairs of these characters, where OpenAI's
    code would end the text early.

    Raises:
      TypeError: an entry is no string; the message names its index.
    """
    check_texts(texts)
    if context < 2:
        raise ValueError(
            f"A context {context} has no room for the start and end tokens: give 2 or more."
        )
    if not texts:
        return np.zeros((0, context), np.int32)
    plain = [_without_specials(clean_text(text)) for text in texts]
    return _tokenizer().tokenize_batch(plain, context_length=context).astype(np.int32)


def check_texts(texts: Sequence[str]) -> None:
    """Raises TypeError unless `texts` is a sequence of strings; one string is none."""
    if isinstance(texts, str):
        raise TypeError("tokenize takes a sequence of strings, not one string: give [text].")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"Text {index} is {type(text).__name__}, not str: {text!r:.80}.")


def _without_specials(text: str) -> str:
    # The package reads its own names of the special tokens in any text. A space after '<' hides
    # them and changes nothing else: words are cut between punctuation and letters anyway.
    return re.sub(r"<(?=(?:start|end)_of_text>)", "< ", text)


@functools.cache
def _tokenizer() -> instant_clip_tokenizer.Tokenizer:
    # Once per process, at first use: it cannot be pickled, and takes 40 ms to make.
    return instant_clip_tokenizer.Tokenizer()


def list_byte_pairs(count: int) -> dict[tuple[bytes, bool], int]:
    """`{(bytes, whether a word ends with it): token}` of the first `count` tokens of VOCAB.

    They are the single bytes, once inside and once at a word's end, then pairs in order of their
    frequency in CLIP's training texts. Pairs that are no whole characters are left out.
    """
    found = {(bytes([byte]), end): i + 256 * end for end in (0, 1) for i, byte in enumerate(_BYTES)}
    found = {(piece, bool(end)): token for (piece, end), token in found.items() if token < count}
    for token in range(len(_BYTES) * 2, min(count, START)):
        text = _tokenizer().decode([token])
        if "\ufffd" not in text:
            found[text.removesuffix(" ").encode(), text.endswith(" ")] = token
    return found


_SHOWN = [*range(33, 127), *range(161, 173), *range(174, 256)]
_BYTES = [*_SHOWN, *sorted(set(range(256)) - set(_SHOWN))]  # in the order of their tokens
