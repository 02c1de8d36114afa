"""A space for vectors that no encoder of texts goes with: all but words can be searched for."""

import numpy as np

from vujax.catalog import Catalog, vectors
from vujax.curate.desk import levels_of
from vujax.evals.vectors import unit
from vujax.search.space import TextSpace


def plain(catalog: Catalog, encoder: str) -> TextSpace:
    """The space of an encoder's vectors as they are, made unit."""
    first = levels_of(catalog, encoder)[0]
    return _Plain(vectors.find(catalog.path, first, encoder).model.dim)


class _Plain:
    name, digest = "plain", "0" * 64

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def texts(self, texts: object) -> np.ndarray:
        raise ValueError("these vectors have no texts")

    def images(self, rows: np.ndarray) -> np.ndarray:
        return unit(np.asarray(rows, np.float32))
