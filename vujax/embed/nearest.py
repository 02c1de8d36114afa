"""Which vectors of a catalogue are nearest to one of them: exact, by cosine, a film at a time."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, order=True)
class Neighbour:
    """A vector that is near.

    Attributes:
      cosine: of the angle between it and the query.
      film: id of its film.
      row: number of it among the film's vectors.
    """

    cosine: float
    film: str
    row: int


def nearest(
    query: np.ndarray,
    films: Iterable[tuple[str, np.ndarray]],
    *,
    top: int,
    per_film: int | None = None,
    without: tuple[str, int] | None = None,
) -> list[Neighbour]:
    """The vectors with the highest cosines, the highest first; equal ones in order of film and row.

    Only one film's vectors and `top` results are held at a time.

    Args:
      query: float32 `[d]`.
      films: id and vectors float32 `[n d]` of each film, each film once.
      top: most results.
      per_film: most results of one film; None: as many as there are.
      without: film and row of one that is no result: the query itself.

    Raises:
      ValueError: nothing is asked for, or the query or a film has another width or numbers that are
        not finite.
    """
    if top < 1 or (per_film is not None and per_film < 1):
        raise ValueError(f"ask for at least 1 result, not {top if top < 1 else per_film}")
    best: list[Neighbour] = []
    for film, vectors in films:
        cosines = cosines_with(query, vectors, film)
        rows = np.argsort(-cosines, kind="stable")
        rows = rows[rows != without[1]] if without and without[0] == film else rows
        most = top if per_film is None else min(top, per_film)
        best += [Neighbour(float(cosines[row]), film, int(row)) for row in rows[:most]]
        best = sorted(best, key=lambda one: (-one.cosine, one.film, one.row))[:top]
    return best


def cosines_with(query: np.ndarray, vectors: np.ndarray, film: str = "the query") -> np.ndarray:
    """Cosines of vectors with one, float64 `[n]`; 0 with a vector of zeros.

    Args:
      query: `[d]`.
      vectors: `[n d]`.
      film: for messages.

    Raises:
      ValueError: widths differ, or a number is not finite.
    """
    if vectors.ndim != 2 or query.shape != vectors.shape[1:]:
        raise ValueError(f"vectors {list(vectors.shape)} of {film} do not fit {list(query.shape)}")
    query = query.astype(np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    found = (vectors @ query) / np.maximum(lengths * np.linalg.norm(query), 1e-30)
    if not np.isfinite(found).all():
        raise ValueError(f"a vector of {film} is not finite: run `vujax embed` again")
    return found
