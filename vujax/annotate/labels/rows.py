"""A label set as rows: what somebody said, of which part of which film, and how it was found."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vujax.annotate.labels.entry import Entry
from vujax.annotate.labels.items import Film, Place, Places
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
class Row:
    """A label that holds, or does not hold, of an item.

    Attributes:
      entry: who said so, and why.
      place: of the item.
      film: that it is in.
    """

    entry: Entry
    place: Place
    film: Film

    @property
    def holds(self) -> bool:
        """Whether the label holds."""
        return self.entry.decision.value > 0

    @property
    def label(self) -> str:
        """The label."""
        return self.entry.decision.label

    def cells(self) -> dict[str, Any]:
        """What is known, by COLUMNS."""
        decision, place, base = self.entry.decision, self.place, self.film.time_base
        known = dict(
            film=place.film,
            id=place.id,
            level=place.level,
            label=decision.label,
            value=decision.value,
            begin_s=place.begin_s,
            end_s=place.end_s,
            pts=place.pts,
            time_base=base and f"{base.numerator}/{base.denominator}",
            score=decision.score,
            query=decision.query,
            model=decision.model,
            source=decision.source,
            author=self.entry.author,
            time=self.entry.time,
            title=self.film.title,
            video=self.film.row["path"],
            picture=place.picture,
        )
        return {name: known[name] for name in COLUMNS}


@dataclass(frozen=True)
class Item:
    """An item and its labels.

    Attributes:
      place: of it.
      film: that it is in.
      holds: labels that hold, in order.
      fails: labels that do not.
      scores: of the labels, where there was one.
    """

    place: Place
    film: Film
    holds: tuple[str, ...]
    fails: tuple[str, ...]
    scores: dict[str, float]


def rows_of(
    places: Places, log: LabelLog, labels: Sequence[str] | None = None
) -> tuple[list[Row], list[str]]:
    """The decisions that hold, in order of film, level and time.

    Args:
      places: of the catalogue.
      log: the set.
      labels: only these; None: all.

    Returns:
      The rows, and a sentence for each reason why something was left out.

    Raises:
      KeyError: a label was asked for that the set does not have.
    """
    entries = [entry for entry in log.state().values() if entry.decision.value]
    known = {entry.decision.label for entry in entries}
    for label in labels or ():
        if label not in known:
            there = ", ".join(sorted(known)) or "none"
            raise KeyError(f"{log.path.stem} has no label {label!r}: there is {there}")
    rows, lost = [], Counter()
    for entry in entries:
        decision = entry.decision
        if labels and decision.label not in labels:
            continue
        try:
            place = places.find(decision.id)
        except KeyError:
            lost["the catalogue has no such item any more"] += 1
            continue
        film = places.film(place.film)
        if decision.made_from not in (None, film.made_from(place)) and place.level != "film":
            lost["its film was ingested anew, or its scenes drawn anew, since it was labelled"] += 1
            continue
        rows.append(Row(entry, place, film))
    rows.sort(key=lambda r: (r.place.film, r.place.level, r.place.begin_s, r.place.id, r.label))
    notes = [f"left out {n} label{'s' * (n != 1)}: {why}" for why, n in sorted(lost.items())]
    return rows, notes


def items_of(rows: Sequence[Row]) -> list[Item]:
    """The items of rows with all their labels, in the rows' order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.place.id, []).append(row)
    return [
        Item(
            mine[0].place,
            mine[0].film,
            tuple(row.label for row in mine if row.holds),
            tuple(row.label for row in mine if not row.holds),
            {
                row.label: row.entry.decision.score
                for row in mine
                if row.entry.decision.score is not None
            },
        )
        for mine in found.values()
    ]


def labels_of(rows: Sequence[Row]) -> list[str]:
    """The labels of rows, in order of the alphabet."""
    return sorted({row.label for row in rows})
