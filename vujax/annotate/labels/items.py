"""Where in its film an id is: times, pictures, and what the film was made from."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyarrow as pa

from vujax.catalog import Catalog, Id, embeddings, scenes

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
        names = ["shot", "id", "begin_s", "end_s", "begin_pts"]
        shots = catalog.shots(film).select(names).to_pylist()
        there = scenes.scenes_path(catalog.path, film).exists()
        return Film(
            row,
            source,
            _places(row, shots, keyframes, _scenes(catalog, film) if there else []),
            keyframes,
        )


def _scenes(catalog: Catalog, film: str) -> list[dict[str, Any]]:
    try:
        table: pa.Table = catalog.scenes(film)
    except ValueError:  # of what the film was before: as if there were none
        return []
    names = ["id", "first_shot", "last_shot", "begin_s", "end_s", "begin_pts"]
    return table.select(names).to_pylist()


def _places(
    row: Mapping[str, Any],
    shots: list[dict[str, Any]],
    keyframes: Mapping[str, Mapping[str, Any]],
    parts: list[dict[str, Any]],
) -> dict[str, Place]:
    film = row["film"]
    of: dict[int, list[str]] = {}
    for key, frame in keyframes.items():
        of.setdefault(frame["shot"], []).append(key)

    def seen(first: int, last: int) -> tuple[str, ...]:
        return tuple(key for shot in range(first, last + 1) for key in of.get(shot, ()))

    everything = seen(0, shots[-1]["shot"] if shots else -1)
    whole = (row["begin_s"] or 0.0, row["end_s"] or 0.0, None)
    found = [Place(film, film, "film", *whole, everything)]
    found += [
        Place(key, film, "frame", k["seconds"], k["seconds"], k["pts"], (key,))
        for key, k in keyframes.items()
    ]
    for shot in shots:
        span = (shot["begin_s"], shot["end_s"], shot["begin_pts"])
        found.append(Place(shot["id"], film, "shot", *span, seen(shot["shot"], shot["shot"])))
    for part in parts:
        span = (part["begin_s"], part["end_s"], part["begin_pts"])
        pictures = seen(part["first_shot"], part["last_shot"])
        found.append(Place(part["id"], film, "scene", *span, pictures))
    return {place.id: place for place in found}
