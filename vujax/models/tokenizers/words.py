"""Captions as tokens of a small vocabulary that can still write any text.

CLIP's byte pairs stand in order of frequency, so their first thousand serve a small decoder, whose
softmax over all 49,408 would cost more than all the rest. The size alone says what the tokens are:
nothing has to be learned from the captions, or kept beside a model.
"""

import functools
import re
from collections.abc import Iterable, Sequence

import numpy as np

from vujax.models import caption
from vujax.models.tokenizers import clip

END = caption.END
"""Ends a caption, and fills it up; the others are CLIP's tokens plus 1."""

MIN_VOCAB = 513
"""Smallest vocabulary: END and every byte, inside a word and at its end."""

WORDS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]+|_+")

MARKS = (  # what the spaces between words are not
    (re.compile(r" (?=[,.;:!?)\]%])|(?<=[(\[#]) "), ""),
    (re.compile(r" ?(['’]) ?(?=(?:s|t|d|m|re|ve|ll)\b)"), r"\1"),
    (re.compile(r"(?<=\w) ?([-/]) ?(?=\w)"), r"\1"),
    (re.compile(r"(?<=\d) ?: ?(?=\d)"), ":"),
)


class ShortTokens:
    """Texts to tokens and back.

    A word, a number or a run of marks is written in the longest pieces that the vocabulary has,
    from left to right; common words are one token.
    """

    def __init__(self, vocab: int) -> None:
        """Has tokens 0 to `vocab` - 1.

        Raises:
          ValueError: `vocab` cannot write every text, or is more than CLIP has.
        """
        if not MIN_VOCAB <= vocab <= clip.START + 1:
            raise ValueError(f"vocab {vocab} must be {MIN_VOCAB} to {clip.START + 1}")
        self._tokens = {
            piece: token + 1 for piece, token in clip.list_byte_pairs(vocab - 1).items()
        }
        self._pieces = {token: piece for piece, token in self._tokens.items()}
        self._longest = max(len(piece) for piece, _ in self._tokens)
        self._word = functools.cache(self._cut)

    def encode(self, texts: Sequence[str], context: int) -> np.ndarray:
        """Texts as int32 `[n context]`, END after the last token.

        A text that is too long loses its tail and keeps END.
        """
        rows = np.full((len(texts), context), END, np.int32)
        for row, text in zip(rows, texts, strict=True):
            cut = WORDS.findall(clip.clean_text(text))
            found = [token for word in cut for token in self._word(word)]
            found = found[: context - 1]
            row[: len(found)] = found
        return rows

    def decode(self, row: Iterable[int]) -> str:
        """The text before the first END, in lower case, spaces where people put them."""
        text = b""
        for token in map(int, row):
            if token == END:
                break
            piece, ends = self._pieces.get(token, (b"", False))  # half a character says nothing
            text += piece + b" " * ends
        return fix_spacing(text.decode(errors="ignore"))

    def _cut(self, word: str) -> tuple[int, ...]:
        rest, found = word.encode(), []
        while rest:
            for length in range(min(self._longest, len(rest)), 0, -1):
                token = self._tokens.get((rest[:length], length == len(rest)))
                if token is not None:
                    break
            found.append(token)
            rest = rest[length:]
        return tuple(found)


def fix_spacing(text: str) -> str:
    """Words with single spaces between them, and none before commas or in 'close-up'."""
    text = " ".join(text.split())
    for pattern, to in MARKS:
        text = pattern.sub(to, text)
    return text
