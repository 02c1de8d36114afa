"""Frames, shots or scenes of a catalog in memory: embeddings, ids and groups of near-duplicates."""

import functools
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from vujax.search.index import Index

MAX_DISTANCE = 8  # distance of compared items in the order of their film
MIN_SIMILARITY = 0.97
"""Minimum cosine of near-duplicates: neighbors in a film that the page shows as one."""

CHUNK_ROWS = 1 << 14  # rows multiplied at once


@dataclass(frozen=True, eq=False)
class ItemSet:
    """The items to rank.

    Attributes:
      index: embeddings and rows.
      ids: ids of the rows.
    """

    index: Index
    ids: tuple[str, ...]

    @classmethod
    def from_index(cls, index: Index) -> "ItemSet":
        """Build the items of an index."""
        return cls(index, tuple(index.rows["id"].to_pylist()))

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def row_by_id(self) -> dict[str, int]:
        """The row of each id."""
        return {item: row for row, item in enumerate(self.ids)}

    @functools.cached_property
    def groups(self) -> np.ndarray:
        """Groups of near-duplicate rows, one number per group, int64 `[n]`.

        Groups are connected components of rows of one film at most MAX_DISTANCE apart whose cosine
        is at least MIN_SIMILARITY; frames of one shot are always connected.
        """
        films = self.index.film_numbers.to_numpy()
        shots = self.index.rows["shot"].to_numpy()
        frames = self.index.level == "frame"
        links = [np.zeros((2, 0), np.int64)]
        for step in range(1, min(MAX_DISTANCE, len(self) - 1) + 1):
            same = films[step:] == films[:-step]
            near = same & (self._cosines(step) >= MIN_SIMILARITY)
            if frames:
                near |= same & (shots[step:] == shots[:-step])
            (first,) = np.nonzero(near)
            links.append(np.stack([first, first + step]))
        pairs = np.concatenate(links, axis=1)
        shape = (len(self), len(self))
        graph = sparse.coo_array((np.ones(pairs.shape[1], bool), (pairs[0], pairs[1])), shape)
        return csgraph.connected_components(graph, directed=False)[1].astype(np.int64)

    @functools.cached_property
    def center(self) -> tuple[np.ndarray, float]:
        """Mean of the embeddings `[d]`, and the root mean square of the distance to it."""
        step = max(1, len(self) // 20_000)
        sample = self.index.vectors[::step].astype(np.float32)
        mean = sample.mean(0)
        scale = float(np.sqrt(((sample - mean) ** 2).sum(1).mean()))
        return mean, scale or 1.0

    def compute_scores(self, vector: np.ndarray) -> np.ndarray:
        """Return the dot product of every row with a vector `[d]`, float32 `[n]`.

        The page counts items above a threshold, so it needs every score, not only the top k.
        """
        vectors = self.index.vectors
        if vectors.dtype == np.float32:
            return np.asarray(vectors @ np.float32(vector))
        parts = [
            vectors[i : i + CHUNK_ROWS].astype(np.float32) for i in range(0, len(self), CHUNK_ROWS)
        ]
        return np.concatenate([part @ np.float32(vector) for part in parts])

    def _cosines(self, step: int) -> np.ndarray:
        """Return the dot product of each row with the row `step` after it."""
        vectors, last = self.index.vectors, len(self) - step
        parts = []
        for start in range(0, last, CHUNK_ROWS):
            end = min(start + CHUNK_ROWS, last)
            pair = (vectors[start:end], vectors[start + step : end + step])
            first, second = (part.astype(np.float32, copy=False) for part in pair)
            parts.append(np.einsum("nd,nd->n", first, second))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)
