"""Queries: texts, pictures and what is in the catalogue, each with a weight, for or against.

    score(x) = (sum_i w_i cos(x, q_i)) / sum_i |w_i|

with w_i below 0 for what is not wanted. x and q_i are unit vectors of one space, so the score is
the product of x with one vector, sum_i w_i q_i / sum_i |w_i|, and one search serves any number of
terms. It lies between -1 and 1; for a single term it is the cosine.

A text stands in several wordings (templates); its q is the mean of their unit vectors, made unit.

A picture as a query.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vujax.catalog.embeddings import EmbeddingModel
from vujax.encoders.base import Encoder
from vujax.evals import prompt_templates
from vujax.search.index import Index
from vujax.utils.arrays import l2_normalize

if TYPE_CHECKING:  # imported for annotations only
    from vujax.search.text_space import TextSpace

FRAME = ("{}", "a photo of {}.", "a frame of a film with {}.", "a picture that shows {}.")

"""Wordings for what is written with its own article, or none: 'a boat on a lake'."""

KINDS = ("text", "image", "like")

# A weight after a colon. What stands before that may not end with a digit: 'at 10:30' has none.
WEIGHTED = re.compile(r"(?P<text>.*\D):\s*(?P<weight>[+-]?(?:\d+(?:\.\d*)?|\.\d+))", re.DOTALL)

WEIGHTED_NAME = re.compile(r"(?P<text>.+):(?P<weight>[+-]?(?:\d+(?:\.\d*)?|\.\d+))", re.DOTALL)

MOST_WEIGHT = 1e6

Encode = Callable[[Path], np.ndarray]

"""A picture's file to a unit vector `[d]` of the space."""


@dataclass(frozen=True)
class Term:
    """A part of a query.

    Attributes:
      kind: 'text'; 'image', a file; or 'like', an id of the catalogue.
      text: the text, the file or the id.
      weight: below 0 for what is not wanted.
    """

    kind: str
    text: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a term is {', '.join(KINDS)}, not {self.kind!r}")
        if not self.text.strip():
            raise ValueError("a query is empty: write what to look for")
        if not 0 < abs(self.weight) <= MOST_WEIGHT:
            raise ValueError(
                f"the weight of {self.text!r} is {self.weight:g}: it must not be 0, nor beyond "
                f"{MOST_WEIGHT:g}"
            )


def term(words: str, kind: str = "text", *, against: bool = False) -> Term:
    """Reads 'a boat', or 'a boat:2' with a weight.

    Args:
      words: of the term. 'at 10:30' is a text without a weight, 'at 10:30 :2' one with it.
      kind: of KINDS.
      against: the weight counts below 0.

    Raises:
      ValueError: it is empty, or its weight is 0.
    """
    match = (WEIGHTED if kind == "text" else WEIGHTED_NAME).fullmatch(words)
    if kind == "image" and Path(words).exists():  # a colon may be part of a file's name
        match = None
    text, weight = (match["text"], float(match["weight"])) if match else (words, 1.0)
    return Term(kind, text.strip() if kind != "image" else text, -weight if against else weight)


def combine(
    terms: Sequence[Term],
    index: Index,
    wordings: Sequence[str] = prompt_templates.NAME,
    encode: Encode | None = None,
) -> np.ndarray:
    """The one vector to search for, float32 `[d]`, see above.

    Args:
      terms: at least one.
      index: in whose space it is, and where terms of kind 'like' are.
      wordings: templates with one `{}` each.
      encode: makes vectors of pictures; needed for terms of kind 'image' only.

    Raises:
      ValueError: there is no term, or the terms cancel each other.
      KeyError: the catalogue has not what a term is to be like.
    """
    if not terms:
        raise ValueError("there is no query: give a text, --image FILE or --like ID")
    texts = [term.text for term in terms if term.kind == "text"]
    of_text = iter(ensemble(index.space, texts, wordings)) if texts else iter(())

    def vector(term: Term) -> np.ndarray:
        if term.kind == "text":
            return next(of_text)
        if term.kind == "like":
            return l2_normalize(
                index.vectors[index.rows_of(term.text)].astype(np.float32).mean(axis=0)
            )
        if encode is None:
            raise ValueError("pictures as queries need an encoder")
        return encode(Path(term.text))

    weights = np.array([term.weight for term in terms])
    vectors = np.stack([vector(term) for term in terms]).astype(np.float64)
    found = weights @ vectors / np.abs(weights).sum()
    if not np.abs(found).max() > 1e-6:
        raise ValueError("the terms of the query cancel each other: change their weights")
    return found.astype(np.float32)


def ensemble(space: "TextSpace", texts: Sequence[str], wordings: Sequence[str]) -> np.ndarray:
    """Unit vectors of texts, float32 `[n d]`, each the mean over its wordings."""
    written = [wording.replace("{}", text) for text in texts for wording in wordings]
    vectors = np.asarray(space.texts(written), np.float32)
    return l2_normalize(vectors.reshape(len(texts), len(wordings), -1).mean(axis=1))


def wordings(chosen: Sequence[str]) -> tuple[str, ...]:
    """Templates: 'frame' (FRAME), a name of `evals.prompt_templates`, or templates themselves.

    Raises:
      ValueError: there is no such name, or a template has not one `{}`.
    """
    if list(chosen) == ["frame"]:
        return FRAME
    names = len(chosen) == 1 and "{}" not in chosen[0]
    return prompt_templates.resolve_templates(chosen[0] if names else tuple(chosen))


def is_foreign(texts: Sequence[str]) -> bool:
    """Whether most letters are of another script than the Latin one."""
    letters = [c for c in "".join(texts) if c.isalpha()]
    latin = sum(unicodedata.name(c, "").startswith(("LATIN", "FULLWIDTH LATIN")) for c in letters)
    return 2 * latin < len(letters)


def picture_vector(path: Path, encoder: Encoder, index: Index) -> np.ndarray:
    """A picture's unit vector in the index's space, float32 `[d]`.

    Args:
      path: of the picture.
      encoder: that made the index's vectors.
      index: to be searched.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no picture, or the encoder is not the one that made the index's vectors.
    """
    made = EmbeddingModel(encoder.name, encoder.digest, encoder.dim)
    if made != index.model:
        raise ValueError(
            f"the catalogue's vectors are of {index.model.folder}, and this encoder is "
            f"{made.folder}: run `vujax embed` with it first"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        pixels = encoder.picture(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no picture that can be read ({error})") from None
    vector = np.asarray(encoder.encode(pixels[None]), np.float32)
    return index.space.images(vector)[0]
