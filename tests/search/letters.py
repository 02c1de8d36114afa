"""A text space that needs no network."""

from collections.abc import Sequence

import numpy as np


class Letters:
    """A space in which texts are counts of letters, images their first 26 components."""

    name, digest, dim = "letters", "00" * 32, 26

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See `vujax.search.text_space.TextSpace`."""
        counts = [[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]
        return _unit(np.array(counts, np.float32).reshape(-1, 26))

    def map_embeddings(self, vectors: np.ndarray) -> np.ndarray:
        """See `vujax.search.text_space.TextSpace`."""
        return _unit(np.resize(vectors.T, (26, len(vectors))).T)


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def picture_of(*texts: str) -> np.ndarray:
    """Return embeddings that `Letters` maps close to these texts."""
    return 7 * Letters().encode_texts(texts)
