"""Labels that people gave, from a CSV (or Parquet) table.

    id,label,value                        video,label,start,end,score,value
    film-1a2b3c4d/s0004,kiss,1            films/a.mp4,kiss,12.5,31.0,,1
    film-1a2b3c4d/s0005,kiss,0            film-1a2b3c4d,car,40,52,0.9,-1

`id` is a catalogue's: of a film, scene, shot or keyframe, each for all that lies in it. Where there
is no such column, `video` is a film's id, its path in the catalogue or its file's name, and the
seconds count from the film's start. `value` says whether the label holds: 1, or 0 or -1 if not; an
empty one, or no such column, is 1. `score`, what a machine thought, must be a number, and is not
used. Other columns are passed over, so the exports of the curation page are read as they are.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from vujax.catalog.ids import Id
from vujax.data.tables import Row, read_rows

LATEST_S = 1e7  # 115 days
WHERE = ("id", "video")
VALUES = {1.0: True, 0.0: False, -1.0: False}


@dataclass(frozen=True)
class Span:
    """A part of a film.

    Attributes:
      video: id, path or file name of the film.
      start: seconds since the film's start.
      end: likewise.
    """

    video: str
    start: float
    end: float


@dataclass(frozen=True)
class Label:
    """That a label holds of a part of a film, or does not.

    Attributes:
      where: file and line, for messages.
      label: its name.
      holds: whether it does.
      of: what it is said of.
    """

    where: str
    label: str
    holds: bool
    of: Id | Span


def read_labels(path: Path) -> list[Label]:
    """All labels of a table.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is no such table, or a cell is wrong; says in which line.
    """
    found = [_label(row, path) for row in read_rows(path, ["label"])]
    if not found:
        raise ValueError(f"{path} holds no label: it needs a line for each, below its header")
    return found


def _label(row: Row, path: Path) -> Label:
    place = next((column for column in WHERE if column in row.cells), None)
    if place is None:
        raise ValueError(
            f"{path}, line 1: no column 'id', nor 'video' with 'start' and 'end': it has "
            f"{', '.join(row.cells)}"
        )
    _check_score(row)
    of = _id(row) if place == "id" else _span(row)
    return Label(row.where, row.require("label"), _holds(row), of)


def _id(row: Row) -> Id:
    text = row.require("id")
    try:
        return Id.parse(text)
    except ValueError as error:
        raise ValueError(f"{row.where}: {error}") from None


def _span(row: Row) -> Span:
    for column in ("start", "end"):
        row.require(column)
    start, end = (row.number(column, 0, LATEST_S) for column in ("start", "end"))
    if end < start:
        raise ValueError(f"{row.where}: it ends at {end:g} s, before it starts at {start:g} s")
    return Span(row.require("video"), start, end)


def _holds(row: Row) -> bool:
    value = row.number("value", -1, 1)
    if value is None:
        return True
    if value not in VALUES:
        raise ValueError(
            f"{row.where}: the value {value:g} is none of 1 (the label holds), 0 and -1 (it does "
            "not)"
        )
    return VALUES[value]


def _check_score(row: Row) -> None:
    text = row.text("score")
    try:
        good = not text or math.isfinite(float(text))
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{row.where}: the score {text} is no number: correct it, or empty it")
