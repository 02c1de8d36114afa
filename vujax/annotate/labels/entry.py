"""Lines of a label set: decisions about the label of an item, and undos of decisions."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from vujax.catalog.ids import Id

VALUES = (1, -1, 0)
"""The label applies, does not apply, or is unknown (again)."""

MAX_LABEL_LENGTH, MAX_AUTHOR_LENGTH, MAX_QUERY_LENGTH = 100, 64, 1000  # characters
SOURCES = ("page", "sample", "import", "command")
"""Origins of decisions; only items drawn as a random 'sample' give unbiased estimates."""


@dataclass(frozen=True)
class Decision:
    """A decision about one label of one item.

    Attributes:
      id: canonical id of a keyframe, shot, scene or film.
      label: name of the label.
      value: one of VALUES.
      source: one of SOURCES.
      query: search query that found the item.
      score: score of the item for the query.
      model: sha256 of the model behind the score.
      made_from: hash of the contents behind the item; it changes when the film is ingested again
        with other shots.
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
            raise ValueError(f"invalid id {self.id!r}; ids are spelled as FILM/s0012")
        check_label(self.label)
        if type(self.value) is not int or self.value not in VALUES:
            raise ValueError(f"the value of a label must be 1, -1 or 0, got {self.value!r}")
        if self.source not in SOURCES:
            raise ValueError(
                f"unknown source of a label {self.source!r}; expected one of: {', '.join(SOURCES)}"
            )
        for name in ("query", "model", "made_from"):
            check_text(name, getattr(self, name), MAX_QUERY_LENGTH)
        score = self.score
        if score is not None and (type(score) not in (int, float) or not math.isfinite(score)):
            raise ValueError(f"the score of a label must be a finite number, got {score!r}")


@dataclass(frozen=True)
class Entry:
    """A decision as recorded in the log.

    Attributes:
      sequence: number of the line, from 1.
      group: sequence of the first line written in the same append; a group is undone as a whole.
      time: ISO 8601, UTC.
      author: name of the person who decided.
      decision: the decision.
    """

    sequence: int
    group: int
    time: str
    author: str
    decision: Decision

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of the line, without unknown values."""
        known = {key: value for key, value in asdict(self.decision).items() if value is not None}
        head = dict(sequence=self.sequence, group=self.group, time=self.time, author=self.author)
        return head | known


@dataclass(frozen=True)
class Undo:
    """The undo of a group of decisions.

    Attributes:
      sequence: number of the line, from 1.
      group: the group that is undone.
      time: ISO 8601, UTC.
      author: name of the person who undid it.
    """

    sequence: int
    group: int
    time: str
    author: str

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of the line."""
        return dict(sequence=self.sequence, undo=self.group, time=self.time, author=self.author)


def parse_entry(line: Any) -> Entry | Undo:
    """Parse the JSON object of a line.

    Raises:
      ValueError, TypeError, KeyError: it is not an entry.
    """
    fields = dict(line)
    undone = fields.pop("undo", None)
    sequence, group = fields.pop("sequence"), fields.pop("group") if undone is None else undone
    if not all(type(number) is int and number > 0 for number in (sequence, group)):
        raise ValueError("its numbers must be positive integers")
    time, author = fields.pop("time"), fields.pop("author")
    check_text("time", time, 40)
    check_author(author)
    if undone is not None:
        return Undo(sequence, group, time, author, **fields)
    return Entry(sequence, group, time, author, Decision(**fields))


def check_label(label: object) -> None:
    """Check the name of a label.

    Raises:
      ValueError: it is empty, too long, has a space at either end, or is not printable.
    """
    text = label if isinstance(label, str) else ""
    if not 0 < len(text) <= MAX_LABEL_LENGTH or not text.isprintable() or text != text.strip():
        raise ValueError(
            f"invalid label {str(label)[:MAX_LABEL_LENGTH]!r}; use one line of 1 to "
            f"{MAX_LABEL_LENGTH} characters without a space at either end"
        )


def check_author(author: object) -> None:
    """Check the name of an author.

    Raises:
      ValueError: it is empty, too long, or not printable.
    """
    if not isinstance(author, str) or not author or not author.isprintable():
        raise ValueError("the name of an author must be one line of text")
    check_text("author", author, MAX_AUTHOR_LENGTH)


def check_text(name: str, text: object, max_length: int) -> None:
    """Check that a field is None or a text of at most `max_length` characters.

    Raises:
      ValueError: it is not.
    """
    if text is not None and (not isinstance(text, str) or len(text) > max_length):
        raise ValueError(f"the {name} of a label must be a text of at most {max_length} characters")
