"""Search index: the embeddings of a catalog at one level, mapped into a text space.

    index = Index.open("catalog/", "shot", "lite", open_text_space("lite"))
    index.vectors      # [n d], unit, mapped from a file
    index.rows         # film, id and times of each
    index.column("year")   # a column of the rows, or of their films' metadata

The first opening maps the catalog's embeddings and stores the result, see
`vujax.search.index_store`; later ones read it until the catalog changes.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vujax.catalog import Catalog, Id, embeddings
from vujax.search import index_store

if TYPE_CHECKING:
    from vujax.search.text_space import TextSpace

FILM_PREFIX = "film."
"""Prefix of a film's column, for names that the rows have too."""


@dataclass(frozen=True)
class Index:
    """Searchable vectors of a catalog.

    Attributes:
      catalog: the catalog.
      level: 'frame', 'shot' or 'scene'.
      model: model of the embeddings.
      space: text space that they are mapped into.
      vectors: `[n d]` unit vectors, float32, float16 or bfloat16; read only.
      rows: one row per vector, columns of `index_store.ROWS`, in order of film and time.
      films: one row per film, as in `Catalog.films`.
      missing: ids of films that have keyframes but no embeddings of this model at this level.
      folder: folder of the stored index and of what backends build; None when the catalog is
        read-only.
    """

    catalog: Catalog
    level: str
    model: embeddings.EmbeddingModel
    space: "TextSpace"
    vectors: np.ndarray
    rows: pa.Table
    films: pa.Table
    missing: tuple[str, ...]
    folder: Path | None

    @classmethod
    def open(
        cls,
        catalog: Catalog | str | Path,
        level: str,
        encoder: str,
        space: "TextSpace",
        dtype: str = "float32",
        report: Callable[[int, int], None] = lambda done, films: None,
    ) -> Self:
        """Open the index of a catalog; build it if it is missing or outdated.

        Args:
          catalog: a catalog or its folder.
          level: one of `vujax.catalog.embeddings.LEVELS`.
          encoder: name of the embeddings, or name and hash, see `Catalog.embeddings`.
          space: text space of that encoder.
          dtype: type of the stored vectors: float32, or float16 or bfloat16 for half the memory.
          report: called with the number of mapped films and of all films.

        Raises:
          FileNotFoundError: the catalog is not found, or no film has such embeddings.
          ValueError: embeddings are of several models, damaged or outdated, or do not match the
            space.
        """
        catalog = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
        store = embeddings.open_store(catalog.path, level, encoder)
        stored = index_store.open_stored_index(catalog, store, space, dtype, report)
        return cls(
            catalog=catalog,
            level=level,
            model=store.model,
            space=space,
            vectors=stored.vectors,
            rows=stored.rows,
            films=stored.films,
            missing=stored.missing,
            folder=stored.folder,
        )

    def __len__(self) -> int:
        """Return the number of vectors."""
        return len(self.rows)

    @property
    def columns(self) -> list[str]:
        """Names of all columns for `column`."""
        own = self.rows.column_names
        return [*own, *(name for name in self.films.column_names if name not in own)]

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the values of a column, one per row.

        Args:
          name: a column of the rows, or else of the films, including their metadata. `film.NAME`
            is always the film's.

        Raises:
          KeyError: the column is unknown.
        """
        film_column = name.removeprefix(FILM_PREFIX)
        if name in self.rows.column_names:
            return self.rows[name]
        if film_column in self.films.column_names:
            return self.films[film_column].take(self.film_numbers)
        raise KeyError(f"unknown column {name}; expected one of: {', '.join(self.columns)}")

    @functools.cached_property
    def film_numbers(self) -> pa.ChunkedArray:
        """Index of each row's film in `films`, int32."""
        return pc.index_in(self.rows["film"], self.films["film"].combine_chunks())

    def find_rows(self, id: str | Id) -> np.ndarray:
        """Return the rows of an item or of the items in it, int64 `[m]` with m > 0.

        A film contains all of its rows, a shot its frames, a scene its shots. At the level of
        scenes, a shot selects the scene that contains it.

        Raises:
          ValueError: the id is invalid.
          KeyError: the catalog has no such item, or the item has no embedding.
        """
        item = Id.parse(id) if isinstance(id, str) else id
        (inside,) = np.nonzero(pc.equal(self.rows["film"], item.film).to_numpy())
        if not len(inside):
            raise KeyError(f"{self.catalog.path} has no film {item.film} with {self.level}s")
        rows = self.rows.take(inside)
        exact = pc.equal(rows["id"], str(item)).to_numpy()
        selected = inside[exact] if exact.any() else inside[self._within(rows, item)]
        if not len(selected):
            raise KeyError(f"{self.catalog.path} has no {self.level} of {item}")
        return selected

    def _within(self, rows: pa.Table, item: Id) -> np.ndarray:
        """Return a mask of the rows of a film that lie in an item."""
        first, last = (rows[name].to_numpy() for name in ("shot", "last_shot"))
        if item.scene is not None:
            table = self.catalog.scenes(item.film)
            scene = table.filter(pc.equal(table["scene"], item.scene))
            if not len(scene):
                return np.zeros(len(rows), bool)
            start, end = scene["first_shot"][0].as_py(), scene["last_shot"][0].as_py()
            return (first >= start) & (last <= end)
        if item.shot is None:
            return np.ones(len(rows), bool)
        if item.keyframe is not None and self.level == "frame":
            return np.zeros(len(rows), bool)  # a frame is found by its exact id
        return (first <= item.shot) & (item.shot <= last)
