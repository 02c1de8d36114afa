"""Import of labels from CSV, JSON lines and the JSON export of Label Studio into a label set.

- `.csv`: columns `label` and `id`, or `label`, `video`, `start` and `end`; `value` (1 for a
  positive label, 0 or -1 for a negative one) and `score` are optional.
- `.jsonl`: one object per label, with the names of our own export (`rows.COLUMNS`).
- `.json`: tasks of Label Studio with the choices `present` and `absent` of our own export.

Every reader yields `ImportedLabel`s; `import_labels` finds their items in the catalog by id, or by
film and time.
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
from vujax.annotate.labels.items import LEVELS, CatalogItem, CatalogItems
from vujax.annotate.labels.log import LabelLog
from vujax.data.tables import read_lines, read_rows

CELL_VALUES = {"1": 1, "-1": -1, "0": -1, "true": 1, "false": -1}
"""Values of a cell `value`; as usual in tables, but unlike a label set, 0 is negative."""

CHOICE_VALUES = dict(zip(CHOICES, (1, -1), strict=True))


@dataclass(frozen=True)
class ImportedLabel:
    """A label as read from a file.

    Attributes:
      where: file and line, for messages.
      label: name of the label.
      value: 1 or -1.
      id: id of the item; '' where the file gives none.
      video: id, path or file name of the film.
      start: seconds since the start of the film.
      end: seconds, at least `start`.
      score: score of the item.
      query: search query that found the item.
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
class ImportSummary:
    """Result of an import.

    Attributes:
      new: number of new decisions.
      known: number of labels already in force in the set.
      notes: a note for each reason why rows were left out.
    """

    new: int
    known: int
    notes: tuple[str, ...]


def import_labels(
    contents: CatalogItems, log: LabelLog, path: Path, *, author: str, level: str = "shot"
) -> ImportSummary:
    """Add the labels of a file to a set, as one group for undo.

    A row with an id labels that item. A row with a video and times labels the items of `level`
    whose middle lies in start..end, or else the one around the middle of start..end.

    Args:
      contents: items of the catalog.
      log: the label set.
      path: path of the file, or directory of an export to Label Studio.
      author: author of the decisions.
      level: level of the items given by their times.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: the file is malformed, or labels no item of the catalog.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}; expected one of: {', '.join(LEVELS)}")
    finder = _ItemFinder(contents, level)
    decisions: dict[tuple[str, str], Decision] = {}
    for row in _read(path):
        for item in finder.find(row):
            decisions[item.id, row.label] = Decision(
                item.id,
                row.label,
                row.value,
                source="import",
                query=row.query,
                score=row.score,
                made_from=contents.read_film(item.film).hash_item(item),
            )
    if not decisions:
        why = "; ".join(finder.notes()) or "it is empty"
        raise ValueError(f"{path} labels no item of {contents.catalog.path}: {why}")
    log.refresh()
    new = [d for key, d in decisions.items() if log.value(key) != d.value]
    if new:
        log.append(new, author=author)
    return ImportSummary(len(new), len(decisions) - len(new), tuple(finder.notes()))


def read_csv(path: Path) -> Iterator[ImportedLabel]:
    """Read the labels of a CSV table.

    Raises:
      ValueError: a line is malformed.
    """
    for row in read_rows(path, ["label"]):
        yield parse_row(row.where, row.cells)


def read_jsonl(path: Path) -> Iterator[ImportedLabel]:
    """Read the labels of a file of JSON lines.

    Raises:
      ValueError: a line is malformed.
    """
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where}: invalid JSON ({error})") from None
        if not isinstance(cells, dict):
            raise ValueError(f"{where}: expected an object with a label")
        yield parse_row(where, cells)


def read_label_studio(path: Path) -> Iterator[ImportedLabel]:
    """Read the last annotation of each task that was not canceled.

    Raises:
      ValueError: the file or a task is malformed.
    """
    try:
        tasks = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: invalid JSON ({error})") from None
    if not isinstance(tasks, list):
        raise ValueError(f"{path}: expected a list of tasks; export it from Label Studio as JSON")
    for number, task in enumerate(tasks, 1):
        where = f"{path}, task {number}"
        try:
            yield from _parse_task(where, task)
        except (TypeError, KeyError, AttributeError):
            raise ValueError(
                f"{where}: no `data.id` with annotations of choices; export tasks that `vujax "
                "labels export --format label_studio` wrote, as JSON"
            ) from None


READERS = {".csv": read_csv, ".jsonl": read_jsonl, ".json": read_label_studio}
"""Readers of label files by suffix."""


def parse_row(where: str, cells: Mapping[str, Any]) -> ImportedLabel:
    """Parse a row with the columns of our CSV or JSON lines.

    Raises:
      ValueError: a cell is missing or malformed.
    """
    text = {name: _text(cells.get(name)) for name in ("label", "value", "id", "video", "film")}
    if not text["label"]:
        raise ValueError(f"{where}: the label is missing")
    value = CELL_VALUES.get((text["value"] or "1").lower())
    if value is None:
        raise ValueError(
            f"{where}: unknown value {text['value']!r}; expected one of: {', '.join(CELL_VALUES)}"
        )
    start = _number(where, cells, ("start", "begin_s"))
    end = _number(where, cells, ("end", "end_s"))
    if start is not None and end is not None and end < start:
        raise ValueError(f"{where}: the end {end:g} is before the start {start:g}")
    return ImportedLabel(
        where,
        text["label"],
        value,
        id=text["id"],
        video=text["film"] or text["video"],
        start=start,
        end=end,
        score=_number(where, cells, ("score",)),
        query=_text(cells.get("query")) or None,
    )


def _read(path: Path) -> Iterator[ImportedLabel]:
    file = path / "tasks.json" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist")
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise ValueError(
            f"{file}: unknown suffix {file.suffix!r}; expected one of: {', '.join(READERS)}"
        )
    return reader(file)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _number(where: str, cells: Mapping[str, Any], names: Sequence[str]) -> float | None:
    """Return the number of the first column of `names` with a value."""
    name = next((name for name in names if _text(cells.get(name))), None)
    if name is None:
        return None
    try:
        value = float(cells[name])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where}: the {name} {_text(cells[name])[:40]!r} is not a finite number")
    return value


def _parse_task(where: str, task: Mapping[str, Any]) -> Iterator[ImportedLabel]:
    item = task["data"]["id"]
    finished = [a for a in task["annotations"] if not a.get("was_cancelled")]
    for result in finished[-1]["result"] if finished else ():
        value = CHOICE_VALUES.get(result["from_name"])
        for label in result["value"]["choices"] if value else ():
            if not isinstance(label, str) or not isinstance(item, str):
                raise TypeError
            yield ImportedLabel(where, label.strip(), value, item)


class _ItemFinder:
    """Finds the items of rows, and counts rows without items."""

    def __init__(self, contents: CatalogItems, level: str) -> None:
        self._contents, self._level = contents, level
        self._left_out: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        table = contents.catalog.films().select(["film", "path"]).to_pylist()
        self._films: dict[str, set[str]] = {}
        for row in table:
            for name in {row["film"], row["path"], Path(row["path"]).name}:
                self._films.setdefault(name, set()).add(row["film"])

    def notes(self) -> list[str]:
        """Return a note for each reason why rows were left out."""
        return [
            f"left out {count} row{'s' * (count != 1)}: {why} (first: {self._first[why]})"
            for why, count in sorted(self._left_out.items())
        ]

    def find(self, row: ImportedLabel) -> Sequence[CatalogItem]:
        """Return the items of a row; a row without items is counted."""
        items, why = self._find_by_id(row) if row.id else self._find_by_time(row)
        if not items:
            self._left_out[why] += 1
            self._first.setdefault(why, row.where)
        return items

    def _find_by_id(self, row: ImportedLabel) -> tuple[Sequence[CatalogItem], str]:
        try:
            return [self._contents.find(row.id)], ""
        except (KeyError, ValueError):
            return [], "the item is not in the catalog"

    def _find_by_time(self, row: ImportedLabel) -> tuple[Sequence[CatalogItem], str]:
        films = self._films.get(row.video, set())
        if len(films) != 1:
            return [], "the name of the film is ambiguous" if films else "unknown film"
        (film,) = films
        items = [
            item
            for item in self._contents.read_film(film).items.values()
            if item.level == self._level
        ]
        if row.start is None or row.end is None:
            return [], "neither an id nor a start and an end"
        middles = [(item.begin_s + item.end_s) / 2 for item in items]
        inside = [i for i, m in zip(items, middles, strict=True) if row.start <= m <= row.end]
        middle = (row.start + row.end) / 2
        around = [item for item in items if item.begin_s <= middle < item.end_s]
        return inside or around, f"no {self._level} of the film at that time"
