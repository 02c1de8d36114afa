"""Resolution of labels to the keyframes, shots or scenes of a catalog.

A label is known for an item where a record labels the item or something that contains it; the
record of the smallest part wins. In a reviewed film everything else is negative; in other films it
is unknown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from vujax.annotate.tagging.labels import LabelRecord, TimeSpan
from vujax.catalog import Catalog, Id, embeddings, scenes
from vujax.catalog.items import check_level

ROUNDING_S = 1e-6  # of times in tables

SIZES = ("frame", "shot", "span", "scene", "film")
"""Targets of a record from small to large: the record of the smallest target wins."""


@dataclass(frozen=True)
class FilmItems:
    """The items of one film at one level, in order.

    Attributes:
      film: id of the film.
      level: 'frame', 'shot' or 'scene'.
      ids: ids of the items.
      seconds: start and end, float64 `[n 2]`; equal for a keyframe.
    """

    film: str
    level: str
    ids: tuple[str, ...]
    seconds: np.ndarray

    def inside(self, start: float, end: float) -> np.ndarray:
        """Return a mask of the items whose middle lies in start..end without its end, bool `[n]`.

        A keyframe at `start` is inside even if `end` equals `start`.
        """
        middle = self.seconds.mean(axis=1)
        after = middle >= start - ROUNDING_S
        return after & ((middle < end) | (np.abs(middle - start) <= ROUNDING_S))


@dataclass(frozen=True)
class ResolvedLabels:
    """Labels of the items of some films.

    Attributes:
      level: level of the items.
      tags: names of the labels, in order.
      films: items of each film with labels.
      truth: positive labels of each film, bool `[n t]`.
      known: known labels of each film, bool `[n t]`.
      notes: a note for each reason why records were left out.
    """

    level: str
    tags: tuple[str, ...]
    films: tuple[FilmItems, ...]
    truth: tuple[np.ndarray, ...]
    known: tuple[np.ndarray, ...]
    notes: tuple[str, ...]


def resolve_labels(
    catalog: Catalog,
    level: str,
    labels: Sequence[LabelRecord],
    reviewed: Sequence[str] | None = None,
) -> ResolvedLabels:
    """Resolve records to the items of a catalog.

    Args:
      catalog: catalog of the labeled films.
      level: level of the items to tag.
      labels: records, at least one.
      reviewed: ids of films whose unlabeled items are negative; None: all labeled films; empty: no
        films, so that only records with value 0 or -1 are negative.

    Raises:
      ValueError: two records contradict each other, a time is after the end of its film, a file
        name is ambiguous, the level is unknown, or no record labels any item.
      KeyError: a film or a part of one is not in the catalog; names the line.
      FileNotFoundError: a film lacks the required scenes.
    """
    names = FilmNames.from_catalog(catalog)
    tags = tuple(sorted({label.label for label in labels}))
    by_film: dict[str, list[LabelRecord]] = {}
    for label in labels:
        by_film.setdefault(names.find(label), []).append(label)
    reviewed = tuple(by_film) if reviewed is None else tuple(map(names.check_reviewed, reviewed))
    left_out: Counter[str] = Counter()
    films, tables = [], []
    for film in sorted({*by_film, *reviewed}):
        film_labels = by_film.get(film, [])
        if not has_items(catalog, level, film):
            left_out[f"its film has no {level}s with keyframes"] += len(film_labels)
            continue
        items = read_items(catalog, level, film)
        resolver = _FilmResolver(catalog, items, names.ends.get(film), left_out)
        tables.append(resolver.resolve(film_labels, tags, film in reviewed))
        films.append(items)
    if not any((truth | known).any() for truth, known in tables):
        why = "; ".join(_notes(left_out)) or "there are none"
        raise ValueError(f"no label of any {level} in {catalog.path}: {why}")
    truth, known = tuple(truth for truth, _ in tables), tuple(known for _, known in tables)
    return ResolvedLabels(level, tags, tuple(films), truth, known, tuple(_notes(left_out)))


def has_items(catalog: Catalog, level: str, film: str) -> bool:
    """Return whether a film can have embeddings: it has keyframes, and scenes for level 'scene'."""
    if not embeddings.has_keyframes(catalog.manifest(film)):
        return False
    return level != "scene" or scenes.scenes_path(catalog.path, film).exists()


def read_items(catalog: Catalog, level: str, film: str) -> FilmItems:
    """Read all items of a film, with or without embeddings.

    Raises:
      KeyError: the film is not in the catalog.
      FileNotFoundError: the film lacks the required scenes.
      ValueError: the level is unknown, or a part of the catalog is damaged.
    """
    check_level(level, embeddings.LEVELS)
    table = catalog.items(level, film)
    seconds = np.stack([table[name].to_numpy() for name in ("start_s", "end_s")], axis=1)
    return FilmItems(film, level, tuple(table["id"].to_pylist()), seconds)


def read_embeddings(
    catalog: Catalog, model: embeddings.EmbeddingModel, items: FilmItems
) -> tuple[np.ndarray, np.ndarray]:
    """Read the embeddings of the items of a film.

    Args:
      catalog: catalog with the embeddings.
      model: model of the embeddings.
      items: all items of the film.

    Returns:
      Indices of the items with an embedding, int64 `[k]`, and the embeddings, float32 `[k d]`.

    Raises:
      FileNotFoundError, ValueError: the embeddings are missing, or do not match the items.
    """
    table = catalog.embeddings(items.level, model.folder, items.film)
    indices = {key: index for index, key in enumerate(items.ids)}
    ids = table["id"].to_pylist()
    if unknown := next((key for key in ids if key not in indices), None):
        raise ValueError(
            f"{catalog.path} has an embedding of {unknown}, which is not a {items.level} of its "
            f"film; run `vujax embed` with {model.name} again"
        )
    return np.array([indices[key] for key in ids], np.int64), embeddings.to_matrix(table)


def find_contained_items(catalog: Catalog, items: FilmItems, container: Id) -> np.ndarray:
    """Return a mask of the items that equal or lie in a film, scene, shot or keyframe, bool `[n]`.

    A container finer than the items contains none.

    Raises:
      FileNotFoundError, ValueError: the container is a scene, and the film has no scenes.
    """
    if container == Id(items.film):
        return np.ones(len(items.ids), bool)
    if container.scene is not None and items.level != "scene":
        first, last = _read_scene_shots(catalog, container)
        shots = [Id.parse(key).shot for key in items.ids]
        return np.array([first <= shot <= last for shot in shots], bool)
    head = str(container)
    return np.array([key == head or key.startswith(f"{head}/") for key in items.ids], bool)


def list_ids(catalog: Catalog, level: str, film: str) -> Sequence[str]:
    """Return the ids of all items of a film at a level.

    Raises:
      FileNotFoundError: the film lacks the required scenes.
    """
    return catalog.items(level, film)["id"].to_pylist()


@dataclass(frozen=True)
class FilmNames:
    """Names of the films of a catalog.

    Attributes:
      root: path of the catalog, for messages.
      films: ids by id, path and file name.
      ends: end of each film in seconds, where it is known.
    """

    root: Any
    films: Mapping[str, set[str]]
    ends: Mapping[str, float]

    @classmethod
    def from_catalog(cls, catalog: Catalog) -> "FilmNames":
        """Read the names of the films of a catalog."""
        table = catalog.films()
        films: dict[str, set[str]] = {}
        ids, paths, ends = (table[name].to_pylist() for name in ("film", "path", "end_s"))
        for film, path in zip(ids, paths, strict=True):
            for name in {film, path, PurePosixPath(path).name}:
                films.setdefault(name, set()).add(film)
        known = {film: end for film, end in zip(ids, ends, strict=True) if end is not None}
        return cls(catalog.path, films, known)

    def find(self, label: LabelRecord) -> str:
        """Return the film of a record.

        Raises:
          KeyError: there is no such film.
          ValueError: there are several films with the name.
        """
        name = label.target.film if isinstance(label.target, Id) else label.target.video
        films = sorted(self.films.get(name, ()))
        if not films or (isinstance(label.target, Id) and name not in films):
            raise KeyError(f"{label.where}: {self.root} has no film {name}")
        if len(films) > 1:
            raise ValueError(
                f"{label.where}: {name} is the name of several films, such as {films[0]} and "
                f"{films[1]}; give the id, or the full path in the catalog"
            )
        return films[0]

    def check_reviewed(self, film: str) -> str:
        """Return the id of a reviewed film.

        Raises:
          KeyError: it is not in the catalog.
        """
        if film not in self.films.get(film, ()):
            raise KeyError(f"{self.root} has no film {film}, which is listed as reviewed")
        return film


class _FilmResolver:
    """Resolves the labels of one film."""

    def __init__(
        self, catalog: Catalog, items: FilmItems, end_s: float | None, left_out: Counter[str]
    ) -> None:
        self._catalog, self._items, self._end_s = catalog, items, end_s
        self._left_out = left_out
        self._ids: dict[str, set[str]] = {items.level: set(items.ids)}

    def resolve(
        self, labels: Sequence[LabelRecord], tags: Sequence[str], is_reviewed: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return positive and known labels, bool `[n t]` each, and count records left out."""
        shape = len(self._items.ids), len(tags)
        truth, known = np.zeros(shape, bool), np.full(shape, is_reviewed)
        record = np.full(shape, -1, np.int64)  # index of the winning record, and its size
        size = np.full(shape, len(SIZES), np.int64)
        columns = {tag: column for column, tag in enumerate(tags)}
        for index, label in enumerate(labels):
            rank, tag = SIZES.index(_size(label)), columns[label.label]
            rows = np.flatnonzero(self._find_rows(label))
            conflict = rows[(size[rows, tag] == rank) & (truth[rows, tag] != label.is_positive)]
            if len(conflict):
                other = labels[record[conflict[0], tag]]
                raise ValueError(
                    f"{label.where}: {label.label!r} is {_sign(label.is_positive)} for "
                    f"{self._items.ids[conflict[0]]}, but {_sign(other.is_positive)} in "
                    f"{other.where}"
                )
            rows = rows[size[rows, tag] > rank]
            truth[rows, tag], known[rows, tag] = label.is_positive, True
            record[rows, tag], size[rows, tag] = index, rank
        return truth, known

    def _find_rows(self, label: LabelRecord) -> np.ndarray:
        level, target = self._items.level, label.target
        if isinstance(target, TimeSpan):
            rows = self._find_rows_in_span(target, label.where)
            self._left_out[f"it contains the middle of no {level}"] += not rows.any()
            return rows
        self._check_target(target, label.where)
        rows = find_contained_items(self._catalog, self._items, target)
        if SIZES.index(target.level) < SIZES.index(level):
            why = f"it labels a {target.level}, which is smaller than the {level}s to tag"
        else:
            why = f"it contains no {level}"
        self._left_out[why] += not rows.any()
        return rows

    def _find_rows_in_span(self, span: TimeSpan, where: str) -> np.ndarray:
        if self._end_s is not None and span.start > self._end_s:
            raise ValueError(
                f"{where}: the start {span.start:g} s is after the end of {self._items.film} at "
                f"{self._end_s:g} s; times are in seconds since the start of the film"
            )
        return self._items.inside(span.start, span.end)

    def _check_target(self, target: Id, where: str) -> None:
        level = target.level
        if level not in self._ids:
            self._ids[level] = set(list_ids(self._catalog, level, target.film))
        if str(target) not in self._ids[level]:
            raise KeyError(f"{where}: {self._catalog.path} has no {level} {target}")


def _size(label: LabelRecord) -> str:
    return "span" if isinstance(label.target, TimeSpan) else label.target.level


def _sign(is_positive: bool) -> str:
    return "positive" if is_positive else "negative"


def _notes(left_out: Mapping[str, int]) -> list[str]:
    return [f"left out {n} row{'s' * (n != 1)}: {why}" for why, n in left_out.items() if n]


def _read_scene_shots(catalog: Catalog, scene: Id) -> tuple[int, int]:
    table = catalog.items("scene", scene.film)
    row = table["id"].to_pylist().index(str(scene))
    return table["first_shot"][row].as_py(), table["last_shot"][row].as_py()
