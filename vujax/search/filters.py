"""Filters such as `year > 1990 and genre contains 'Drama'`, evaluated without running code.

    filter  = all { "or" all }
    all     = one { "and" one }
    one     = "not" one | "(" filter ")" | test
    test    = column ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) value
            | column "contains" value
            | column "is" [ "not" ] "null"
    value   = number | 'text' | "text" | true | false

Keywords are case-insensitive; a quote within a text is doubled; a column name that is not a word is
written in backquotes. As in SQL, a missing value matches only `is null`, also under `not`. A text
column that is compared with a number (all columns of a CSV file are text) is parsed as numbers, and
other texts count as missing. `contains` tests for an entry of a list or a part of a text, ignoring
case; `=` compares the exact text. Dates are compared with texts such as '2001-12-31'.
"""

import functools
import math
import re
from collections.abc import Callable, Iterable
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
MAX_DEPTH = 50  # nested parentheses
MAX_CHARACTERS = 10_000
EXAMPLE = "year > 1990 and genre contains 'Drama'"


@dataclass(frozen=True)
class Comparison:
    """Comparison of a column with a value."""

    column: str
    operator: str
    value: Value

    def __call__(self, column: Column) -> pa.Array:
        """Evaluate to bool `[n]`, null where the column has no value."""
        values = _decode(column(self.column))
        if self.operator == "contains":
            return _contains(self.column, values, self.value)
        return _compare(self.column, values, self.operator, self.value)


@dataclass(frozen=True)
class IsNull:
    """Test for missing values of a column."""

    column: str

    def __call__(self, column: Column) -> pa.Array:
        """Evaluate to bool `[n]`."""
        return pc.is_null(_decode(column(self.column)))


@dataclass(frozen=True)
class Not:
    """Negation of a filter."""

    part: "Filter"

    def __call__(self, column: Column) -> pa.Array:
        """Evaluate to bool `[n]`, null where the negated filter is null."""
        return pc.invert(self.part(column))


@dataclass(frozen=True)
class BooleanChain:
    """Conjunction or disjunction of filters in three-valued logic (Kleene)."""

    word: str
    parts: tuple["Filter", ...]

    def __call__(self, column: Column) -> pa.Array:
        """Evaluate to bool `[n]`."""
        how = pc.and_kleene if self.word == "and" else pc.or_kleene
        return functools.reduce(how, (part(column) for part in self.parts))


Filter = Comparison | IsNull | Not | BooleanChain


def compute_mask(text: str, column: Column) -> np.ndarray:
    """Compute a mask of the rows that pass a filter, bool `[n]`.

    Args:
      text: the filter.
      column: returns the values of a column, one per row; raises KeyError for unknown names.

    Raises:
      ValueError: the filter is invalid, or a column cannot be compared with the value.
      KeyError: a column is unknown.
    """
    return np.asarray(pc.fill_null(parse_filter(text)(column), False), bool)


def parse_filter(text: str) -> Filter:
    """Parse a filter.

    Raises:
      ValueError: the filter is invalid; names the position.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"a filter must have at most {MAX_CHARACTERS} characters, got {len(text)}")
    reader = _Reader(text)
    parsed = reader.parse_or(0)
    if reader.kind:
        raise reader.error("'and', 'or' or the end")
    return parsed


class _Reader:
    """Parser of a filter; `kind` and `word` describe the next token."""

    def __init__(self, text: str) -> None:
        self._text, self._place = text, 0
        self.kind: str | None = None
        self.word = ""
        self.next()

    def next(self) -> str:
        """Advance by one token and return it."""
        passed = self.word if self.kind else ""
        rest = self._text[self._place :]
        self._start = self._place + len(rest) - len(rest.lstrip())
        match = TOKEN.match(self._text, self._place)
        if match:
            self.kind, self.word, self._place = match.lastgroup, match[match.lastgroup], match.end()
        elif rest.strip():
            self.kind, self.word = "nothing", rest.strip()
            raise self.error("a column, a value or an operator")
        else:
            self.kind, self.word = None, ""
        return passed

    def is_word(self, *words: str) -> bool:
        """Return whether the next token is one of some words."""
        return self.is_in(words)

    def is_in(self, words: Iterable[str]) -> bool:
        """Return whether the next token is in a collection of words."""
        return self.kind in ("word", "sign") and self.word.lower() in words

    def error(self, wanted: str) -> ValueError:
        """Return the error for an unexpected token."""
        token = f"{self.word[:40]!r}" if self.kind else "end of filter"
        return ValueError(
            f"filter {self._text!r}, character {self._start + 1}: unexpected {token}, expected "
            f"{wanted}; write it like {EXAMPLE}"
        )

    def parse_or(self, depth: int) -> Filter:
        """Parse a chain of `or`."""
        if depth > MAX_DEPTH:
            raise self.error(f"at most {MAX_DEPTH} nested parentheses")
        return self._chain("or", lambda: self._chain("and", lambda: self._one(depth)))

    def _chain(self, word: str, part: Callable[[], Filter]) -> Filter:
        parts = [part()]
        while self.is_word(word):
            self.next()
            parts.append(part())
        return BooleanChain(word, tuple(parts)) if len(parts) > 1 else parts[0]

    def _one(self, depth: int) -> Filter:
        negated = False
        while self.is_word("not"):
            self.next()
            negated = not negated
        if self.is_word("("):
            self.next()
            parsed = self.parse_or(depth + 1)
            if not self.is_word(")"):
                raise self.error("')'")
            self.next()
        else:
            parsed = self._test()
        return Not(parsed) if negated else parsed

    def _test(self) -> Filter:
        if self.kind not in ("word", "quoted") or self.is_in(KEYWORDS):
            raise self.error("the name of a column")
        column = self.next().strip("`")
        if self.is_word("is"):
            self.next()
            return self._null(column)
        if not self.is_in(("contains", *COMPARISONS)):
            raise self.error("a comparison (=, <, contains, is null ...)")
        return Comparison(column, self.next().lower(), self._value())

    def _null(self, column: str) -> Filter:
        negated = self.is_word("not")
        if negated:
            self.next()
        if not self.is_word("null"):
            raise self.error("'null'")
        self.next()
        return Not(IsNull(column)) if negated else IsNull(column)

    def _value(self) -> Value:
        if self.kind == "number":
            return self._number()
        if self.kind == "text":
            word = self.next()
            return word[1:-1].replace(word[0] * 2, word[0])
        if self.is_word("true", "false"):
            return self.next().lower() == "true"
        raise self.error("a number, a text in quotes, true or false")

    def _number(self) -> int | float:
        number = float(self.word)
        if not math.isfinite(number):
            raise self.error("a number of a double's size")
        word = self.next()
        return number if set(word) & set(".eE") else int(word)


def _decode(values: pa.Array) -> pa.Array:
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(test(kind) for test in tests)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _all_null(values: pa.Array) -> pa.Array:
    return pa.nulls(len(values), pa.bool_())


def _compare(name: str, values: pa.Array, how: str, value: Value) -> pa.Array:
    kind, compare = values.type, COMPARISONS[how]
    if pa.types.is_null(kind):
        return _all_null(values)
    if _is_list(kind):
        raise ValueError(f"column {name} holds lists; use {name} contains {_format(value)}")
    if isinstance(value, bool) or pa.types.is_boolean(kind):
        if not (isinstance(value, bool) and pa.types.is_boolean(kind)):
            raise _type_error(name, kind, value)
        return compare(values, pa.scalar(value))
    if isinstance(value, int) and pa.types.is_integer(kind) and abs(value) < 2**63:
        return compare(values, pa.scalar(value))  # above 2^53, doubles would be equal
    if isinstance(value, int | float):
        return compare(_numbers(name, values, value), pa.scalar(float(value)))
    if _is_text(kind):
        return compare(values, pa.scalar(value, kind))
    if pa.types.is_temporal(kind):
        return compare(values, _moment(name, kind, value))
    raise _type_error(name, kind, value)


def _numbers(name: str, values: pa.Array, value: Value) -> pa.Array:
    """Return a column as float64."""
    if _is_number(values.type):
        return values.cast(pa.float64(), safe=False)
    if not _is_text(values.type):
        raise _type_error(name, values.type, value)
    are = pc.match_substring_regex(values, NUMBER)
    if len(values) > values.null_count and not pc.any(are).as_py():
        raise ValueError(
            f"column {name} holds texts that are not numbers; compare it with a text in quotes"
        )
    texts = pc.if_else(are, values, pa.scalar(None, values.type))
    return pc.utf8_trim_whitespace(texts).cast(pa.float64())


def _moment(name: str, kind: pa.DataType, text: str) -> pa.Scalar:
    try:
        return pa.scalar(text).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise _type_error(name, kind, text) from None


def _contains(name: str, values: pa.Array, value: Value) -> pa.Array:
    kind = values.type
    if pa.types.is_null(kind):
        return _all_null(values)
    if _is_text(kind) and isinstance(value, str):
        return pc.match_substring(values, value, ignore_case=True)
    if not _is_list(kind):
        raise _type_error(name, kind, value)
    entries = pc.list_flatten(values)
    if isinstance(value, str) and _is_text(entries.type):
        entries, value = pc.utf8_lower(entries), value.lower()
    hits = pc.fill_null(_compare(name, entries, "=", value), False).to_numpy(zero_copy_only=False)
    matches = np.zeros(len(values), bool)
    matches[pc.list_parent_indices(values).to_numpy()[hits]] = True
    return pa.array(matches, mask=values.is_null().to_numpy(zero_copy_only=False))


def _format(value: Value) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _type_error(name: str, kind: pa.DataType, value: Value) -> ValueError:
    return ValueError(f"column {name} of type {kind} cannot be compared with {_format(value)}")
