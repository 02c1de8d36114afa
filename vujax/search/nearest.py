"""Exact nearest neighbors by cosine similarity, with the embeddings of one film in memory.

Unlike the backends of an index it writes nothing, and memory does not grow with the catalog.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Neighbor:
    """One nearest neighbor.

    Attributes:
      cosine: cosine similarity to the query.
      film: catalog id of its film.
      row: index among the embeddings of the film.
    """

    cosine: float
    film: str
    row: int


def find_nearest(
    query: np.ndarray,
    films: Iterable[tuple[str, np.ndarray]],
    *,
    top: int,
    per_film: int | None = None,
    exclude: tuple[str, int] | None = None,
) -> list[Neighbor]:
    """Return the embeddings of highest cosine similarity, ties in order of film and row.

    Args:
      query: float32 `[d]`.
      films: id and embeddings, float32 `[n d]`, of each film.
      top: maximum number of results.
      per_film: maximum number of results per film; None for no limit.
      exclude: film and row to leave out, such as the query itself.

    Raises:
      ValueError: `top` or `per_film` is below 1, a width differs, or a value is not finite.
    """
    if top < 1 or (per_film is not None and per_film < 1):
        raise ValueError(
            f"the number of results must be at least 1, got {top if top < 1 else per_film}"
        )
    best: list[Neighbor] = []
    for film, vectors in films:
        cosines = compute_cosines(query, vectors, film)
        rows = np.argsort(-cosines, kind="stable")
        rows = rows[rows != exclude[1]] if exclude and exclude[0] == film else rows
        limit = top if per_film is None else min(top, per_film)
        best += [Neighbor(float(cosines[row]), film, int(row)) for row in rows[:limit]]
        best = sorted(best, key=lambda n: (-n.cosine, n.film, n.row))[:top]
    return best


def compute_cosines(query: np.ndarray, vectors: np.ndarray, film: str) -> np.ndarray:
    """Compute the cosine similarities of embeddings to a query, float64 `[n]`; 0 for zero vectors.

    Args:
      query: `[d]`.
      vectors: `[n d]`.
      film: film of the embeddings, for messages.

    Raises:
      ValueError: widths differ, or a value is not finite.
    """
    if vectors.ndim != 2 or query.shape != vectors.shape[1:]:
        raise ValueError(
            f"embeddings {list(vectors.shape)} of {film} do not match the query {list(query.shape)}"
        )
    query = query.astype(np.float64)
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    cosines = (vectors @ query) / np.maximum(norms * np.linalg.norm(query), 1e-30)
    if not np.isfinite(cosines).all():
        raise ValueError(f"an embedding of {film} is not finite; run `vujax embed` again")
    return cosines
