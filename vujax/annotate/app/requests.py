"""What a request may say: each body is read into one of these, and everything else is refused."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from vujax.annotate.labels import sets
from vujax.annotate.labels.entry import MAX_QUERY_LENGTH, check_author, check_label
from vujax.annotate.labels.items import LEVELS
from vujax.catalog.ids import Id

STATUSES = ("all", "open", "yes", "no", "doubt")
"""Which items: all, not reviewed, those of which the label holds or not, or reviewed ones that the
classifier, which was not shown them, sees otherwise."""

MAX_TERMS, MAX_IDS, MAX_ROWS, MAX_SAMPLE = 20, 50_000, 1000, 1000
MAX_WEIGHT = 1000.0


@dataclass(frozen=True)
class QueryTerm:
    """A text that is looked for, or not wanted where its weight is below 0."""

    text: str
    weight: float


@dataclass(frozen=True)
class SearchRequest:
    """What to rank.

    Attributes:
      level: 'frame', 'shot' or 'scene'.
      set: the label set.
      label: that is worked on; '' for none.
      terms: texts to look for.
      where: a filter, '' for none.
      status: one of STATUSES.
      like: ids of examples.
      unlike: ids of what is not wanted.
      learn: whether what was labelled are examples too.
      fold: whether of what is nearly the same only the best is shown.
      tags: whether to rank by the tagger's file.
      at: sequence of the label set whose labels count; None: all. A ranking says which it took, so
        that what is asked of it later is of the same one.
    """

    level: str
    set: str
    label: str = ""
    terms: tuple[QueryTerm, ...] = ()
    where: str = ""
    status: str = "all"
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    learn: bool = False
    fold: bool = True
    tags: bool = False
    at: int | None = None

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Reads it.

        Raises:
          ValueError: it says something else.
        """
        keys = tuple(cls.__dataclass_fields__)
        _only(body, keys)
        flags = {name: _flag(body, name) for name in ("learn", "fold", "tags") if name in body}
        return cls(
            level=_choice(body, "level", LEVELS[:3]),
            set=sets.check_name(body.get("set")),
            label=_label(body),
            terms=tuple(_term(one) for one in _list(body, "terms", MAX_TERMS)),
            where=_text(body, "where", 5000),
            status=_choice(body, "status", STATUSES, "all"),
            like=_ids(body, "like", 200),
            unlike=_ids(body, "unlike", 200),
            at=body.get("at")
            if body.get("at") is None
            else _numbers({"at": [body["at"]]}, "at", 1)[0],
            **flags,
        )


@dataclass(frozen=True)
class ItemsRequest:
    """Items by the numbers that a ranking gave."""

    level: str
    rows: tuple[int, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Reads it; raises ValueError."""
        _only(body, ("level", "rows"))
        return cls(_choice(body, "level", LEVELS[:3]), _numbers(body, "rows", MAX_ROWS))


@dataclass(frozen=True)
class LabelRequest:
    """Decisions about items.

    Attributes:
      set: label set.
      label: it.
      value: 1, -1 or 0.
      ids: of the items.
      scores: of each.
      author: who says so; '' for the user who started the server.
      query: what was looked for.
      sampled: whether the items were drawn at random.
    """

    set: str
    label: str
    value: int
    ids: tuple[str, ...]
    scores: tuple[float | None, ...]
    author: str
    query: str
    sampled: bool

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Reads it; raises ValueError."""
        _only(body, tuple(cls.__dataclass_fields__))
        check_label(body.get("label"))
        ids = _ids(body, "ids", MAX_IDS)
        scores = _list(body, "scores", MAX_IDS) or [None] * len(ids)
        if not ids or len(scores) != len(ids):
            raise ValueError("`ids` names at least one item, and `scores` has one for each")
        value = body.get("value")
        if type(value) is not int or value not in (1, -1, 0):
            raise ValueError("`value` is 1, -1 or 0")
        return cls(
            sets.check_name(body.get("set")),
            body["label"],
            value,
            ids,
            tuple(None if s is None else _finite(s, "scores") for s in scores),
            _author(body),
            _text(body, "query", MAX_QUERY_LENGTH),
            _flag(body, "sampled") if "sampled" in body else False,
        )


@dataclass(frozen=True)
class UndoRequest:
    """To take back the last group of an author."""

    set: str
    author: str

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Reads it; raises ValueError."""
        _only(body, ("set", "author"))
        return cls(sets.check_name(body.get("set")), _author(body))


@dataclass(frozen=True)
class ThresholdRequest:
    """What to count, or to draw, above a threshold of a ranking.

    Attributes:
      ask: the ranking.
      label: whose share is counted; that of the ranking may be another, or none.
      threshold: least score.
      count: how many to draw.
      rows: of a sample that was drawn.
    """

    ask: SearchRequest
    label: str
    threshold: float
    count: int
    rows: tuple[int, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Reads it; raises ValueError."""
        _only(body, ("ask", "label", "threshold", "count", "rows"))
        ask = body.get("ask")
        if not isinstance(ask, dict):
            raise ValueError("`ask` is an object")
        count = body.get("count", 50)
        if type(count) is not int or not 1 <= count <= MAX_SAMPLE:
            raise ValueError(f"`count` is a whole number from 1 to {MAX_SAMPLE}")
        rows = _numbers(body, "rows", MAX_SAMPLE)
        threshold = _finite(body.get("threshold"), "threshold")
        return cls(SearchRequest.from_json(ask), _label(body), threshold, count, rows)


@dataclass(frozen=True)
class ExportRequest:
    """An export."""

    set: str
    format: str
    labels: tuple[str, ...]
    images: str

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Reads it; raises ValueError."""
        _only(body, ("set", "format", "labels", "pictures"))
        labels = tuple(_list(body, "labels", 200))
        for label in labels:
            check_label(label)
        words = (_text(body, name, 40) for name in ("format", "pictures"))
        format, pictures = words
        return cls(sets.check_name(body.get("set")), format, labels, pictures)


def parse_body(data: bytes) -> dict[str, Any]:
    """The object of a body.

    Raises:
      ValueError: it is none.
    """
    try:
        body = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("a request is an object in JSON") from None
    if not isinstance(body, dict):
        raise ValueError("a request is an object in JSON")
    return body


def _only(body: Mapping[str, Any], names: Sequence[str]) -> None:
    other = [name for name in body if name not in names]
    if other:
        raise ValueError(f"a request has no {other[0][:40]!r}: it has {', '.join(names)}")


def _text(body: Mapping[str, Any], name: str, most: int) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"`{name}` is a text of at most {most} characters")
    return value.strip()


def _choice(
    body: Mapping[str, Any], name: str, choices: Sequence[str], default: str | None = None
) -> str:
    value = body.get(name, default)
    if value not in choices:
        raise ValueError(f"`{name}` is one of {', '.join(choices)}")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    if not isinstance(body[name], bool):
        raise ValueError(f"`{name}` is true or false")
    return body[name]


def _list(body: Mapping[str, Any], name: str, most: int) -> list[Any]:
    value = body.get(name, [])
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"`{name}` is a list of at most {most}")
    return value


def _each(
    body: Mapping[str, Any], name: str, most: int, good: Callable[[Any], bool], what: str
) -> tuple[Any, ...]:
    values = _list(body, name, most)
    if not all(map(good, values)):
        raise ValueError(f"`{name}` has {what} alone")
    return tuple(values)


def _ids(body: Mapping[str, Any], name: str, most: int) -> tuple[str, ...]:
    return _each(body, name, most, _is_id, "ids, as FILM/s0012,")


def _is_id(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) < 400 and str(Id.parse(value)) == value
    except ValueError:
        return False


def _numbers(body: Mapping[str, Any], name: str, most: int) -> tuple[int, ...]:
    return _each(body, name, most, lambda v: type(v) is int and v >= 0, "whole numbers from 0")


def _finite(value: Any, name: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"`{name}` is a finite number")
    return float(value)


def _term(one: Any) -> QueryTerm:
    if not isinstance(one, dict):
        raise ValueError("`terms` are objects with `text` and `weight`")
    _only(one, ("text", "weight"))
    text, weight = _text(one, "text", 500), _finite(one.get("weight", 1), "weight")
    if not text:
        raise ValueError("a term of the query is empty: write what to look for")
    if not 0 < abs(weight) <= MAX_WEIGHT:
        raise ValueError(f"the weight of a term is not 0, and at most {MAX_WEIGHT:g}")
    return QueryTerm(text, weight)


def _label(body: Mapping[str, Any]) -> str:
    """A label, or '' for none."""
    label = body.get("label", "")
    if label != "":
        check_label(label)
    return label


def _author(body: Mapping[str, Any]) -> str:
    author = _text(body, "author", 64)
    if author:
        check_author(author)
    return author
