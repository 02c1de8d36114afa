"""Training labels of taggers, read from a CSV or Parquet table.

    id,label,value                        video,label,start,end,score,value
    film-1a2b3c4d/s0004,kiss,1            films/a.mp4,kiss,12.5,31.0,,1
    film-1a2b3c4d/s0005,kiss,0            film-1a2b3c4d,car,40,52,0.9,-1

`id` is the id of a film, scene, shot or keyframe in the catalog; the label covers all of it. In
tables without that column, `video` is the id of a film, its path in the catalog or its file name,
and times are seconds since the start of the film. `value` is 1 where the label applies and 0 or -1
where it does not; an empty cell, or no such column, counts as 1. `score` must be a number where it
is given, and is not used. Other columns are ignored, so exports of the labeling page are read as
they are.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from vujax.catalog.ids import Id
from vujax.data.tables import Row, read_rows

LATEST_S = 1e7  # 115 days
TARGET_COLUMNS = ("id", "video")
VALUES = {1.0: True, 0.0: False, -1.0: False}


@dataclass(frozen=True)
class TimeSpan:
    """A time span of a film.

    Attributes:
      video: id, path or file name of the film.
      start: seconds since the start of the film.
      end: seconds since the start of the film.
    """

    video: str
    start: float
    end: float


@dataclass(frozen=True)
class LabelRecord:
    """A positive or negative label of a part of a film.

    Attributes:
      where: file and line, for messages.
      label: name of the label.
      is_positive: True where the label applies.
      target: the labeled part.
    """

    where: str
    label: str
    is_positive: bool
    target: Id | TimeSpan


def read_labels(path: Path) -> list[LabelRecord]:
    """Read all labels of a table.

    Raises:
      FileNotFoundError: the table is missing.
      ValueError: the table is malformed; names the line.
    """
    labels = [_parse_label(row, path) for row in read_rows(path, ["label"])]
    if not labels:
        raise ValueError(f"{path} has no labels; write one line per label below the header")
    return labels


def _parse_label(row: Row, path: Path) -> LabelRecord:
    column = next((column for column in TARGET_COLUMNS if column in row.cells), None)
    if column is None:
        raise ValueError(
            f"{path}, line 1: no column 'id', nor 'video' with 'start' and 'end'; columns: "
            f"{', '.join(row.cells)}"
        )
    _check_score(row)
    target = _parse_id(row) if column == "id" else _parse_span(row)
    return LabelRecord(row.where, row.require("label"), _parse_value(row), target)


def _parse_id(row: Row) -> Id:
    text = row.require("id")
    try:
        return Id.parse(text)
    except ValueError as error:
        raise ValueError(f"{row.where}: {error}") from None


def _parse_span(row: Row) -> TimeSpan:
    for column in ("start", "end"):
        row.require(column)
    start, end = (row.number(column, 0, LATEST_S) for column in ("start", "end"))
    if end < start:
        raise ValueError(f"{row.where}: the end {end:g} s is before the start {start:g} s")
    return TimeSpan(row.require("video"), start, end)


def _parse_value(row: Row) -> bool:
    value = row.number("value", -1, 1)
    if value is None:
        return True
    if value not in VALUES:
        raise ValueError(
            f"{row.where}: unknown value {value:g}; expected 1 (the label applies), 0 or -1 (it "
            "does not)"
        )
    return VALUES[value]


def _check_score(row: Row) -> None:
    text = row.text("score")
    try:
        is_valid = not text or math.isfinite(float(text))
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f"{row.where}: the score {text} is not a number; correct it or empty it")
