"""Scenes given as frame ranges, as OVSD and BBC give them, and how they become labels of borders.

    film = open_ranges("bbb_ovsd.json")[0]      # 'ranges' of `open_films`
    film.seconds, film.starts                   # of its shots
    film.scene_seconds[1:]                      # its boundaries as they were given

Where a scene begins is snapped to the nearest beginning of a shot, the earlier of two that are as
near. Scenes that come to begin at one shot become one, and are counted. Only beginnings matter:
ranges may leave gaps (dissolves). The first scene's is a boundary too if shots lie before it.

Several annotators become one by a rule over when their scenes begin. Beginnings of all are put in
order; a group takes in those that are at most a tolerance after its first, until an annotator comes
for the second time; it counts as one beginning, at its median (the earlier of two), if enough
annotators have one in it:

    majority   more than half of them
    any        one
    all        all
    first      only the first annotator is read, there are no groups
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vujax.data.films import Shots, frames_to_seconds, select_films

RULES = ("majority", "any", "all", "first")
MAX_BYTES = 1 << 26  # of a list; a longer one is none


class Snapped(NamedTuple):
    """Labels of borders.

    Attributes:
      starts: bool `[n-1]`.
      merged: scenes that begin at a shot where another one begins already.
    """

    starts: np.ndarray
    merged: int


def snap_to_shots(scene_begins: np.ndarray, shot_begins: np.ndarray) -> Snapped:
    """Labels from when scenes begin.

    Args:
      scene_begins: `[scenes]`, seconds or frames.
      shot_begins: `[n]` in the same unit, in order, n at least 1.
    """
    scenes = np.asarray(scene_begins, np.float64)
    shots = np.asarray(shot_begins, np.float64)
    after = np.clip(np.searchsorted(shots, scenes), 1, len(shots) - 1) if len(shots) > 1 else 0
    before = np.maximum(after - 1, 0)
    nearest = np.where(scenes - shots[before] <= shots[after] - scenes, before, after)
    found = np.unique(nearest)
    starts = np.zeros(len(shots) - 1, bool)
    starts[found[found > 0] - 1] = True
    return Snapped(starts, len(scenes) - len(found))


def merge_annotators(annotators: Sequence[np.ndarray], rule: str, tolerance: float) -> np.ndarray:
    """When scenes begin by the word of several annotators, `[scenes]`, in order.

    Args:
      annotators: for each, when its scenes begin.
      rule: one of `RULES`, see above.
      tolerance: in the unit of the beginnings.

    Raises:
      ValueError: the rule is unknown, or there is no annotator.
    """
    if rule not in RULES:
        raise ValueError(f"the rule {rule!r} for annotators is unknown: use one of {RULES}")
    if not annotators:
        raise ValueError("there is no annotator: give at least one list of scenes")
    if rule == "first":
        return np.unique(annotators[0])
    needed = {"majority": len(annotators) // 2 + 1, "any": 1, "all": len(annotators)}[rule]
    pooled = sorted((float(t), who) for who, begins in enumerate(annotators) for t in begins)
    groups: list[list[tuple[float, int]]] = []
    for moment, who in pooled:
        near = groups and moment - groups[-1][0][0] <= tolerance
        if near and who not in {other for _, other in groups[-1]}:
            groups[-1].append((moment, who))
        else:
            groups.append([(moment, who)])
    kept = [group for group in groups if len(group) >= needed]
    return np.array([group[(len(group) - 1) // 2][0] for group in kept])


@dataclass(frozen=True, eq=False)
class RangesFilm(Shots):
    """A film of which only times and labels are known: its shots have no inputs.

    Attributes:
      merged: scenes that begin at a shot where another one begins already.
      scene_seconds: float64 `[scenes]`, when scenes begin, before they are snapped to shots.
    """

    merged: int = 0
    scene_seconds: np.ndarray = None

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}


def open_ranges(
    path: str,
    annotators: str = "majority",
    tolerance_s: float = 2.0,
    fps: float = 25.0,
    films: Sequence[str] | None = None,
) -> tuple[RangesFilm, ...]:
    """Films of lists of frame ranges, zero-based and inclusive.

    Args:
      path: either JSON files (one, or a folder of FILM.json), objects with `fps`, `shots` [[first,
        last], ...] and `scenes` alike, or an object of such lists by annotator; or a folder with
        shots/FILM.txt (a range a line) and scenes/ANNOTATOR/FILM.txt (a range a line, or the
        numbers of the shots with which scenes begin, from 0, separated by commas).
      annotators: the rule where there are several: majority, any, all or first.
      tolerance_s: of that rule.
      fps: frames per second where the files do not say.
      films: only these, in this order.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a list is damaged or has no shots, or one of `films` is not there.
    """
    lists = _json_lists(Path(path)) or _text_lists(Path(path), fps)
    if not lists:
        raise FileNotFoundError(f"{path} has no FILM.json and no shots/FILM.txt")
    names = select_films(list(lists), films, path)
    return tuple(_film(name, lists[name], annotators, tolerance_s) for name in names)


class _Lists(NamedTuple):
    """Of one film: shots int64 [n 2], and by annotator the frames where scenes begin."""

    fps: float
    shots: np.ndarray
    begins: dict[str, np.ndarray]


def _film(name: str, lists: _Lists, rule: str, tolerance_s: float) -> RangesFilm:
    begins = merge_annotators(list(lists.begins.values()), rule, tolerance_s * lists.fps)
    snapped = snap_to_shots(begins, lists.shots[:, 0])
    seconds = frames_to_seconds(lists.shots, lists.fps)
    return RangesFilm(name, seconds, lists.shots, lists.fps, *snapped, begins / lists.fps)


def read_scenes(path: Path) -> dict[str, np.ndarray]:
    """When scenes begin, in seconds, by annotator, of a JSON file; see `open_ranges`.

    Raises:
      FileNotFoundError, ValueError: it is not there, or damaged.
    """
    lists = _read_json(path)
    return {who: begins / lists.fps for who, begins in lists.begins.items()}


def _json_lists(path: Path) -> dict[str, _Lists]:
    files = [path] if path.is_file() else sorted(path.glob("*.json"))
    return {file.stem: _read_json(file) for file in files}


def _read_json(file: Path) -> _Lists:
    try:
        document = json.loads(_text(file))
        if not isinstance(document, dict):
            raise ValueError("it is not an object")
        fps = document.get("fps")
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps < 1e6:
            raise ValueError("its 'fps' is not a positive number")
        scenes = document.get("scenes")
        by = scenes if isinstance(scenes, Mapping) else {"": scenes}
        begins = {str(who): _ranges(found, "scenes")[:, 0] for who, found in by.items()}
        return _Lists(float(fps), _ranges(document.get("shots"), "shots"), begins)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not a list of scenes and shots: {error}") from None


def _text_lists(path: Path, fps: float) -> dict[str, _Lists]:
    result = {}
    for file in sorted(path.glob("shots/*.txt")):
        shots = _ranges(_numbers(file), f"{file}")
        answers = sorted(path.glob(f"scenes/*/{_literal(file.name)}"))
        begins = {answer.parent.name: _begins(answer, shots) for answer in answers}
        if not begins:
            raise FileNotFoundError(f"{path} has no scenes/ANNOTATOR/{file.name}")
        result[file.stem] = _Lists(fps, shots, begins)
    return result


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _begins(file: Path, shots: np.ndarray) -> np.ndarray:
    rows = _numbers(file)
    if rows and all(len(row) == 2 for row in rows) and "," not in _text(file):
        return _ranges(rows, f"{file}")[:, 0]
    numbers = np.array([number for row in rows for number in row], np.int64)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(shots):
        raise ValueError(f"{file} names shot {numbers.max()}: the film has {len(shots)}, from 0")
    return shots[numbers, 0]


def _numbers(file: Path) -> list[list[int]]:
    try:
        lines = [re.split(r"[\s,]+", line.strip(" \t,")) for line in _text(file).splitlines()]
        return [[int(word) for word in line] for line in lines if line != [""]]
    except ValueError:
        raise ValueError(f"{file} has values that are not integers") from None


def _ranges(rows: Any, what: str) -> np.ndarray:
    """int64 [n 2], in order of their first frame."""
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{what} is not a list of frame ranges, or an empty one")
    for row in rows:
        whole = isinstance(row, list) and len(row) == 2 and all(type(x) is int for x in row)
        if not whole or not 0 <= row[0] <= row[1] < 1 << 48:
            raise ValueError(f"{what} holds {str(row)[:60]}, which is not a range of frames")
    return np.array(sorted(rows), np.int64)


def _text(file: Path) -> str:
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    return file.read_bytes().decode("utf-8")
