"""A baseline without learning: captions of the training images nearest in color.

An image's embedding is the mean bag of words of its nearest training images' captions, a text's
embedding its own bag of words. Both enter the same retrieval and zero-shot code as a model's
embeddings, so the row shows how far color alone gets on this data.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vujax.evals.metrics.ranking import find_nearest
from vujax.evals.reader import Reader
from vujax.models.transnetv2 import count_colors
from vujax.utils.arrays import l2_normalize

MAX_WORDS = 2048


def color_histogram(image: jax.Array) -> jax.Array:
    """Return the square roots of color frequencies: `[b h w 3]` uint8 -> `[b 512]`.

    There are 8 bins a channel. Rows are unit vectors; the dot product of two is their Bhattacharyya
    coefficient.
    """
    _, h, w, _ = image.shape
    return jnp.sqrt(count_colors(image) / (h * w))


def _encode(variables: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    return color_histogram(batch["image"])


class ColorNeighbors:
    """Unit embeddings `[n v]` of images and texts by way of a captioned source."""

    def __init__(self, train: Reader, *, neighbors: int = 10) -> None:
        """Read all of `train` once; a class name replaces a missing caption."""
        self.mesh, self.neighbors = train.mesh, neighbors
        self.histograms = train.embed(_encode, {})["embeddings"]
        captions = [" ".join(texts) for texts in train.captions]
        self.words = _vocabulary(captions)
        self.captions = self.embed_texts(captions)

    def embed_images(self, reader: Reader) -> np.ndarray:
        """Embed the images of another source: `[n v]`."""
        histograms = reader.embed(_encode, {})["embeddings"]
        _, indices = find_nearest(histograms, self.histograms, self.neighbors, mesh=self.mesh)
        return l2_normalize(sum(self.captions[column] for column in indices.T))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return bags of words `[n v]`, rare words heavier; unseen words weigh nothing."""
        vectors = np.zeros((len(texts), len(self.words)), np.float32)
        for row, text in enumerate(texts):
            for word in set(_split(text)) & self.words.keys():
                column, weight = self.words[word]
                vectors[row, column] = weight
        return l2_normalize(vectors)


def _vocabulary(texts: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Return the commonest words: column and inverse document frequency."""
    counts = Counter(word for text in texts for word in set(_split(text)))
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_WORDS]
    return {word: (i, float(np.log1p(len(texts) / n))) for i, (word, n) in enumerate(common)}


def _split(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
