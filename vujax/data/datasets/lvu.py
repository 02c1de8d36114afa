"""LVU (Wu and Krähenbühl, "Towards Long-Form Video Understanding", CVPR 2021): labels of clips.

    lvu = LVU.open("lvu_1.0")
    task = lvu["director"]
    task.lists["train"][0]          # Listed(clip='-wX6_qCCnPc', movie='tt0102057', target=0, ...)
    task.classes                    # {0: 'nm0000229', 1: 'nm0000217', 4: ...}, those that occur

A folder has either the public files, separated by SPACES in spite of their name, with a header:

    ROOT/<task>/{train,val,test}.csv    class_id class_name youtube_id imdb_id
    ROOT/like_ratio/...                 like_count dislike_count youtube_id imdb_id
    ROOT/view_count/...                 view_count youtube_id imdb_id

or the tables of tools/prepare_lvu.py, ROOT/<task>.parquet, with a column split. Test lists may be
missing. The class of an unknown writer is named `\\N`. The targets of two tasks are numbers:

    like_ratio      10 like / (like + dislike) - 9.138220535629456
    view_count      ln(views) - 11.76425435683139

Labels of relationship, way_speaking and scene were mined from the descriptions of the clips: see
`vujax.data.datasets.condensed_movies` and `vujax.data.movies.holdout` for what must not be an
input.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vujax.data.datasets.movielens import imdb_id
from vujax.data.movies.holdout import TASKS
from vujax.data.tables import Row, read_rows

SPLITS = ("train", "val", "test")
NO_NAME = r"\N"
MEAN_LIKES = 9.138220535629456
MEAN_LOG_VIEWS = 11.76425435683139
MAX_COUNT = 1e12  # views or likes of a clip
COUNT_COLUMNS = {"like_ratio": ("like_count", "dislike_count"), "view_count": ("view_count",)}
"""Columns of the regression tasks; the others are classifications."""
CLASS_COLUMNS = ("class_id", "class_name")
ID_COLUMNS = ("youtube_id", "imdb_id")


@dataclass(frozen=True)
class LabeledClip:
    """A clip of a list, with its label.

    Attributes:
      clip: YouTube id.
      movie: IMDb id of the movie.
      target: number of the class, or value of the regression target.
      name: name of the class; '' for regression.
      counts: published counts behind a regression target: likes and dislikes, or views.
    """

    clip: str
    movie: str
    target: float
    name: str = ""
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class LvuTask:
    """The lists of one task.

    Attributes:
      name: one of `vujax.data.movies.holdout.TASKS`.
      lists: clips by split, in the order of the file, each once.
      repeated: number of left-out lines by split, which repeat an earlier one.
    """

    name: str
    lists: Mapping[str, tuple[LabeledClip, ...]]
    repeated: Mapping[str, int]

    @property
    def is_number(self) -> bool:
        """True for a regression task."""
        return self.name in COUNT_COLUMNS

    @property
    def classes(self) -> dict[int, str]:
        """Names by number of the classes that occur in any list; none for regression.

        Raises:
          ValueError: a number has two names.
        """
        names: dict[int, str] = {}
        for clip in () if self.is_number else self.all():
            if names.setdefault(int(clip.target), clip.name) != clip.name:
                raise ValueError(
                    f"class {clip.target:g} of {self.name} is named {names[int(clip.target)]!r}, "
                    f"and {clip.name!r} for the clip {clip.clip}: take lists of one edition"
                )
        return dict(sorted(names.items()))

    def all(self) -> list[LabeledClip]:
        """Return the clips of all lists."""
        return [clip for clips in self.lists.values() for clip in clips]

    def movies(self, split: str) -> frozenset[str]:
        """Return the IMDb ids of the movies of a list."""
        return frozenset(clip.movie for clip in self.lists[split])


@dataclass(frozen=True)
class LVU:
    """The nine tasks; see the module.

    Attributes:
      tasks: tasks by name, in the usual order.
    """

    tasks: Mapping[str, LvuTask]

    @classmethod
    def open(cls, root: str | Path) -> "LVU":
        """Read all lists.

        Raises:
          FileNotFoundError: a train or validation list of a task does not exist.
          ValueError: a list cannot be read, a label is invalid, a clip is listed twice with
            different labels or movies, or a class has two names; names the file and line.
        """
        tasks = {name: read_task(Path(root), name) for name in TASKS}
        for task in tasks.values():
            _ = task.classes  # raises early
        return cls(tasks)

    def __getitem__(self, name: str) -> LvuTask:
        if name not in self.tasks:
            raise ValueError(f"unknown LVU task {name!r}; expected one of: {', '.join(self.tasks)}")
        return self.tasks[name]


def read_task(root: Path, name: str) -> LvuTask:
    """Read one task; raises like `LVU.open`."""
    needed = (*COUNT_COLUMNS.get(name, CLASS_COLUMNS), *ID_COLUMNS)
    table = root / f"{name}.parquet"
    rows: dict[str, list[Row]] = {}
    if table.is_file():
        for row in read_rows(table, [*needed, "split"]):
            rows.setdefault(_split(row), []).append(row)
        if missing := [split for split in SPLITS[:2] if split not in rows]:
            raise ValueError(f"{table} has no clip of the split {missing[0]}: prepare it again")
    else:
        files = {split: root / name / f"{split}.csv" for split in SPLITS}
        for split, file in files.items():
            if split != "test" or file.is_file():
                rows[split] = list(read_rows(file, needed, " "))
    read = {
        split: _unique(map(_number if name in COUNT_COLUMNS else _class, found), found)
        for split, found in rows.items()
    }
    lists = {split: clips for split, (clips, _) in read.items()}
    return LvuTask(name, lists, {split: count for split, (_, count) in read.items()})


def _split(row: Row) -> str:
    split = row.require("split")
    if split not in SPLITS:
        raise ValueError(f"{row.where}: the split {split!r} is none of {', '.join(SPLITS)}")
    return split


def _unique(
    clips: Iterable[LabeledClip], rows: Iterable[Row]
) -> tuple[tuple[LabeledClip, ...], int]:
    """Return each clip once, and the number of lines that repeat an earlier one."""
    found: dict[str, LabeledClip] = {}
    repeated = 0
    for clip, row in zip(clips, rows, strict=True):
        if clip.clip in found and found[clip.clip] != clip:
            raise ValueError(
                f"{row.where}: the clip {clip.clip} is listed twice, with different labels or "
                "movies: keep the right line"
            )
        repeated += clip.clip in found
        found.setdefault(clip.clip, clip)
    return tuple(found.values()), repeated


def _class(row: Row) -> LabeledClip:
    number = _count(row, "class_id", 0)
    clip, movie = _ids(row)
    return LabeledClip(clip, movie, number, row.text("class_name") or NO_NAME)


def _number(row: Row) -> LabeledClip:
    clip, movie = _ids(row)
    if "view_count" in row.cells:
        views = _count(row, "view_count", 1)
        return LabeledClip(clip, movie, compute_view_count(views), counts=(views,))
    likes, dislikes = _count(row, "like_count", 0), _count(row, "dislike_count", 0)
    if not likes + dislikes:
        raise ValueError(f"{row.where}: nobody liked or disliked the clip: leave the line out")
    return LabeledClip(clip, movie, compute_like_ratio(likes, dislikes), counts=(likes, dislikes))


def compute_like_ratio(likes: float, dislikes: float) -> float:
    """Compute the target of like_ratio."""
    return 10 * likes / (likes + dislikes) - MEAN_LIKES


def compute_view_count(views: float) -> float:
    """Compute the target of view_count."""
    return math.log(views) - MEAN_LOG_VIEWS


def _ids(row: Row) -> tuple[str, str]:
    return row.require("youtube_id"), imdb_id(row.require("imdb_id"), row.where)


def _count(row: Row, column: str, low: int) -> int:
    row.require(column)
    value = row.number(column, low, MAX_COUNT)
    if value != int(value):
        raise ValueError(f"{row.where}: the {column} {row.text(column)} is not an integer")
    return int(value)
