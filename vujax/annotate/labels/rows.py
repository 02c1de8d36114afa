"""Label sets as rows: decisions in force, joined with the items and films of a catalog."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vujax.annotate.labels.entry import Entry
from vujax.annotate.labels.items import CatalogItem, CatalogItems, FilmContents
from vujax.annotate.labels.log import LabelLog

COLUMNS = (
    "film",
    "id",
    "level",
    "label",
    "value",
    "begin_s",
    "end_s",
    "pts",
    "time_base",
    "score",
    "query",
    "model",
    "source",
    "author",
    "time",
    "title",
    "video",
    "picture",
)


@dataclass(frozen=True)
class LabelRow:
    """A positive or negative label of an item.

    Attributes:
      entry: entry of the log.
      item: the labeled item.
      film: its film.
    """

    entry: Entry
    item: CatalogItem
    film: FilmContents

    @property
    def is_positive(self) -> bool:
        """True where the label applies to the item."""
        return self.entry.decision.value > 0

    @property
    def label(self) -> str:
        """The name of the label."""
        return self.entry.decision.label

    def cells(self) -> dict[str, Any]:
        """Return the values by COLUMNS, None where unknown."""
        decision, item, base = self.entry.decision, self.item, self.film.time_base
        cells = dict(
            film=item.film,
            id=item.id,
            level=item.level,
            label=decision.label,
            value=decision.value,
            begin_s=item.begin_s,
            end_s=item.end_s,
            pts=item.pts,
            time_base=base and f"{base.numerator}/{base.denominator}",
            score=decision.score,
            query=decision.query,
            model=decision.model,
            source=decision.source,
            author=self.entry.author,
            time=self.entry.time,
            title=self.film.title,
            video=self.film.row["path"],
            picture=item.keyframe_id,
        )
        return {name: cells[name] for name in COLUMNS}


@dataclass(frozen=True)
class LabeledItem:
    """An item with all its labels.

    Attributes:
      item: the item.
      film: its film.
      positives: labels that apply, in order.
      negatives: labels that do not apply, in order.
      scores: scores of the labels that have one.
    """

    item: CatalogItem
    film: FilmContents
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    scores: dict[str, float]


def collect_rows(
    contents: CatalogItems, log: LabelLog, labels: Sequence[str] | None = None
) -> tuple[list[LabelRow], list[str]]:
    """Return the decisions in force, in order of film, level and time.

    Args:
      contents: items of the catalog.
      log: the label set.
      labels: labels to include; None: all.

    Returns:
      The rows, and a note for each reason why labels were left out.

    Raises:
      KeyError: the set lacks a label of `labels`.
    """
    entries = [entry for entry in log.state().values() if entry.decision.value]
    _check_labels(labels or (), {entry.decision.label for entry in entries}, log.path.stem)
    rows, left_out = [], Counter()
    for entry in entries:
        if labels and entry.decision.label not in labels:
            continue
        row = _find_row(contents, entry)
        if isinstance(row, str):
            left_out[row] += 1
        else:
            rows.append(row)
    rows.sort(key=lambda r: (r.item.film, r.item.level, r.item.begin_s, r.item.id, r.label))
    notes = [f"left out {n} label{'s' * (n != 1)}: {why}" for why, n in sorted(left_out.items())]
    return rows, notes


def group_by_item(rows: Sequence[LabelRow]) -> list[LabeledItem]:
    """Return the items of rows with all their labels, in order of the rows."""
    groups: dict[str, list[LabelRow]] = {}
    for row in rows:
        groups.setdefault(row.item.id, []).append(row)
    return [
        LabeledItem(
            group[0].item,
            group[0].film,
            tuple(row.label for row in group if row.is_positive),
            tuple(row.label for row in group if not row.is_positive),
            {
                row.label: row.entry.decision.score
                for row in group
                if row.entry.decision.score is not None
            },
        )
        for group in groups.values()
    ]


def list_labels(rows: Sequence[LabelRow]) -> list[str]:
    """Return the sorted labels of rows."""
    return sorted({row.label for row in rows})


def _check_labels(labels: Sequence[str], known: set[str], name: str) -> None:
    for label in labels:
        if label not in known:
            existing = ", ".join(sorted(known)) or "none"
            raise KeyError(f"{name} has no label {label!r}; existing labels: {existing}")


def _find_row(contents: CatalogItems, entry: Entry) -> LabelRow | str:
    """Return the row of an entry, or else the reason why it has none."""
    decision = entry.decision
    try:
        item = contents.find(decision.id)
    except KeyError:
        return "their items are no longer in the catalog"
    film = contents.read_film(item.film)
    if decision.made_from not in (None, film.hash_item(item)) and item.level != "film":
        return "their films were ingested again, or scenes detected again, after labeling"
    return LabelRow(entry, item, film)
