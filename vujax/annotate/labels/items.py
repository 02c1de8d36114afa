"""Where in its film an id is: times, pictures, and what the film was made from."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vujax.catalog import Catalog, Id, embeddings

LEVELS = ("frame", "shot", "scene", "film")


@dataclass(frozen=True)
class Place:
    """An item of a catalogue.

    Attributes:
      id: of it.
      film: id of its film.
      level: one of LEVELS.
      begin_s: seconds since the film's start; of a frame, its time.
      end_s: where the next one begins; of a frame, its time.
      pts: of its first frame, in the film's ticks; null of a whole film.
      pictures: ids of its keyframes, in order.
    """

    id: str
    film: str
    level: str
    begin_s: float
    end_s: float
    pts: int | None
    pictures: tuple[str, ...]

    @property
    def picture(self) -> str | None:
        """The keyframe that stands for it: the one in the middle."""
        return self.pictures[len(self.pictures) // 2] if self.pictures else None


@dataclass(frozen=True)
class Film:
    """What is known of a film and all that is in it.

    Attributes:
      row: of the film in the catalogue.
      source: `vectors.source` of its manifest.
      places: its items, by their ids; the film itself, frames, shots and scenes, in order.
      keyframes: rows of its keyframes, by their ids.
    """

    row: Mapping[str, Any]
    source: str
    places: Mapping[str, Place]
    keyframes: Mapping[str, Mapping[str, Any]]

    @property
    def title(self) -> str:
        """Its title, or its path."""
        return str(self.row.get("title") or self.row["path"])

    @property
    def time_base(self) -> Fraction | None:
        """Seconds of a tick; None when no frame of it could be read."""
        ticks = self.row["time_base_den"]
        return Fraction(self.row["time_base_num"], ticks) if ticks else None

    def made_from(self, place: Place) -> str:
        """Hash of what an item is; another one after its shots, or its scene, were made anew."""
        if place.level != "scene":
            return self.source
        facts = f"{self.source} {place.pts} {place.end_s}"  # `vujax scenes` may draw it anew
        return hashlib.sha256(facts.encode()).hexdigest()


class Places:
    """The items of a catalogue, read film by film when they are asked for."""

    def __init__(self, catalog: Catalog, cached: int = 256) -> None:
        """Reads nothing yet.

        Args:
          catalog: that they are in.
          cached: films that are kept in memory.
        """
        self.catalog = catalog
        self.film = functools.lru_cache(cached)(self._film)

    def find(self, item: str) -> Place:
        """The place of an id.

        Raises:
          KeyError: there is no such item.
          ValueError: it is no id, or a file is damaged.
        """
        film = Id.parse(item).film
        place = self.film(film).places.get(item)
        if place is None:
            raise KeyError(f"{self.catalog.path} has no {item}")
        return place

    def _film(self, film: str) -> Film:
        catalog = self.catalog
        (row,) = catalog.films(film).to_pylist()
        source = embeddings.hash_source(catalog.manifest(film))
        keyframes = {k["id"]: k for k in catalog.keyframes(film).to_pylist()}
        by_shot: dict[int, list[str]] = {}
        for key, keyframe in keyframes.items():
            by_shot.setdefault(keyframe["shot"], []).append(key)
        places = [
            _build_place(level, item, by_shot)
            for level in ("film", "frame", "shot", "scene")
            for item in _read_items(catalog, level, film)
        ]
        return Film(row, source, {place.id: place for place in places}, keyframes)


def _read_items(catalog: Catalog, level: str, film: str) -> list[dict[str, Any]]:
    try:
        return catalog.items(level, film).to_pylist()
    except (FileNotFoundError, ValueError):
        if level != "scene":
            raise
        return []  # scenes are optional, and those of a former version of the film do not count


def _build_place(
    level: str, item: Mapping[str, Any], keyframes: Mapping[int, Sequence[str]]
) -> Place:
    """Build an item; `keyframes` holds the ids of each shot's keyframes, by shot."""
    if level == "frame":
        pictures = (item["id"],)
    elif item["first_shot"] is None:
        pictures = ()
    else:
        shots = range(item["first_shot"], item["last_shot"] + 1)
        pictures = tuple(key for shot in shots for key in keyframes.get(shot, ()))
    return Place(
        id=item["id"],
        film=item["film"],
        level=level,
        begin_s=item["start_s"],
        end_s=item["end_s"],
        pts=item["start_pts"],
        pictures=pictures,
    )
