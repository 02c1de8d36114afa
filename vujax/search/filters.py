"""Filters: `year > 1990 and genre contains 'Drama'`, read and computed without running any code.

    filter  = all { "or" all }
    all     = one { "and" one }
    one     = "not" one | "(" filter ")" | test
    test    = column ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) value
            | column "contains" value
            | column "is" [ "not" ] "null"
    value   = number | 'text' | "text" | true | false

Words are read in any case; a quote within a text is doubled; a column whose name is no word stands
between backquotes. A missing value matches nothing but `is null`, with `not` before it too, as in
SQL. A text column that is compared with a number (all columns of a CSV file are text) is read as
numbers, and texts that are none are missing values. `contains` asks whether a list has an entry, or
a text a part, whatever the case of letters; `=` wants the whole text as it is written. Dates are
compared with texts such as '2001-12-31'.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Column = Callable[[str], pa.Array]
Value = float | int | str | bool

COMPARISONS = {
    "=": pc.equal,
    "==": pc.equal,
    "!=": pc.not_equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<quoted>`[^`]+`)
      | (?P<word>[^\W\d][\w.]*)
      | (?P<sign>==|!=|<>|<=|>=|[=<>()])
    )""",
    re.VERBOSE,
)
NUMBER = r"^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$"
KEYWORDS = ("and", "or", "not", "contains", "is", "null", "true", "false")
MOST_DEPTH = 50  # parentheses within each other
MOST_CHARACTERS = 10_000
EXAMPLE = "year > 1990 and genre contains 'Drama'"


@dataclass(frozen=True)
class Comparison:
    """A column compared with a value."""

    column: str
    how: str
    value: Value

    def __call__(self, column: Column) -> pa.Array:
        """Bool `[n]`, null where the column has no value."""
        values = _plain(column(self.column))
        if self.how == "contains":
            return _contains(self.column, values, self.value)
        return _compare(self.column, values, self.how, self.value)


@dataclass(frozen=True)
class Null:
    """Whether a column has no value."""

    column: str

    def __call__(self, column: Column) -> pa.Array:
        """Bool `[n]`."""
        return pc.is_null(_plain(column(self.column)))


@dataclass(frozen=True)
class Not:
    """The opposite of a part."""

    part: "Filter"

    def __call__(self, column: Column) -> pa.Array:
        """Bool `[n]`, null where the part is."""
        return pc.invert(self.part(column))


@dataclass(frozen=True)
class Chain:
    """`and` or `or` of parts, in the logic of three values (Kleene's)."""

    word: str
    parts: tuple["Filter", ...]

    def __call__(self, column: Column) -> pa.Array:
        """Bool `[n]`."""
        how = pc.and_kleene if self.word == "and" else pc.or_kleene
        return functools.reduce(how, (part(column) for part in self.parts))


Filter = Comparison | Null | Not | Chain


def mask(text: str, column: Column) -> np.ndarray:
    """Which rows a filter keeps, bool `[n]`.

    Args:
      text: of the filter.
      column: gives the values of a column by its name, one a row; raises KeyError for a name that
        there is not.

    Raises:
      ValueError: the text is no filter, or a column cannot be compared with the value.
      KeyError: there is no such column.
    """
    return np.asarray(pc.fill_null(parse(text)(column), False), bool)


def parse(text: str) -> Filter:
    """Reads a filter.

    Raises:
      ValueError: it is none; says where.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"a filter has at most {MOST_CHARACTERS} characters, not {len(text)}")
    reader = _Reader(text)
    found = reader.any_of(0)
    if reader.kind:
        raise reader.mistake("'and', 'or' or its end")
    return found


class _Reader:
    """Goes through a filter's words; `kind` and `word` are of the one that comes next."""

    def __init__(self, text: str) -> None:
        self._text, self._place = text, 0
        self.kind: str | None = None
        self.word = ""
        self.next()

    def next(self) -> str:
        """Passes over a word and gives it."""
        passed = self.word if self.kind else ""
        rest = self._text[self._place :]
        self._begin = self._place + len(rest) - len(rest.lstrip())
        match = TOKEN.match(self._text, self._place)
        if match:
            self.kind, self.word, self._place = match.lastgroup, match[match.lastgroup], match.end()
        elif rest.strip():
            self.kind, self.word = "nothing", rest.strip()
            raise self.mistake("a column, a value or a sign")
        else:
            self.kind, self.word = None, ""
        return passed

    def is_word(self, *words: str) -> bool:
        """Whether one of these comes next."""
        return self.kind in ("word", "sign") and self.word.lower() in words

    def mistake(self, wanted: str) -> ValueError:
        """What to raise."""
        there = f"{self.word[:40]!r}" if self.kind else "its end"
        return ValueError(
            f"the filter {self._text!r} has {there} at character {self._begin + 1} where {wanted} "
            f"should be: write it like {EXAMPLE}"
        )

    def any_of(self, depth: int) -> Filter:
        if depth > MOST_DEPTH:
            raise self.mistake(f"no more than {MOST_DEPTH} parentheses within each other")
        return self._chain("or", lambda: self._chain("and", lambda: self._one(depth)))

    def _chain(self, word: str, part: Callable[[], Filter]) -> Filter:
        parts = [part()]
        while self.is_word(word):
            self.next()
            parts.append(part())
        return Chain(word, tuple(parts)) if len(parts) > 1 else parts[0]

    def _one(self, depth: int) -> Filter:
        negated = False
        while self.is_word("not"):
            self.next()
            negated = not negated
        if self.is_word("("):
            self.next()
            found = self.any_of(depth + 1)
            if not self.is_word(")"):
                raise self.mistake("')'")
            self.next()
        else:
            found = self._test()
        return Not(found) if negated else found

    def _test(self) -> Filter:
        if self.kind not in ("word", "quoted") or self.is_word(*KEYWORDS):
            raise self.mistake("the name of a column")
        column = self.next().strip("`")
        if self.is_word("is"):
            self.next()
            return self._null(column)
        if not self.is_word("contains", *COMPARISONS):
            raise self.mistake("a comparison (=, <, contains, is null ...)")
        return Comparison(column, self.next().lower(), self._value())

    def _null(self, column: str) -> Filter:
        negated = self.is_word("not")
        if negated:
            self.next()
        if not self.is_word("null"):
            raise self.mistake("'null'")
        self.next()
        return Not(Null(column)) if negated else Null(column)

    def _value(self) -> Value:
        if self.kind == "number":
            word = self.next()
            return float(word) if set(word) & set(".eE") else int(word)
        if self.kind == "text":
            word = self.next()
            return word[1:-1].replace(word[0] * 2, word[0])
        if self.is_word("true", "false"):
            return self.next().lower() == "true"
        raise self.mistake("a number, a text in quotes, true or false")


def _plain(values: pa.Array) -> pa.Array:
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(test(kind) for test in tests)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _nowhere(values: pa.Array) -> pa.Array:
    return pa.nulls(len(values), pa.bool_())


def _compare(name: str, values: pa.Array, how: str, value: Value) -> pa.Array:
    kind, compare = values.type, COMPARISONS[how]
    if pa.types.is_null(kind):
        return _nowhere(values)
    if _is_list(kind):
        raise ValueError(f"the column {name} holds lists: use {name} contains {_written(value)}")
    if isinstance(value, bool) or pa.types.is_boolean(kind):
        if not (isinstance(value, bool) and pa.types.is_boolean(kind)):
            raise _unfit(name, kind, value)
        return compare(values, pa.scalar(value))
    if isinstance(value, int | float):
        return compare(_numbers(name, values, value), pa.scalar(float(value)))
    if _is_text(kind):
        return compare(values, pa.scalar(value, kind))
    if pa.types.is_temporal(kind):
        return compare(values, _moment(name, kind, value))
    raise _unfit(name, kind, value)


def _numbers(name: str, values: pa.Array, value: Value) -> pa.Array:
    """A column as float64."""
    if _is_number(values.type):
        return values.cast(pa.float64(), safe=False)
    if not _is_text(values.type):
        raise _unfit(name, values.type, value)
    are = pc.match_substring_regex(values, NUMBER)
    if len(values) > values.null_count and not pc.any(are).as_py():
        raise ValueError(
            f"the column {name} holds texts that are no numbers: compare it with a text in quotes"
        )
    texts = pc.if_else(are, values, pa.scalar(None, values.type))
    return pc.utf8_trim_whitespace(texts).cast(pa.float64())


def _moment(name: str, kind: pa.DataType, text: str) -> pa.Scalar:
    try:
        return pa.scalar(text).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise _unfit(name, kind, text) from None


def _contains(name: str, values: pa.Array, value: Value) -> pa.Array:
    kind = values.type
    if pa.types.is_null(kind):
        return _nowhere(values)
    if _is_text(kind) and isinstance(value, str):
        return pc.match_substring(values, value, ignore_case=True)
    if not _is_list(kind):
        raise _unfit(name, kind, value)
    entries = pc.list_flatten(values)
    if isinstance(value, str) and _is_text(entries.type):
        entries, value = pc.utf8_lower(entries), value.lower()
    hits = pc.fill_null(_compare(name, entries, "=", value), False).to_numpy(zero_copy_only=False)
    found = np.zeros(len(values), bool)
    found[pc.list_parent_indices(values).to_numpy()[hits]] = True
    return pa.array(found, mask=values.is_null().to_numpy(zero_copy_only=False))


def _written(value: Value) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _unfit(name: str, kind: pa.DataType, value: Value) -> ValueError:
    return ValueError(
        f"the column {name} holds {kind}, which cannot be compared with {_written(value)}"
    )
