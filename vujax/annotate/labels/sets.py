"""Labels that people give to the frames, shots, scenes and films of a catalogue.

    log = LabelLog(sets.path("catalog/", "boats"))
    group = log.append([Decision("my-film-1a2b3c4d/s0012", "boat", 1)], author="ann")
    log.undo(group, author="ann")
    log.state()                           # what holds now, by (id, label)

    labels/<set>.jsonl                    in the catalogue: every decision and every undo, in order

A set is never rewritten: what somebody decided is a line, and so is taking it back.

The label sets of a catalogue: files by their names.

Who labels.

How many items each label of a set holds of.

Decisions about items of a catalogue, with what each item is made from.
"""

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vujax.annotate.labels.entry import Decision
from vujax.annotate.labels.items import Places
from vujax.annotate.labels.log import LabelLog
from vujax.catalog.embeddings import NAME

FOLDER = "labels"

SUFFIX = ".jsonl"


def check_name(name: object) -> str:
    """The name, if it can be a set's.

    Raises:
      ValueError: it has other characters than letters, digits, - and _, or is too long.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"{str(name)[:60]!r} is no name of a label set: those have letters, digits, - and _, "
            "at most 48"
        )
    return name


def path(root: Path, name: str) -> Path:
    """The file of a set.

    Raises:
      ValueError: it cannot be called so.
    """
    return Path(root) / FOLDER / f"{check_name(name)}{SUFFIX}"


def names(root: Path) -> list[str]:
    """The sets that there are, in order."""
    found = (Path(root) / FOLDER).glob(f"*{SUFFIX}")
    return sorted(file.stem for file in found if NAME.fullmatch(file.stem) and file.is_file())


def existing(root: Path, name: str) -> Path:
    """The file of a set that is there.

    Raises:
      FileNotFoundError: it is not.
      ValueError: it cannot be called so.
    """
    file = path(root, name)
    if not file.is_file():
        there = ", ".join(names(root)) or "none yet"
        raise FileNotFoundError(f"{root} has no label set {name}: there is {there}")
    return file


def author_of(given: str | None) -> str:
    """The name that is given, or that of the user."""
    try:
        return given or getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name, as in containers
        return "unknown"


class Counts(NamedTuple):
    """Items of which a label holds, and of which it does not."""

    holds: int
    fails: int


def summary(log: LabelLog) -> dict[str, Counts]:
    """The counts of each label, in the order in which they were first used."""
    found: dict[str, list[int]] = {}
    entries = sorted(log.state().values(), key=lambda entry: entry.sequence)
    for entry in entries:
        counts = found.setdefault(entry.decision.label, [0, 0])
        if entry.decision.value:
            counts[entry.decision.value < 0] += 1
    return {label: Counts(*counts) for label, counts in found.items()}


def decisions(
    places: Places,
    ids: Sequence[str],
    label: str,
    value: int,
    *,
    scores: Sequence[float | None] | None = None,
    **about: str | None,
) -> list[Decision]:
    """One decision for each id.

    Args:
      places: of the catalogue.
      ids: of the items.
      label: it.
      value: 1, -1 or 0.
      scores: of the items, in their order.
      **about: `source`, `query` and `model`, see `Decision`.

    Raises:
      KeyError: there is no such item.
      ValueError: an id, the label or the value cannot be one.
    """
    found = []
    for item, score in zip(ids, scores or [None] * len(ids), strict=True):
        place = places.find(item)
        made_from = places.film(place.film).made_from(place)
        found.append(Decision(item, label, value, score=score, made_from=made_from, **about))
    return found
