"""Requests of the labeling page: strict parsing of request bodies."""

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
"""Filters of items: all, unreviewed, positive, negative, or doubtful, that is, reviewed ones that a
classifier trained without them contradicts."""

MAX_TERMS, MAX_IDS, MAX_ROWS, MAX_SAMPLE = 20, 50_000, 1000, 1000
MAX_WEIGHT = 1000.0


@dataclass(frozen=True)
class QueryTerm:
    """A text to search for, or, with a negative weight, to avoid."""

    text: str
    weight: float


@dataclass(frozen=True)
class SearchRequest:
    """Parameters of a ranking.

    Attributes:
      level: 'frame', 'shot' or 'scene'.
      set: name of the label set.
      label: active label; '' for none.
      terms: texts to search for.
      where: filter; '' for none.
      status: one of STATUSES.
      like: ids of positive examples.
      unlike: ids of negative examples.
      learn: use labels as examples too.
      fold: show only the best item of each group of near-duplicates.
      tags: rank by the scores of a tagger.
      at: last sequence of the label set to use; None: all. The result of a search names it, so that
        later requests refer to the same ranking.
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
        """Parse a body.

        Raises:
          ValueError: it is malformed.
        """
        keys = tuple(cls.__dataclass_fields__)
        _check_fields(body, keys)
        flags = {name: _flag(body, name) for name in ("learn", "fold", "tags") if name in body}
        return cls(
            level=_choice(body, "level", LEVELS[:3]),
            set=sets.check_name(body.get("set")),
            label=_label(body),
            terms=tuple(_parse_term(term) for term in _list(body, "terms", MAX_TERMS)),
            where=_text(body, "where", 5000),
            status=_choice(body, "status", STATUSES, "all"),
            like=_ids(body, "like", 200),
            unlike=_ids(body, "unlike", 200),
            at=None if body.get("at") is None else _numbers({"at": [body["at"]]}, "at", 1)[0],
            **flags,
        )


@dataclass(frozen=True)
class ItemsRequest:
    """Rows of a ranking whose items to describe."""

    level: str
    rows: tuple[int, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Parse a body; raises ValueError for a malformed one."""
        _check_fields(body, ("level", "rows"))
        return cls(_choice(body, "level", LEVELS[:3]), _numbers(body, "rows", MAX_ROWS))


@dataclass(frozen=True)
class LabelRequest:
    """Decisions about items.

    Attributes:
      set: name of the label set.
      label: name of the label.
      value: 1, -1 or 0.
      ids: ids of the items.
      scores: scores of the items.
      author: author; '' for the user who started the server.
      query: search query.
      sampled: True for items of a random sample.
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
        """Parse a body; raises ValueError for a malformed one."""
        _check_fields(body, tuple(cls.__dataclass_fields__))
        check_label(body.get("label"))
        ids = _ids(body, "ids", MAX_IDS)
        scores = _list(body, "scores", MAX_IDS) or [None] * len(ids)
        if not ids or len(scores) != len(ids):
            raise ValueError("`ids` must have at least one item, and `scores` one number for each")
        value = body.get("value")
        if type(value) is not int or value not in (1, -1, 0):
            raise ValueError("`value` must be 1, -1 or 0")
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
    """Undo of the last group of an author."""

    set: str
    author: str

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Parse a body; raises ValueError for a malformed one."""
        _check_fields(body, ("set", "author"))
        return cls(sets.check_name(body.get("set")), _author(body))


@dataclass(frozen=True)
class RedoRequest:
    """Redo of an undone group of decisions."""

    set: str
    author: str
    group: int

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Parse a body; raises ValueError for a malformed one."""
        _check_fields(body, ("set", "author", "group"))
        (group,) = _numbers({"group": [body.get("group")]}, "group", 1)
        return cls(sets.check_name(body.get("set")), _author(body), group)


@dataclass(frozen=True)
class ThresholdRequest:
    """Items to count, or to sample, above a threshold of a ranking.

    Attributes:
      ask: parameters of the ranking.
      label: label whose precision to estimate; may differ from that of the ranking.
      threshold: minimum score.
      count: number of items to sample.
      rows: rows of an earlier sample.
    """

    ask: SearchRequest
    label: str
    threshold: float
    count: int
    rows: tuple[int, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Parse a body; raises ValueError for a malformed one."""
        _check_fields(body, ("ask", "label", "threshold", "count", "rows"))
        ask = body.get("ask")
        if not isinstance(ask, dict):
            raise ValueError("`ask` must be an object")
        count = body.get("count", 50)
        if type(count) is not int or not 1 <= count <= MAX_SAMPLE:
            raise ValueError(f"`count` must be an integer from 1 to {MAX_SAMPLE}")
        rows = _numbers(body, "rows", MAX_SAMPLE)
        threshold = _finite(body.get("threshold"), "threshold")
        return cls(SearchRequest.from_json(ask), _label(body), threshold, count, rows)


@dataclass(frozen=True)
class ExportRequest:
    """An export of a label set.

    Attributes:
      set: name of the label set.
      format: a name of `exports.FORMATS`.
      labels: labels to export; None: all.
      images: images to export; '' for the default of the format.
    """

    set: str
    format: str
    labels: tuple[str, ...] | None
    images: str

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Parse a body; raises ValueError for a malformed one."""
        _check_fields(body, ("set", "format", "labels", "pictures"))
        labels = tuple(_list(body, "labels", 200)) if "labels" in body else None
        if labels == ():
            raise ValueError("no label is chosen, so nothing was exported; choose at least one")
        for label in labels or ():
            check_label(label)
        format, images = _text(body, "format", 40), _text(body, "pictures", 40)
        return cls(sets.check_name(body.get("set")), format, labels, images)


def parse_body(data: bytes) -> dict[str, Any]:
    """Decode the JSON object of a body.

    Raises:
      ValueError: it is not a JSON object.
    """
    try:
        body = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("a request must be a JSON object") from None
    if not isinstance(body, dict):
        raise ValueError("a request must be a JSON object")
    return body


def _check_fields(body: Mapping[str, Any], names: Sequence[str]) -> None:
    other = [name for name in body if name not in names]
    if other:
        raise ValueError(f"unknown field {other[0][:40]!r}; expected one of: {', '.join(names)}")


def _text(body: Mapping[str, Any], name: str, max_length: int) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > max_length:
        raise ValueError(f"`{name}` must be a text of at most {max_length} characters")
    return value.strip()


def _choice(
    body: Mapping[str, Any], name: str, choices: Sequence[str], default: str | None = None
) -> str:
    value = body.get(name, default)
    if value not in choices:
        raise ValueError(f"`{name}` must be one of: {', '.join(choices)}")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    if not isinstance(body[name], bool):
        raise ValueError(f"`{name}` must be true or false")
    return body[name]


def _list(body: Mapping[str, Any], name: str, max_length: int) -> list[Any]:
    value = body.get(name, [])
    if not isinstance(value, list) or len(value) > max_length:
        raise ValueError(f"`{name}` must be a list of at most {max_length}")
    return value


def _each(
    body: Mapping[str, Any],
    name: str,
    max_length: int,
    is_valid: Callable[[Any], bool],
    expected: str,
) -> tuple[Any, ...]:
    values = _list(body, name, max_length)
    if not all(map(is_valid, values)):
        raise ValueError(f"`{name}` must contain only {expected}")
    return tuple(values)


def _ids(body: Mapping[str, Any], name: str, max_length: int) -> tuple[str, ...]:
    return _each(body, name, max_length, _is_id, "ids such as FILM/s0012")


def _is_id(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) < 400 and str(Id.parse(value)) == value
    except ValueError:
        return False


def _numbers(body: Mapping[str, Any], name: str, max_length: int) -> tuple[int, ...]:
    return _each(body, name, max_length, _is_index, "integers from 0")


def _is_index(value: Any) -> bool:
    return type(value) is int and value >= 0


def _finite(value: Any, name: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"`{name}` must be a finite number")
    return float(value)


def _parse_term(term: Any) -> QueryTerm:
    if not isinstance(term, dict):
        raise ValueError("`terms` must be objects with `text` and `weight`")
    _check_fields(term, ("text", "weight"))
    text, weight = _text(term, "text", 500), _finite(term.get("weight", 1), "weight")
    if not text:
        raise ValueError("a term of the query is empty; enter a text to search for")
    if not 0 < abs(weight) <= MAX_WEIGHT:
        raise ValueError(f"the weight of a term must not be 0, and at most {MAX_WEIGHT:g}")
    return QueryTerm(text, weight)


def _label(body: Mapping[str, Any]) -> str:
    """Return the label of a body, '' for none."""
    label = body.get("label", "")
    if label != "":
        check_label(label)
    return label


def _author(body: Mapping[str, Any]) -> str:
    author = _text(body, "author", 64)
    if author:
        check_author(author)
    return author
