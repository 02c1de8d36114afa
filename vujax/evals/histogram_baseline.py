"""A baseline without learning: captions of the training pictures that are nearest by colour.

A picture's vector is the mean bag of words of its nearest training pictures' captions, a text's
vector its own bag of words. Both enter the same retrieval and zero-shot code as a model's
embeddings, so the row it prints is what colour alone is worth on this data.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vujax.evals.metrics.ranking import find_nearest, normalize_rows
from vujax.evals.reader import Reader
from vujax.models.color import colour_counts

MAX_WORDS = 2048


def color_histogram(image: jax.Array) -> jax.Array:
    """Square roots of the colours' frequencies, 8 bins a channel: `[b h w 3]` uint8 -> `[b 512]`.

    Unit vectors; the dot product of two is their Bhattacharyya coefficient.
    """
    _, h, w, _ = image.shape
    return jnp.sqrt(colour_counts(image) / (h * w))


def _encode(variables: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    return color_histogram(batch["image"])


class ColorNeighbors:
    """Vectors of pictures and texts, `[n v]` unit, by way of a captioned training source."""

    def __init__(self, train: Reader, *, neighbours: int = 10) -> None:
        """Reads the whole of `train` once; a class's name stands in for a missing caption."""
        self.mesh, self.neighbours = train.mesh, neighbours
        self.histograms = train.embed(_encode, {})["embeddings"]
        captions = [" ".join(texts) for texts in train.captions]
        self.words = _vocabulary(captions)
        self.captions = self.texts(captions)

    def images(self, reader: Reader) -> np.ndarray:
        """Pictures of another source: `[n v]`."""
        histograms = reader.embed(_encode, {})["embeddings"]
        _, found = find_nearest(histograms, self.histograms, self.neighbours, mesh=self.mesh)
        return normalize_rows(sum(self.captions[column] for column in found.T))

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Bags of words `[n v]`, rare words heavier; words not seen in training count nothing."""
        vectors = np.zeros((len(texts), len(self.words)), np.float32)
        for row, text in enumerate(texts):
            for word in set(_split(text)) & self.words.keys():
                column, weight = self.words[word]
                vectors[row, column] = weight
        return normalize_rows(vectors)


def _vocabulary(texts: Sequence[str]) -> dict[str, tuple[int, float]]:
    """The commonest words: column and inverse document frequency."""
    counts = Counter(word for text in texts for word in set(_split(text)))
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_WORDS]
    return {word: (i, float(np.log1p(len(texts) / n))) for i, (word, n) in enumerate(common)}


def _split(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
