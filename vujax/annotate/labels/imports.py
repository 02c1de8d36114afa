"""Labels that other programs wrote, read into a label set: .csv, .jsonl, and Label Studio's .json.

Each has `read(path)`, which yields what the file says of one label after the other. Which item of
the catalogue that is, is found here: by its id, or by the film and the seconds.

CSV of labels: columns `label` and `id`, or `label`, `video`, `start` and `end`.

Read too, where they are there: `value` (1, or -1 or 0 for what does not hold) and `score`.

JSON lines of labels, with the names that our own export uses (`labels.rows.COLUMNS`).

Label Studio's JSON export: tasks with the choices `present` and `absent` of our own tasks.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vujax.annotate.labels.entry import Decision
from vujax.annotate.labels.exports.label_studio import CHOICES
from vujax.annotate.labels.items import LEVELS, Place, Places
from vujax.annotate.labels.log import LabelLog
from vujax.data.tables import read_lines, read_rows

MEANINGS = {"1": 1, "-1": -1, "0": -1, "true": 1, "false": -1}

"""What a cell `value` says; unlike in a label set, 0 is what does not hold, as elsewhere."""


@dataclass(frozen=True)
class Given:
    """What a file says of one label.

    Attributes:
      where: file and line, for messages.
      label: it.
      value: 1 or -1.
      id: of the item; '' where the file does not say.
      video: id, path or file name of the film.
      start: seconds since its start.
      end: seconds, not before `start`.
      score: that somebody gave.
      query: that found it.
    """

    where: str
    label: str
    value: int
    id: str = ""
    video: str = ""
    start: float | None = None
    end: float | None = None
    score: float | None = None
    query: str | None = None


@dataclass(frozen=True)
class Imported:
    """What came of a file: new decisions, how many were known, and what was left out and why."""

    new: int
    known: int
    notes: tuple[str, ...]


def import_file(
    places: Places, log: LabelLog, path: Path, *, author: str, level: str = "shot"
) -> Imported:
    """Adds what a file says to a set, as one group that can be undone.

    A row with an id is about that item. A row with a video and seconds is about the items of
    `level` whose middle lies in start..end, and about the one around the middle of start..end when
    there is none such.

    Args:
      places: of the catalogue.
      log: the set.
      path: of the file, or the folder that `label_studio` was exported to.
      author: who did that.
      level: of items that are named by their times.

    Raises:
      FileNotFoundError: there is no file.
      ValueError: it cannot be read, or nothing in it is of this catalogue.
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}: there are {', '.join(LEVELS)}")
    finder = _Finder(places, level)
    decisions: dict[tuple[str, str], Decision] = {}
    for given in _read(path):
        for place in finder.find(given):
            decisions[place.id, given.label] = Decision(
                place.id,
                given.label,
                given.value,
                source="import",
                query=given.query,
                score=given.score,
                made_from=places.film(place.film).made_from(place),
            )
    if not decisions:
        why = "; ".join(finder.notes()) or "it is empty"
        raise ValueError(f"{path} says nothing of what is in {places.catalog.path}: {why}")
    log.refresh()
    new = [d for key, d in decisions.items() if log.value(key) != d.value]
    if new:
        log.append(new, author=author)
    return Imported(len(new), len(decisions) - len(new), tuple(finder.notes()))


def _read(path: Path) -> Iterator[Given]:
    file = path / "tasks.json" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist")
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise ValueError(f"{file} is of no kind that is read: those are {', '.join(READERS)}")
    return reader(file)


def given(where: str, cells: Mapping[str, Any]) -> Given:
    """What a row says, with the columns of our CSV and JSON lines.

    Raises:
      ValueError: it lacks what is needed, or a cell cannot be what it is.
    """
    text = {name: _text(cells.get(name)) for name in ("label", "value", "id", "video", "film")}
    if not text["label"]:
        raise ValueError(f"{where}: there is no label")
    if (text["value"] or "1").lower() not in MEANINGS:
        raise ValueError(f"{where}: the value {text['value']!r} is none of {', '.join(MEANINGS)}")
    start, end = (
        _number(where, cells, *names) for names in (("start", "begin_s"), ("end", "end_s"))
    )
    if start is not None and end is not None and end < start:
        raise ValueError(f"{where}: the end {end:g} is before the start {start:g}")
    return Given(
        where,
        text["label"],
        MEANINGS[(text["value"] or "1").lower()],
        text["id"],
        text["film"] or text["video"],
        start,
        end,
        _number(where, cells, "score"),
        _text(cells.get("query")) or None,
    )


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _number(where: str, cells: Mapping[str, Any], *names: str) -> float | None:
    name = next((name for name in names if _text(cells.get(name))), None)
    if name is None:
        return None
    try:
        value = float(cells[name])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where}: the {name} {_text(cells[name])[:40]!r} is no number")
    return value


class _Finder:
    """Finds the items that rows are about, and counts those that there are not."""

    def __init__(self, places: Places, level: str) -> None:
        self._places, self._level = places, level
        self._lost: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        table = places.catalog.films().select(["film", "path"]).to_pylist()
        self._films: dict[str, set[str]] = {}
        for row in table:
            for name in {row["film"], row["path"], Path(row["path"]).name}:
                self._films.setdefault(name, set()).add(row["film"])

    def notes(self) -> list[str]:
        """What was left out."""
        return [
            f"left out {count} row{'s' * (count != 1)}: {why} (first: {self._first[why]})"
            for why, count in sorted(self._lost.items())
        ]

    def find(self, row: Given) -> Sequence[Place]:
        """The items; none, and counted, when there are none such."""
        found, why = self._by_id(row) if row.id else self._by_time(row)
        if not found:
            self._lost[why] += 1
            self._first.setdefault(why, row.where)
        return found

    def _by_id(self, row: Given) -> tuple[Sequence[Place], str]:
        try:
            return [self._places.find(row.id)], ""
        except (KeyError, ValueError):
            return [], "the catalogue has no such item"

    def _by_time(self, row: Given) -> tuple[Sequence[Place], str]:
        films = self._films.get(row.video, set())
        if len(films) != 1:
            why = "several films of the catalogue have that name" if films else "no such film"
            return [], why
        film = self._places.film(*films)
        items = [p for p in film.places.values() if p.level == self._level]
        if row.start is None or row.end is None:
            return [], "it has neither an id nor a start and an end"
        middles = [(p.begin_s + p.end_s) / 2 for p in items]
        inside = [p for p, m in zip(items, middles, strict=True) if row.start <= m <= row.end]
        middle = (row.start + row.end) / 2
        around = [p for p in items if p.begin_s <= middle < p.end_s]
        return inside or around, f"no {self._level} of the film is at that time"


def read_csv(path: Path) -> Iterator[Given]:
    """What the file says.

    Raises:
      ValueError: it is no such CSV; names the line.
    """
    for row in read_rows(path, ["label"]):
        yield given(row.where, row.cells)


def read_jsonl(path: Path) -> Iterator[Given]:
    """What the file says.

    Raises:
      ValueError: it is no such file; names the line.
    """
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where}: no JSON ({error})") from None
        if not isinstance(cells, dict):
            raise ValueError(f"{where}: no object with a label")
        yield given(where, cells)


VALUES = dict(zip(CHOICES, (1, -1), strict=True))


def read_label_studio(path: Path) -> Iterator[Given]:
    """What the file says: of each task, its last annotation that was not cancelled.

    Raises:
      ValueError: it is no such file; names the task.
    """
    try:
        tasks = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON ({error})") from None
    if not isinstance(tasks, list):
        raise ValueError(f"{path} is no list of tasks: export it from Label Studio as JSON")
    for number, task in enumerate(tasks, 1):
        where = f"{path}, task {number}"
        try:
            yield from _labels(where, task)
        except (TypeError, KeyError, AttributeError):
            raise ValueError(
                f"{where}: it has no `data.id` with annotations of choices: export tasks that "
                "`vujax labels export --format label_studio` made, as JSON"
            ) from None


def _labels(where: str, task: Mapping[str, Any]) -> Iterator[Given]:
    item = task["data"]["id"]
    done = [one for one in task["annotations"] if not one.get("was_cancelled")]
    for result in done[-1]["result"] if done else ():
        value = VALUES.get(result["from_name"])
        for label in result["value"]["choices"] if value else ():
            if not isinstance(label, str) or not isinstance(item, str):
                raise TypeError
            yield Given(where, label.strip(), value, item)


READERS = {".csv": read_csv, ".jsonl": read_jsonl, ".json": read_label_studio}
"""Readers of label files by their suffix."""
