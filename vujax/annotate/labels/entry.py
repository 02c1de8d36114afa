"""What a line of a label set says: a decision about a label of an item, or the undoing of some."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from vujax.catalog.ids import Id

VALUES = (1, -1, 0)
"""The label holds, it does not hold, or nothing is known (again)."""

MOST_LABEL, MOST_AUTHOR, MOST_QUERY = 100, 64, 1000  # characters
SOURCES = ("page", "sample", "import", "command")
"""How an item came to be looked at; 'sample' are drawn at random and so can be counted on."""


@dataclass(frozen=True)
class Decision:
    """Somebody's word on one label of one item.

    Attributes:
      id: of a keyframe, shot, scene or film, in its one spelling.
      label: what it is about.
      value: one of VALUES.
      source: one of SOURCES.
      query: what was searched for when it was found.
      score: that it had then.
      model: sha256 of the model of that score.
      made_from: hash of what its film was then; shots that are made anew are others.
    """

    id: str
    label: str
    value: int
    source: str = "page"
    query: str | None = None
    score: float | None = None
    model: str | None = None
    made_from: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or str(Id.parse(self.id)) != self.id:
            raise ValueError(f"{self.id!r} is no id in its one spelling, as FILM/s0012")
        check_label(self.label)
        if type(self.value) is not int or self.value not in VALUES:
            raise ValueError(f"a label's value is 1, -1 or 0, not {self.value!r}")
        if self.source not in SOURCES:
            raise ValueError(f"a label's source is one of {', '.join(SOURCES)}")
        for name in ("query", "model", "made_from"):
            check_text(name, getattr(self, name), MOST_QUERY)
        score = self.score
        if score is not None and (type(score) not in (int, float) or not math.isfinite(score)):
            raise ValueError(f"the score of a label is a finite number, not {score!r}")


@dataclass(frozen=True)
class Entry:
    """A decision as the log has it.

    Attributes:
      sequence: of the line, counted from 1.
      group: sequence of the first line that was written with it; they are undone together.
      time: ISO 8601, UTC.
      author: who decided.
      decision: what.
    """

    sequence: int
    group: int
    time: str
    author: str
    decision: Decision

    def facts(self) -> dict[str, Any]:
        """What its line holds; what is not known is left out."""
        known = {key: value for key, value in asdict(self.decision).items() if value is not None}
        about = dict(sequence=self.sequence, group=self.group, time=self.time, author=self.author)
        return about | known


@dataclass(frozen=True)
class Undo:
    """A group that was taken back; `group` is that of the decisions."""

    sequence: int
    group: int
    time: str
    author: str

    def facts(self) -> dict[str, Any]:
        """What its line holds."""
        about = dict(sequence=self.sequence, undo=self.group)
        return about | dict(time=self.time, author=self.author)


def parse(facts: Any) -> Entry | Undo:
    """The entry of a line.

    Raises:
      ValueError, TypeError, KeyError: it is none.
    """
    facts = dict(facts)
    undone = facts.pop("undo", None)
    sequence, group = facts.pop("sequence"), facts.pop("group") if undone is None else undone
    if not all(type(number) is int and number > 0 for number in (sequence, group)):
        raise ValueError("its numbers are no whole numbers above 0")
    time, author = facts.pop("time"), facts.pop("author")
    check_text("time", time, 40)
    check_author(author)
    if undone is not None:
        return Undo(sequence, group, time, author, **facts)
    return Entry(sequence, group, time, author, Decision(**facts))


def check_label(label: object) -> None:
    """Raises unless it can be a label.

    Raises:
      ValueError: it is empty, too long, begins or ends with a space, or holds what cannot be seen.
    """
    text = label if isinstance(label, str) else ""
    if not 0 < len(text) <= MOST_LABEL or not text.isprintable() or text != text.strip():
        raise ValueError(
            f"{str(label)[:MOST_LABEL]!r} is no label: those are one line of 1 to {MOST_LABEL} "
            "characters without a space at either end"
        )


def check_author(author: object) -> None:
    """Raises unless it can be a name.

    Raises:
      ValueError: it is empty, too long, or holds what cannot be seen.
    """
    if not isinstance(author, str) or not author or not author.isprintable():
        raise ValueError("an author's name is one line of text")
    check_text("author", author, MOST_AUTHOR)


def check_text(name: str, text: object, most: int) -> None:
    """Raises unless it is None or a text that is not too long.

    Raises:
      ValueError: it is something else.
    """
    if text is not None and (not isinstance(text, str) or len(text) > most):
        raise ValueError(f"the {name} of a label is a text of at most {most} characters")
