"""Scenes as frame ranges, the layout of OVSD and BBC, and their conversion to labels of shots.

    film = open_ranges("bbb_ovsd.json")[0]      # 'ranges' of `open_films`
    film.seconds, film.starts                   # of its shots
    film.scene_seconds[1:]                      # its boundaries as annotated

The start of a scene is snapped to the nearest start of a shot, the earlier of two equally near
ones. Scenes that then start at the same shot become one, and are counted. Only starts matter:
ranges may leave gaps (dissolves). The start of the first scene is a boundary too if shots precede
it.

Several annotators are merged by a rule over the starts of their scenes. All starts are sorted; a
group has those within a tolerance after its first one, until an annotator occurs twice. A group is
one start, at its median (the earlier of two), if enough annotators are in it:

    majority   more than half of them
    any        one
    all        all
    first      only the first annotator counts, without groups
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
MAX_BYTES = 1 << 26  # longer files are not lists


class Snapped(NamedTuple):
    """Labels of the shot boundaries of a film.

    Attributes:
      starts: bool `[n-1]`, True if a scene starts with shot i+1.
      merged: number of scenes that start at the same shot as another one.
    """

    starts: np.ndarray
    merged: int


def snap_to_shots(scene_starts: np.ndarray, shot_starts: np.ndarray) -> Snapped:
    """Label shot boundaries from the starts of scenes.

    Args:
      scene_starts: `[scenes]`, seconds or frames.
      shot_starts: `[n]` in the same unit, in order, n at least 1.
    """
    scenes = np.asarray(scene_starts, np.float64)
    shots = np.asarray(shot_starts, np.float64)
    after = np.clip(np.searchsorted(shots, scenes), 1, len(shots) - 1) if len(shots) > 1 else 0
    before = np.maximum(after - 1, 0)
    nearest = np.where(scenes - shots[before] <= shots[after] - scenes, before, after)
    unique = np.unique(nearest)
    starts = np.zeros(len(shots) - 1, bool)
    starts[unique[unique > 0] - 1] = True
    return Snapped(starts, len(scenes) - len(unique))


def merge_annotators(annotators: Sequence[np.ndarray], rule: str, tolerance: float) -> np.ndarray:
    """Merge the starts of scenes of several annotators, `[scenes]`, in order.

    Args:
      annotators: starts of scenes of each annotator.
      rule: one of `RULES`, see the module.
      tolerance: tolerance in the unit of the starts.

    Raises:
      ValueError: the rule is unknown, or there is no annotator.
    """
    if rule not in RULES:
        raise ValueError(
            f"unknown rule {rule!r} for annotators; expected one of: {', '.join(RULES)}"
        )
    if not annotators:
        raise ValueError("there is no annotator: give at least one list of scenes")
    if rule == "first":
        return np.unique(annotators[0])
    needed = {"majority": len(annotators) // 2 + 1, "any": 1, "all": len(annotators)}[rule]
    pooled = sorted((float(t), who) for who, starts in enumerate(annotators) for t in starts)
    groups: list[list[tuple[float, int]]] = []
    for start, annotator in pooled:
        is_near = groups and start - groups[-1][0][0] <= tolerance
        if is_near and annotator not in {other for _, other in groups[-1]}:
            groups[-1].append((start, annotator))
        else:
            groups.append([(start, annotator)])
    agreed = [group for group in groups if len(group) >= needed]
    return np.array([group[(len(group) - 1) // 2][0] for group in agreed])


@dataclass(frozen=True, eq=False)
class RangesFilm(Shots):
    """A film with times and labels only: its shots have no inputs.

    Attributes:
      merged: number of scenes that start at the same shot as another one.
      scene_seconds: float64 `[scenes]`, starts of the scenes before they are snapped to shots.
    """

    merged: int = 0
    scene_seconds: np.ndarray = None

    def inputs(self, shots: np.ndarray) -> dict[str, np.ndarray]:
        """Return no inputs."""
        return {}


def open_ranges(
    path: str,
    annotators: str = "majority",
    tolerance_s: float = 2.0,
    fps: float = 25.0,
    films: Sequence[str] | None = None,
) -> tuple[RangesFilm, ...]:
    """Open films from lists of frame ranges, zero-based and inclusive.

    Args:
      path: either JSON files (one, or a folder of FILM.json), objects with `fps`, `shots` [[first,
        last], ...] and `scenes` alike, or an object of such lists by annotator; or a folder with
        shots/FILM.txt (a range a line) and scenes/ANNOTATOR/FILM.txt (a
        range a line, or the numbers of the first shots of scenes, from 0, separated by commas).
      annotators: rule that merges several annotators: majority, any, all or first.
      tolerance_s: tolerance of that rule.
      fps: frames per second of text files, which lack it.
      films: only these, in this order.

    Raises:
      FileNotFoundError: there is no file.
      ValueError: a list is damaged or has no shots, or one of `films` is missing.
    """
    lists = _json_lists(Path(path)) or _text_lists(Path(path), fps)
    if not lists:
        raise FileNotFoundError(f"{path} has no FILM.json and no shots/FILM.txt")
    names = select_films(list(lists), films, path)
    return tuple(_film(name, lists[name], annotators, tolerance_s) for name in names)


class _Lists(NamedTuple):
    """Shots of one film, int64 [n 2], and first frames of the scenes by annotator."""

    fps: float
    shots: np.ndarray
    starts: dict[str, np.ndarray]


def _film(name: str, lists: _Lists, rule: str, tolerance_s: float) -> RangesFilm:
    frames = merge_annotators(list(lists.starts.values()), rule, tolerance_s * lists.fps)
    snapped = snap_to_shots(frames, lists.shots[:, 0])
    seconds = frames_to_seconds(lists.shots, lists.fps)
    return RangesFilm(
        name,
        seconds,
        lists.shots,
        lists.fps,
        snapped.starts,
        merged=snapped.merged,
        scene_seconds=frames / lists.fps,
    )


def read_scenes(path: Path) -> dict[str, np.ndarray]:
    """Read the starts of scenes in seconds, by annotator, of a JSON file; see `open_ranges`.

    Raises:
      FileNotFoundError, ValueError: the file does not exist, or is damaged.
    """
    lists = _read_json(path)
    return {annotator: frames / lists.fps for annotator, frames in lists.starts.items()}


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
        by_annotator = scenes if isinstance(scenes, Mapping) else {"": scenes}
        starts = {str(k): _ranges(ranges, "scenes")[:, 0] for k, ranges in by_annotator.items()}
        return _Lists(float(fps), _ranges(document.get("shots"), "shots"), starts)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not a list of scenes and shots: {error}") from None


def _text_lists(path: Path, fps: float) -> dict[str, _Lists]:
    result = {}
    for file in sorted(path.glob("shots/*.txt")):
        shots = _ranges(_numbers(file), f"{file}")
        answers = sorted(path.glob(f"scenes/*/{_literal(file.name)}"))
        starts = {answer.parent.name: _starts(answer, shots) for answer in answers}
        if not starts:
            raise FileNotFoundError(f"{path} has no scenes/ANNOTATOR/{file.name}")
        result[file.stem] = _Lists(fps, shots, starts)
    return result


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _starts(file: Path, shots: np.ndarray) -> np.ndarray:
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
    """Return frame ranges, int64 [n 2], in order of their first frame."""
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{what} is not a list of frame ranges, or an empty one")
    for row in rows:
        is_range = isinstance(row, list) and len(row) == 2 and all(type(x) is int for x in row)
        if not is_range or not 0 <= row[0] <= row[1] < 1 << 48:
            raise ValueError(f"{what} holds {str(row)[:60]}, which is not a range of frames")
    return np.array(sorted(rows), np.int64)


def _text(file: Path) -> str:
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    return file.read_bytes().decode("utf-8")
