"""Shots or scenes of a catalog that are most similar to one of them.

Embeddings are compared in the encoder's own space. By default the search is exact, in float64, and
reads one film at a time: it needs no index, and memory does not grow with the catalog. With
`backend` it uses an index and any search backend, like `vujax search`; scores are then float32.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vujax.catalog import Catalog, Id, embeddings
from vujax.catalog.schema import build_clock
from vujax.encoders import resolve_name
from vujax.search.locate import locate_item
from vujax.search.nearest import find_nearest
from vujax.utils.formatting import quote_unprintable

DEFAULT_PER_FILM = 5
"""Default maximum number of results per film in catalogs of several films."""


@dataclass(frozen=True)
class SimilarItem:
    """A shot or a scene.

    Attributes:
      rank: counted from 1; 0 for the query.
      score: cosine similarity to the query; 1 for the query itself.
      id: catalog id.
      film: catalog id of its film.
      title: title of the film, or its file name.
      start_s: seconds since the start of the film.
      end_s: seconds since the start of the film.
      timecode: SMPTE timecode of the start.
      end_timecode: SMPTE timecode of the end.
      first_shot: index of the first shot.
      last_shot: index of the last shot, inclusive.
    """

    rank: int
    score: float
    id: str
    film: str
    title: str
    start_s: float
    end_s: float
    timecode: str
    end_timecode: str
    first_shot: int
    last_shot: int


@dataclass(frozen=True)
class SimilarResult:
    """Result of `find_similar`.

    Attributes:
      query: the item that others were compared with.
      level: 'shot' or 'scene'.
      encoder: name and hash of the model whose embeddings were compared.
      items: the most similar items, best first.
      compared: number of embeddings.
      films: number of their films.
      left_out: film and reason of those without current embeddings.
    """

    query: SimilarItem
    level: str
    encoder: str
    items: tuple[SimilarItem, ...]
    compared: int
    films: int
    left_out: tuple[tuple[str, str], ...]


def find_similar(
    catalog: Catalog | str | Path,
    query: str,
    *,
    encoder: str | None = None,
    level: str | None = None,
    top: int = 20,
    per_film: int | None = None,
    other_films: bool = False,
    backend: str | None = None,
) -> SimilarResult:
    """Find the items that are most similar to a shot or scene.

    Args:
      catalog: catalog to search, or its root.
      query: FILM/s0012, FILM/c003 or FILM@TIME; see `vujax.search.locate.locate_item`.
      encoder: encoder of the embeddings, as for `vujax embed --encoder`, or name and hash; None for
        the only one in the catalog.
      level: 'shot' or 'scene', for FILM@TIME; None for shots.
      top: maximum number of results.
      per_film: maximum number of results per film; None for DEFAULT_PER_FILM, or no limit in a
        catalog of one film.
      other_films: whether to leave out the query's own film.
      backend: name of a search backend, which needs an index; None to read film by film.

    Raises:
      KeyError: the catalog has no such film, shot or scene.
      FileNotFoundError: the catalog has no such embeddings or scenes.
      ValueError: the query or an option is invalid, or embeddings are damaged or outdated.
    """
    catalog = catalog if isinstance(catalog, Catalog) else Catalog(catalog)
    item = locate_item(catalog, query, level)
    level = "shot" if item.scene is None else "scene"
    name = None if encoder is None else resolve_name(catalog.path, encoder)
    reader = _Reader(catalog, level, embeddings.open_store(catalog.path, level, name).model)
    films = [film for film in catalog.film_ids() if film != item.film or not other_films]
    if per_film is None and len(films) > 1:
        per_film = DEFAULT_PER_FILM
    search = _search_films if backend is None else _search_with(backend)
    scores = search(reader, item, films, top, per_film)
    ranked = enumerate(scores.items(), 1)
    return SimilarResult(
        query=reader.build_item(0, 1.0, str(item)),
        level=level,
        encoder=reader.model.folder,
        items=tuple(reader.build_item(rank, score, id) for rank, (id, score) in ranked),
        compared=sum(reader.counts.values()) - (item.film in reader.counts),
        films=len(reader.counts),
        left_out=tuple(reader.left_out.items()),
    )


def _search_films(
    reader: "_Reader", item: Id, films: Sequence[str], top: int, per_film: int | None
) -> dict[str, float]:
    """Return scores by id, best first, with one film in memory."""
    own = reader.catalog.embeddings(reader.level, reader.model.folder, item.film)
    ids = own["id"].to_pylist()
    if str(item) not in ids:
        raise ValueError(
            f"{item} has no keyframe and therefore no embedding; name a neighboring {reader.level}"
        )
    row = ids.index(str(item))
    neighbors = find_nearest(
        embeddings.to_matrix(own)[row],
        reader.read(films),
        top=top,
        per_film=per_film,
        exclude=(item.film, row),
    )
    return {reader.ids(n.film)[n.row]: n.cosine for n in neighbors}


def _search_with(backend: str) -> Callable[..., dict[str, float]]:
    """Return a function like `_search_films` that uses an index and a search backend."""

    def search(
        reader: "_Reader", item: Id, films: Sequence[str], top: int, per_film: int | None
    ) -> dict[str, float]:
        # Imported here, since these bring JAX.
        from vujax.search.backends import open_backend
        from vujax.search.hits import search_index
        from vujax.search.index import Index
        from vujax.search.text_space import EncoderSpace

        model = reader.model
        index = Index.open(reader.catalog, reader.level, model.folder, EncoderSpace(model.dim))
        own = index.find_rows(item)
        reader.note_index(index.rows["film"].to_pylist(), index.missing, films)
        mask = np.isin(np.array(index.rows["film"].to_pylist()), list(films))
        mask[own] = False
        query = np.asarray(index.vectors[own[0]], np.float32)
        engine = open_backend(backend, index)
        hits = search_index(index, engine, query, top=top, mask=mask, per_film=per_film)
        return {hit.id: hit.score for hit in hits}

    return search


@dataclass
class _Reader:
    """Access to the embeddings and items of a catalog at one level; tables are read once per film.

    Attributes:
      catalog: the catalog.
      level: 'shot' or 'scene'.
      model: model of the embeddings.
      counts: number of embeddings by film, of the films that were read.
      left_out: reason by film, of the films without current embeddings.
    """

    catalog: Catalog
    level: str
    model: embeddings.EmbeddingModel
    counts: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    _items: dict[str, tuple[dict, dict[str, dict]]] = field(default_factory=dict)
    _ids: dict[str, list[str]] = field(default_factory=dict)

    def read(self, films: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the embeddings of each film that has some."""
        for film in films:
            try:
                table = self.catalog.embeddings(self.level, self.model.folder, film)
                vectors = embeddings.to_matrix(table)
            except (FileNotFoundError, ValueError) as error:
                self.left_out[film] = str(error)
                continue
            if len(vectors):
                self.counts[film] = len(vectors)
                yield film, vectors

    def note_index(self, rows: Sequence[str], missing: Sequence[str], films: Sequence[str]) -> None:
        """Count the embeddings of an index, whose rows belong to the films `rows`."""
        allowed = set(films)
        self.counts.update(Counter(film for film in rows if film in allowed))
        reason = f"it has no {self.level} embeddings of {self.model.folder}"
        self.left_out.update({film: reason for film in missing if film in allowed})

    def ids(self, film: str) -> list[str]:
        """Return the ids of a film's embeddings, in order."""
        if film not in self._ids:
            table = self.catalog.embeddings(self.level, self.model.folder, film)
            self._ids[film] = table["id"].to_pylist()
        return self._ids[film]

    def build_item(self, rank: int, score: float, id: str) -> SimilarItem:
        """Build an item from the catalog's tables."""
        film = Id.parse(id).film
        if film not in self._items:
            (facts,) = self.catalog.films(film).to_pylist()
            items = self.catalog.items(self.level, film).to_pylist()
            self._items[film] = facts, {item["id"]: item for item in items}
        facts, rows = self._items[film]
        row, clock = rows[id], build_clock(facts)
        return SimilarItem(
            rank=rank,
            score=score,
            id=id,
            film=film,
            title=str(facts.get("title") or quote_unprintable(Path(facts["path"]).name)),
            start_s=row["start_s"],
            end_s=row["end_s"],
            timecode=clock.timecode(row["start_pts"]),
            end_timecode=clock.timecode(row["end_pts"]),
            first_shot=row["first_shot"],
            last_shot=row["last_shot"],
        )
