"""Items of a catalog: frames, shots, scenes and films with their times and keyframes."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vujax.catalog import Catalog, Id, embeddings

LEVELS = ("frame", "shot", "scene", "film")


@dataclass(frozen=True)
class CatalogItem:
    """An item of a catalog.

    Attributes:
      id: id of the item.
      film: id of its film.
      level: one of LEVELS.
      begin_s: start in seconds since the start of the film; the time of a frame.
      end_s: end in seconds, the start of the next item; the time of a frame.
      pts: time of its first frame in ticks of the film; None for a film.
      keyframe_ids: ids of its keyframes, in order.
    """

    id: str
    film: str
    level: str
    begin_s: float
    end_s: float
    pts: int | None
    keyframe_ids: tuple[str, ...]

    @property
    def keyframe_id(self) -> str | None:
        """The id of the middle keyframe, which represents the item."""
        return self.keyframe_ids[len(self.keyframe_ids) // 2] if self.keyframe_ids else None


@dataclass(frozen=True)
class FilmContents:
    """A film of a catalog and all its items.

    Attributes:
      row: row of the film in the catalog.
      source: hash of its manifest, see `embeddings.hash_source`.
      items: the film itself, frames, shots and scenes, in this order, by id.
      keyframes: rows of its keyframes by id.
    """

    row: Mapping[str, Any]
    source: str
    items: Mapping[str, CatalogItem]
    keyframes: Mapping[str, Mapping[str, Any]]

    @property
    def title(self) -> str:
        """The title of the film, or else its path."""
        return str(self.row.get("title") or self.row["path"])

    @property
    def time_base(self) -> Fraction | None:
        """Seconds of a tick; None when no frame of the film was readable."""
        ticks = self.row["time_base_den"]
        return Fraction(self.row["time_base_num"], ticks) if ticks else None

    def hash_item(self, item: CatalogItem) -> str:
        """Return a hash that changes when the shots, or the scene of the item, are replaced."""
        if item.level != "scene":
            return self.source
        text = f"{self.source} {item.pts} {item.end_s}"  # `vujax scenes` can move the scene
        return hashlib.sha256(text.encode()).hexdigest()


class CatalogItems:
    """The items of a catalog, read one film at a time on demand."""

    def __init__(self, catalog: Catalog, cached: int = 256) -> None:
        """Prepare for reading.

        Args:
          catalog: catalog to read.
          cached: number of films cached in memory.
        """
        self.catalog = catalog
        self.read_film = functools.lru_cache(cached)(self._read_film)

    def find(self, item_id: str) -> CatalogItem:
        """Return the item with an id.

        Raises:
          KeyError: there is no such item.
          ValueError: the id is malformed, or a file is damaged.
        """
        item = self.read_film(Id.parse(item_id).film).items.get(item_id)
        if item is None:
            raise KeyError(f"{self.catalog.path} has no {item_id}")
        return item

    def _read_film(self, film: str) -> FilmContents:
        catalog = self.catalog
        (row,) = catalog.films(film).to_pylist()
        source = embeddings.hash_source(catalog.manifest(film))
        keyframes = {k["id"]: k for k in catalog.keyframes(film).to_pylist()}
        ids_by_shot: dict[int, list[str]] = {}
        for key, keyframe in keyframes.items():
            ids_by_shot.setdefault(keyframe["shot"], []).append(key)
        items = [
            _build_item(level, item, ids_by_shot)
            for level in ("film", "frame", "shot", "scene")
            for item in _read_items(catalog, level, film)
        ]
        return FilmContents(row, source, {item.id: item for item in items}, keyframes)


def _read_items(catalog: Catalog, level: str, film: str) -> list[dict[str, Any]]:
    try:
        return catalog.items(level, film).to_pylist()
    except (FileNotFoundError, ValueError):
        if level != "scene":
            raise
        return []  # scenes are optional, and those of an earlier version of the film do not count


def _build_item(
    level: str, item: Mapping[str, Any], ids_by_shot: Mapping[int, Sequence[str]]
) -> CatalogItem:
    """Build an item; `ids_by_shot` has the ids of the keyframes of each shot."""
    if level == "frame":
        keyframe_ids = (item["id"],)
    elif item["first_shot"] is None:
        keyframe_ids = ()
    else:
        shots = range(item["first_shot"], item["last_shot"] + 1)
        keyframe_ids = tuple(key for shot in shots for key in ids_by_shot.get(shot, ()))
    return CatalogItem(
        id=item["id"],
        film=item["film"],
        level=level,
        begin_s=item["start_s"],
        end_s=item["end_s"],
        pts=item["start_pts"],
        keyframe_ids=keyframe_ids,
    )
