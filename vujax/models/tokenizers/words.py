"""Captions as tokens of a small vocabulary that can still represent any text.

CLIP's byte pairs are in order of frequency, so their first thousand serve a small decoder, whose
softmax over all 49,408 would cost more than everything else. The size alone defines the tokens:
nothing is learned from the captions or stored with a model.
"""

import functools
import re
from collections.abc import Iterable, Sequence

import numpy as np

from vujax.models import caption
from vujax.models.tokenizers import clip

END = caption.END  # ends and pads a caption; the other tokens are CLIP's plus 1
MIN_VOCAB = 513  # END and every byte, inside a word and at its end

WORDS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]+|_+")

MARKS = (  # spaces to remove around punctuation
    (re.compile(r" (?=[,.;:!?)\]%])|(?<=[(\[#]) "), ""),
    (re.compile(r" ?(['’]) ?(?=(?:s|t|d|m|re|ve|ll)\b)"), r"\1"),
    (re.compile(r"(?<=\w) ?([-/]) ?(?=\w)"), r"\1"),
    (re.compile(r"(?<=\d) ?: ?(?=\d)"), ":"),
)


class ShortTokens:
    """Tokenizer with the first tokens of CLIP's vocabulary, in both directions.

    A word, a number or a run of punctuation is split greedily into the longest pieces of the
    vocabulary, from left to right; common words are one token.
    """

    def __init__(self, vocab: int) -> None:
        """Select tokens 0 to `vocab` - 1.

        Raises:
          ValueError: `vocab` cannot represent every text, or is larger than CLIP's.
        """
        if not MIN_VOCAB <= vocab <= clip.START + 1:
            raise ValueError(f"vocab must be between {MIN_VOCAB} and {clip.START + 1}, got {vocab}")
        self._tokens = {
            piece: token + 1 for piece, token in clip.list_byte_pairs(vocab - 1).items()
        }
        self._pieces = {token: piece for piece, token in self._tokens.items()}
        self._longest = max(len(piece) for piece, _ in self._tokens)
        self._split = functools.cache(self._split_word)

    def encode(self, texts: Sequence[str], context: int) -> np.ndarray:
        """Tokenize texts as int32 `[n context]`, padded with END.

        A longer text is truncated and keeps END.
        """
        rows = np.full((len(texts), context), END, np.int32)
        for row, text in zip(rows, texts, strict=True):
            words = WORDS.findall(clip.clean_text(text))
            tokens = [token for word in words for token in self._split(word)][: context - 1]
            row[: len(tokens)] = tokens
        return rows

    def decode(self, row: Iterable[int]) -> str:
        """Return the text before the first END, in lower case, with natural spacing."""
        text = b""
        for token in map(int, row):
            if token == END:
                break
            piece, ends = self._pieces.get(token, (b"", False))  # incomplete characters are dropped
            text += piece + b" " * ends
        return fix_spacing(text.decode(errors="ignore"))

    def _split_word(self, word: str) -> tuple[int, ...]:
        rest, tokens = word.encode(), []
        while rest:
            for length in range(min(self._longest, len(rest)), 0, -1):
                token = self._tokens.get((rest[:length], length == len(rest)))
                if token is not None:
                    break
            tokens.append(token)
            rest = rest[length:]
        return tuple(tokens)


def fix_spacing(text: str) -> str:
    """Collapse spaces, and remove those before commas and in 'close-up'."""
    text = " ".join(text.split())
    for pattern, replacement in MARKS:
        text = pattern.sub(replacement, text)
    return text
