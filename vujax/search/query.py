"""Queries: weighted texts, images and catalog items, combined into one vector.

    score(x) = (sum_i w_i cos(x, q_i)) / sum_i |w_i|

with negative w_i for what is not wanted. x and q_i are unit vectors of one space, so the score is
the product of x with one vector, sum_i w_i q_i / sum_i |w_i|, and one search serves any number of
terms. Scores are in [-1, 1]; for a single term the score is the cosine similarity.

A text is encoded in several templates; q_i is the normalized mean of their unit vectors.
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

# Templates for texts with their own article, or none: 'a boat on a lake'.
FRAME_TEMPLATES = ("{}", "a photo of {}.", "a frame of a film with {}.", "a picture that shows {}.")

KINDS = ("text", "image", "like")

# A weight after a colon, which may not follow a digit: 'at 10:30' has no weight.
WEIGHTED = re.compile(r"(?P<text>.*\D):\s*(?P<weight>[+-]?(?:\d+(?:\.\d*)?|\.\d+))", re.DOTALL)
WEIGHTED_NAME = re.compile(r"(?P<text>.+):(?P<weight>[+-]?(?:\d+(?:\.\d*)?|\.\d+))", re.DOTALL)
MAX_WEIGHT = 1e6

ImageEncode = Callable[[Path], np.ndarray]
"""Function from an image file to a unit vector `[d]` of the space."""


@dataclass(frozen=True)
class Term:
    """One term of a query.

    Attributes:
      kind: 'text', 'image' (a file) or 'like' (a catalog id).
      text: the text, the file or the id.
      weight: negative for what is not wanted.
    """

    kind: str
    text: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"unknown kind of term {self.kind!r}; expected one of: {', '.join(KINDS)}"
            )
        if not self.text.strip():
            raise ValueError("a query term is empty; write what to look for")
        if not 0 < abs(self.weight) <= MAX_WEIGHT:
            raise ValueError(
                f"the weight of {self.text!r} must not be 0 nor exceed {MAX_WEIGHT:g}, got "
                f"{self.weight:g}"
            )


def parse_term(words: str, kind: str = "text", *, against: bool = False) -> Term:
    """Parse 'a boat', or 'a boat:2' with a weight.

    Args:
      words: the term. 'at 10:30' is a text without a weight, 'at 10:30 :2' one with a weight.
      kind: one of KINDS.
      against: whether to negate the weight.

    Raises:
      ValueError: the term is empty, or its weight is 0.
    """
    match = (WEIGHTED if kind == "text" else WEIGHTED_NAME).fullmatch(words)
    if kind == "image" and Path(words).exists():  # file names may contain a colon
        match = None
    text, weight = (match["text"], float(match["weight"])) if match else (words, 1.0)
    return Term(kind, text.strip() if kind != "image" else text, -weight if against else weight)


def combine_terms(
    terms: Sequence[Term],
    index: Index,
    templates: Sequence[str] = prompt_templates.NAME,
    encode: ImageEncode | None = None,
) -> np.ndarray:
    """Combine terms into one query vector, float32 `[d]`.

    Args:
      terms: at least one.
      index: index to search, which gives the text space and the items of 'like' terms.
      templates: templates with one `{}` each.
      encode: encodes image files; required for terms of kind 'image' only.

    Raises:
      ValueError: there is no term, or the terms cancel each other.
      KeyError: the catalog does not have the item of a 'like' term.
    """
    if not terms:
        raise ValueError("the query is empty; give a text, --image FILE or --like ID")
    texts = [term.text for term in terms if term.kind == "text"]
    text_vectors = iter(encode_texts(index.space, texts, templates)) if texts else iter(())

    def vector(term: Term) -> np.ndarray:
        if term.kind == "text":
            return next(text_vectors)
        if term.kind == "like":
            return l2_normalize(
                index.vectors[index.find_rows(term.text)].astype(np.float32).mean(axis=0)
            )
        if encode is None:
            raise ValueError("image terms need an encoder")
        return encode(Path(term.text))

    weights = np.array([term.weight for term in terms])
    vectors = np.stack([vector(term) for term in terms]).astype(np.float64)
    combined = weights @ vectors / np.abs(weights).sum()
    if not np.abs(combined).max() > 1e-6:
        raise ValueError("the terms of the query cancel each other; change their weights")
    return combined.astype(np.float32)


def encode_texts(space: "TextSpace", texts: Sequence[str], templates: Sequence[str]) -> np.ndarray:
    """Encode texts as unit vectors, float32 `[n d]`, each the mean over its templates."""
    written = [template.replace("{}", text) for text in texts for template in templates]
    vectors = np.asarray(space.encode_texts(written), np.float32)
    return l2_normalize(vectors.reshape(len(texts), len(templates), -1).mean(axis=1))


def resolve_templates(chosen: Sequence[str]) -> tuple[str, ...]:
    """Return templates by name, or check given templates.

    Args:
      chosen: 'frame' (FRAME_TEMPLATES), a name of `vujax.evals.prompt_templates`, or templates.

    Raises:
      ValueError: the name is unknown, or a template has not exactly one `{}`.
    """
    if list(chosen) == ["frame"]:
        return FRAME_TEMPLATES
    names = len(chosen) == 1 and "{}" not in chosen[0]
    return prompt_templates.resolve_templates(chosen[0] if names else tuple(chosen))


def is_mostly_non_latin(texts: Sequence[str]) -> bool:
    """Return whether most letters are not Latin."""
    letters = [c for c in "".join(texts) if c.isalpha()]
    latin = sum(unicodedata.name(c, "").startswith(("LATIN", "FULLWIDTH LATIN")) for c in letters)
    return 2 * latin < len(letters)


def encode_image_file(path: Path, encoder: Encoder, index: Index) -> np.ndarray:
    """Encode an image file as a unit vector of the index's space, float32 `[d]`.

    Args:
      path: image file.
      encoder: encoder of the index's embeddings.
      index: index to search.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: the file is not an image, or the encoder is not that of the index.
    """
    model = EmbeddingModel(encoder.name, encoder.digest, encoder.dim)
    if model != index.model:
        raise ValueError(
            f"the catalog has embeddings of {index.model.folder}, but the encoder is "
            f"{model.folder}; run `vujax embed` with it first"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        pixels = encoder.preprocess(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not a readable image ({error})") from None
    vector = np.asarray(encoder.encode(pixels[None]), np.float32)
    return index.space.map_embeddings(vector)[0]
