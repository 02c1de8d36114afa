"""From people's labels to what is known of each item of a catalogue.

Of an item and a label it is known that it holds, or that it does not, when a row says so of the
item or of something that the item lies in: the row about the smaller part counts. Everything else
in a reviewed film does not hold; in other films it is not known.

What a catalogue's labels and tags are of: the keyframes, shots or scenes of a film.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from vujax.annotate.tagging.labels import Label, Span
from vujax.catalog import Catalog, Id, embeddings, scenes
from vujax.catalog.items import check_level

ROUNDING_S = 1e-6  # of the seconds in tables


@dataclass(frozen=True)
class Items:
    """The items of one film at one level, in order.

    Attributes:
      film: its id.
      level: 'frame', 'shot' or 'scene'.
      ids: of the items.
      seconds: float64 `[n 2]`, begin and end; of a keyframe both are its moment.
    """

    film: str
    level: str
    ids: tuple[str, ...]
    seconds: np.ndarray

    def inside(self, start: float, end: float) -> np.ndarray:
        """Which of them have their middle from `start` on and before `end`, bool `[n]`.

        A keyframe at `start` is inside even if `end` is the same.
        """
        middle = self.seconds.mean(axis=1)
        after = middle >= start - ROUNDING_S
        return after & ((middle < end) | (np.abs(middle - start) <= ROUNDING_S))


def items_of(catalog: Catalog, level: str, film: str) -> Items:
    """All items of a film, whether they have vectors or not.

    Raises:
      KeyError: the film is not in the catalogue.
      FileNotFoundError: scenes are wanted, and it has none.
      ValueError: the level is unknown, or a part of the catalogue is damaged.
    """
    check_level(level, embeddings.LEVELS)
    table = catalog.items(level, film)
    seconds = np.stack([table[name].to_numpy() for name in ("start_s", "end_s")], axis=1)
    return Items(film, level, tuple(table["id"].to_pylist()), seconds)


def has_items(catalog: Catalog, level: str, film: str) -> bool:
    """Whether a film can have vectors of the level: keyframes, and for scenes also scenes."""
    if not embeddings.has_keyframes(catalog.manifest(film)):
        return False
    return level != "scene" or scenes.scenes_path(catalog.path, film).exists()


def vectors_of(
    catalog: Catalog, model: embeddings.EmbeddingModel, items: Items
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of a film's items.

    Args:
      catalog: that has them.
      model: that made them.
      items: all of the film.

    Returns:
      Places int64 `[k]` of the items that have one, and float32 `[k d]`.

    Raises:
      FileNotFoundError, ValueError: there are none, or they are of something else.
    """
    table = catalog.embeddings(items.level, model.folder, items.film)
    places = {key: place for place, key in enumerate(items.ids)}
    found = table["id"].to_pylist()
    if strange := next((key for key in found if key not in places), None):
        raise ValueError(
            f"{catalog.path} has a vector of {strange}, which is no {items.level} of its film: run "
            f"`vujax embed` with {model.name} again"
        )
    return np.array([places[key] for key in found], np.int64), embeddings.to_matrix(table)


def lies_in(catalog: Catalog, items: Items, whole: Id) -> np.ndarray:
    """Which of the items are, or lie in, a film, scene, shot or keyframe, bool `[n]`.

    Nothing lies in what is finer than the items.

    Raises:
      FileNotFoundError, ValueError: it is a scene, and the film has none.
    """
    if whole == Id(items.film):
        return np.ones(len(items.ids), bool)
    if whole.scene is not None and items.level != "scene":
        first, last = _shots_of(catalog, whole)
        parsed = [Id.parse(key).shot for key in items.ids]
        return np.array([first <= shot <= last for shot in parsed], bool)
    head = str(whole)
    return np.array([key == head or key.startswith(f"{head}/") for key in items.ids], bool)


def known_ids(catalog: Catalog, level: str, film: str) -> Sequence[str]:
    """The ids of all that a film has of a level.

    Raises:
      FileNotFoundError: scenes are wanted, and it has none.
    """
    return catalog.items(level, film)["id"].to_pylist()


def _shots_of(catalog: Catalog, scene: Id) -> tuple[int, int]:
    table = catalog.items("scene", scene.film)
    row = table["id"].to_pylist().index(str(scene))
    return table["first_shot"][row].as_py(), table["last_shot"][row].as_py()


SIZES = ("frame", "shot", "span", "scene", "film")

"""What a row can be about, the smallest first: it counts before the others."""


@dataclass(frozen=True)
class Said:
    """What is known of the items of some films.

    Attributes:
      level: of the items.
      tags: names of the labels, in order.
      films: the items of each film that has any label.
      truth: bool `[n t]` of each, whether it holds.
      known: bool `[n t]` of each, whether that is known.
      notes: what was left out, a sentence each.
    """

    level: str
    tags: tuple[str, ...]
    films: tuple[Items, ...]
    truth: tuple[np.ndarray, ...]
    known: tuple[np.ndarray, ...]
    notes: tuple[str, ...]


def resolve(
    catalog: Catalog, level: str, labels: Sequence[Label], reviewed: Sequence[str] | None = None
) -> Said:
    """Finds what each label is of.

    Args:
      catalog: that the labels are of.
      level: of the items that get tags.
      labels: at least one.
      reviewed: ids of the films of which everything that holds has a row; None: all that the labels
        name; empty: none, so that only rows with value 0 or -1 say what does not hold.

    Raises:
      ValueError: two rows contradict each other, a time is after the film's end, a file's name is
        that of several films, the level is unknown, or no label is of any item.
      KeyError: a film or a part of one is not in the catalogue; names the line.
      FileNotFoundError: a film has no scenes, where they are needed.
    """
    names = Names.of(catalog)
    tags = tuple(sorted({label.label for label in labels}))
    of_film: dict[str, list[Label]] = {}
    for label in labels:
        of_film.setdefault(names.film(label), []).append(label)
    done = tuple(of_film) if reviewed is None else tuple(map(names.reviewed, reviewed))
    lost: Counter[str] = Counter()
    films, tables = [], []
    for film in sorted({*of_film, *done}):
        if not has_items(catalog, level, film):
            lost[f"its film has no {level}s with keyframes"] += len(of_film.get(film, ()))
            continue
        items = items_of(catalog, level, film)
        place = _Film(catalog, items, names.ends.get(film))
        tables.append(place.table(of_film.get(film, ()), tags, film in done, lost))
        films.append(items)
    if not any((truth | known).any() for truth, known in tables):
        why = "; ".join(_notes(lost)) or "none is said of one"
        raise ValueError(f"no label says anything of a {level} of {catalog.path}: {why}")
    truth, known = zip(*tables, strict=True)
    return Said(level, tags, tuple(films), truth, known, tuple(_notes(lost)))


def _notes(lost: Mapping[str, int]) -> list[str]:
    return [f"left out {n} row{'s' * (n != 1)}: {why}" for why, n in lost.items() if n]


@dataclass(frozen=True)
class Names:
    """How the films of a catalogue can be named.

    Attributes:
      root: of the catalogue, for messages.
      films: ids by id, path and file name.
      ends: seconds at which each ends, where it is known.
    """

    root: Any
    films: Mapping[str, set[str]]
    ends: Mapping[str, float]

    @classmethod
    def of(cls, catalog: Catalog) -> "Names":
        """Those of a catalogue."""
        table = catalog.films()
        found: dict[str, set[str]] = {}
        ids, paths, ends = (table[name].to_pylist() for name in ("film", "path", "end_s"))
        for film, path in zip(ids, paths, strict=True):
            for name in {film, path, PurePosixPath(path).name}:
                found.setdefault(name, set()).add(film)
        known = {film: end for film, end in zip(ids, ends, strict=True) if end is not None}
        return cls(catalog.path, found, known)

    def film(self, label: Label) -> str:
        """The film that a label is of.

        Raises:
          KeyError: there is none.
          ValueError: there are several.
        """
        name = label.of.film if isinstance(label.of, Id) else label.of.video
        found = sorted(self.films.get(name, ()))
        if not found or (isinstance(label.of, Id) and name not in found):
            raise KeyError(f"{label.where}: {self.root} has no film {name}")
        if len(found) > 1:
            raise ValueError(
                f"{label.where}: {name} is the name of several films, such as {found[0]} and "
                f"{found[1]}: give the id, or the whole path in the catalogue"
            )
        return found[0]

    def reviewed(self, film: str) -> str:
        """A film that is named as reviewed.

        Raises:
          KeyError: it is not in the catalogue.
        """
        if film not in self.films.get(film, ()):
            raise KeyError(f"{self.root} has no film {film}, which is named as reviewed")
        return film


class _Film:
    """Resolves the labels of one film."""

    def __init__(self, catalog: Catalog, items: Items, end_s: float | None) -> None:
        self._catalog, self._items, self._end_s = catalog, items, end_s
        self._ids: dict[str, set[str]] = {items.level: set(items.ids)}

    def table(
        self, labels: Sequence[Label], tags: Sequence[str], reviewed: bool, lost: Counter[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Truth and what is known, bool `[n t]` each; counts what was left out into `lost`."""
        shape = len(self._items.ids), len(tags)
        truth, known = np.zeros(shape, bool), np.full(shape, reviewed)
        said = np.full(shape, -1, np.int64)  # which of the labels, and then of which size
        size = np.full(shape, len(SIZES), np.int64)
        column = {tag: number for number, tag in enumerate(tags)}
        for number, label in enumerate(labels):
            rank, tag = SIZES.index(_size(label)), column[label.label]
            rows = np.flatnonzero(self._rows(label, lost))
            same = rows[(size[rows, tag] == rank) & (truth[rows, tag] != label.holds)]
            if len(same):
                other = labels[said[same[0], tag]]
                raise ValueError(
                    f"{label.where}: {label.label!r} {_verb(label.holds)} of "
                    f"{self._items.ids[same[0]]}, and {_verb(other.holds)} by {other.where}"
                )
            rows = rows[size[rows, tag] > rank]
            truth[rows, tag], known[rows, tag] = label.holds, True
            said[rows, tag], size[rows, tag] = number, rank
        return truth, known

    def _rows(self, label: Label, lost: Counter[str]) -> np.ndarray:
        level = self._items.level
        if isinstance(label.of, Span):
            rows = self._inside(label.of, label.where)
            lost[f"the middle of no {level} lies in it"] += not rows.any()
            return rows
        self._check(label.of, label.where)
        rows, own = lies_in(self._catalog, self._items, label.of), label.of.level
        finer = SIZES.index(own) < SIZES.index(level)
        larger = f"it is of a {own}, and tags are of {level}s, which are larger"
        lost[larger if finer else f"no {level} lies in it"] += not rows.any()
        return rows

    def _inside(self, span: Span, where: str) -> np.ndarray:
        if self._end_s is not None and span.start > self._end_s:
            raise ValueError(
                f"{where}: it starts at {span.start:g} s, and {self._items.film} ends at "
                f"{self._end_s:g} s: times are in seconds since the film's start"
            )
        return self._items.inside(span.start, span.end)

    def _check(self, of: Id, where: str) -> None:
        level = of.level
        if level not in self._ids:
            self._ids[level] = set(known_ids(self._catalog, level, of.film))
        if str(of) not in self._ids[level]:
            raise KeyError(f"{where}: {self._catalog.path} has no {level} {of}")


def _size(label: Label) -> str:
    return "span" if isinstance(label.of, Span) else label.of.level


def _verb(holds: bool) -> str:
    return "holds" if holds else "does not hold"
