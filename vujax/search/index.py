"""The vectors of a catalogue at one level, in the space where texts are, ready to be searched.

    index = Index.open("catalog/", "shot", "lite", open_space("lite"))
    index.vectors      # [n d], unit, mapped from a file
    index.rows         # what each is: film, id, times
    index.column("year")   # a column of the rows, or of their films' metadata

The first opening maps the catalogue's vectors and keeps the result, see `vujax.search.index_store`;
later ones read that, until the catalogue changes.
"""

import functools
import re
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

OF_FILM = "film."
"""`film.NAME` is the film's column where the rows have one of that name too."""


@dataclass(frozen=True)
class Index:
    """What can be searched.

    Attributes:
      catalog: that it is of.
      level: 'frame', 'shot' or 'scene'.
      model: that made the vectors.
      space: that they were mapped into.
      vectors: `[n d]` unit vectors, float32, float16 or bfloat16; read only.
      rows: one row a vector, columns of `kept.ROWS`, in order of film and time.
      films: one row a film, as `Catalog.films` gives them.
      missing: ids of films that have keyframes, but no vectors of this model at this level.
      folder: where the vectors are kept, and what searchers build of them; None: nowhere, since
        the catalogue cannot be written to.
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
        """Opens the index of a catalogue; makes it if it is not there, or older than the catalogue.

        Args:
          catalog: or its folder.
          level: of `vujax.catalog.embeddings.LEVELS`.
          encoder: whose vectors, its name, or name and hash, see `Catalog.vectors`.
          space: that texts are compared in; it must be that encoder's.
          dtype: in which vectors are kept: float32, or float16 or bfloat16 for half the memory.
          report: is told how many films are mapped, of how many.

        Raises:
          FileNotFoundError: there is no catalogue, or no film has such vectors.
          ValueError: they are of several models, damaged, or of what a film was before; the space
            does not fit them.
        """
        catalog = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
        shelf = embeddings.open_store(catalog.path, level, encoder)
        found = index_store.open_kept(catalog, shelf, space, dtype, report)
        facts = (found.vectors, found.rows, found.films, found.missing, found.folder)
        return cls(catalog, level, shelf.model, space, *facts)

    def __len__(self) -> int:
        """Vectors."""
        return len(self.rows)

    @property
    def columns(self) -> list[str]:
        """Names that `column` knows."""
        mine = self.rows.column_names
        return [*mine, *(name for name in self.films.column_names if name not in mine)]

    def column(self, name: str) -> pa.ChunkedArray:
        """Values of a column, one a row.

        Args:
          name: of a column of the rows, else of the films: what is known of the files, and their
            metadata. `film.NAME` is always the film's.

        Raises:
          KeyError: there is none; names those that there are.
        """
        of_film = name.removeprefix(OF_FILM)
        if name in self.rows.column_names:
            return self.rows[name]
        if of_film in self.films.column_names:
            return self.films[of_film].take(self.film_numbers)
        raise KeyError(f"there is no column {name}: there are {', '.join(self.columns)}")

    @functools.cached_property
    def film_numbers(self) -> pa.ChunkedArray:
        """The place of each row's film among `films`, int32."""
        return pc.index_in(self.rows["film"], self.films["film"].combine_chunks())

    def rows_of(self, id: str | Id) -> np.ndarray:
        """Numbers of the rows that an id names, or that lie in what it names: int64 `[m]`, m > 0.

        A film has all of its rows, a shot its frames, a scene its shots; for a shot at the level
        of scenes it is the scene that the shot lies in.

        Raises:
          ValueError: it is no id.
          KeyError: the catalogue has no such thing, or it has no vector.
        """
        wanted = Id.parse(id) if isinstance(id, str) else id
        (inside,) = np.nonzero(pc.equal(self.rows["film"], wanted.film).to_numpy())
        if not len(inside):
            raise KeyError(f"{self.catalog.path} has no film {wanted.film} with {self.level}s")
        rows = self.rows.take(inside)
        exact = pc.equal(rows["id"], str(wanted)).to_numpy()
        found = inside[exact] if exact.any() else inside[self._within(rows, wanted)]
        if not len(found):
            raise KeyError(f"{self.catalog.path} has no {self.level} of {wanted}")
        return found

    def _within(self, rows: pa.Table, wanted: Id) -> np.ndarray:
        """Which rows of a film lie in what an id names, bool."""
        first, last = (rows[name].to_numpy() for name in ("shot", "last_shot"))
        if wanted.scene is not None:
            table = self.catalog.scenes(wanted.film)
            of = table.filter(pc.equal(table["scene"], wanted.scene))
            if not len(of):
                return np.zeros(len(rows), bool)
            begin, end = of["first_shot"][0].as_py(), of["last_shot"][0].as_py()
            return (first >= begin) & (last <= end)
        if wanted.shot is None:
            return np.ones(len(rows), bool)
        if wanted.keyframe is not None and self.level == "frame":
            return np.zeros(len(rows), bool)  # it would have been found by its id
        return (first <= wanted.shot) & (wanted.shot <= last)


def encoder_of(spec: str) -> str:
    """The name by which a catalogue has the vectors of an encoder.

    Args:
      spec: as for `vujax embed --encoder`: a released name, or a folder of a trained model.

    Raises:
      ValueError, OSError: the folder holds no encoder.
    """
    if re.fullmatch(embeddings.NAME, spec) or re.fullmatch(embeddings.FOLDER_NAME, spec):
        return spec
    from vujax.encoders import open_encoder  # brings JAX, and loads the weights

    encoder = open_encoder(spec)
    return embeddings.EmbeddingModel(encoder.name, encoder.digest, encoder.dim).folder
