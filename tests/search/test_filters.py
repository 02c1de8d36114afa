"""Filters compared with plain Python, and invalid filters."""

import datetime
import operator
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vujax.search import filters

COLUMNS = {
    "year": pa.array([1985, None, 2001, 1990, 1990, -3]),
    "score": pa.array([0.5, 7.0, None, -1.5, 1e3, 0.0]),
    "title": pa.array(["Heat", "it's", None, "the heat", "", "HEAT 2"]),
    "text_year": pa.array(["1985", " 2001 ", None, "unknown", "1e3", "-4.5"]),
    "genres": pa.array([["Drama"], ["Crime", "drama"], None, [], ["Melodrama"], [None, "Comedy"]]),
    "codes": pa.array([[1, 2], [3], None, [], [2], [5]]),
    "sound": pa.array([True, False, None, True, True, False]),
    "day": pa.array([datetime.date(2001, 2, 3), None, *[datetime.date(1999, 1, 1)] * 4]),
    "nothing": pa.nulls(6),
    "kind": pa.array(["a", "b", "a", None, "b", "a"]).dictionary_encode(),
    "two words": pa.array([1, 2, 3, 4, 5, 6]),
}


def column(name: str) -> pa.ChunkedArray:
    if name not in COLUMNS:
        raise KeyError(f"unknown column {name}; expected one of: {', '.join(COLUMNS)}")
    values = COLUMNS[name]
    return pa.chunked_array([values[:2], values[2:]])


def rows(text: str) -> list[int]:
    return np.flatnonzero(filters.compute_mask(text, column)).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year>1990", [2]),
        ("year >= 1990 AND year <> 2001", [3, 4]),
        ("not year = 1990", [0, 2, 5]),
        ("year is null", [1]),
        ("year is not null and not (year > 0)", [5]),
        ("score > -2 and score < .75", [0, 3, 5]),
        ("score = 1e3", [4]),
        ("year = 1990.0", [3, 4]),
        ("title = 'Heat'", [0]),
        ("title contains 'heat'", [0, 3, 5]),
        ("title = 'it''s'", [1]),
        ('title == "it\'s"', [1]),
        ("title != ''", [0, 1, 3, 5]),
        ("text_year > 1990", [1]),
        ("text_year < 1500", [4, 5]),
        ("genres contains 'Drama'", [0, 1]),
        ("not genres contains 'drama'", [3, 4, 5]),
        ("genres is null", [2]),
        ("codes contains 2", [0, 4]),
        ("sound = true", [0, 3, 4]),
        ("sound != TRUE", [1, 5]),
        ("day > '2000-01-01'", [0]),
        ("nothing = 3 or nothing contains 'x'", []),
        ("nothing is null", [0, 1, 2, 3, 4, 5]),
        ("kind = 'a'", [0, 2, 5]),
        ("`two words` > 4", [4, 5]),
        ("year > 0 or year is null and title contains 'x'", [0, 2, 3, 4]),
        ("(year > 0 or year is null) and title contains 's'", [1]),
        ("not not year = 1985", [0]),
    ],
)
def test_what_filters_keep(text: str, expected: list[int]) -> None:
    assert rows(text) == expected


SIGNS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def three(word: str, left: bool | None, right: bool | None) -> bool | None:
    """Evaluate Kleene's and, or."""
    decides = word == "or"
    if decides in (left, right):
        return decides
    return None if None in (left, right) else not decides


def made_up(rng: random.Random, depth: int) -> tuple[str, Any]:
    """Return a random filter, and a function from a row to True, False or None."""
    kind = rng.choice(["test"] * 3 + ["null"] + (["not", "both", "both"] if depth else []))
    if kind == "not":
        text, f = made_up(rng, depth - 1)
        return f"not ({text})", lambda row: None if f(row) is None else not f(row)
    if kind == "both":
        word = rng.choice(["and", "or"])
        (a, f), (b, g) = made_up(rng, depth - 1), made_up(rng, depth - 1)
        return f"({a}) {word} ({b})", lambda row: three(word, f(row), g(row))
    name = rng.choice(["year", "score", "title", "genres"])
    if kind == "null":
        return f"{name} is null", lambda row: row[name] is None
    if name == "genres":
        value = rng.choice(["Drama", "crime", "none"])
        return (
            f"genres contains '{value}'",
            lambda row: (
                None
                if row["genres"] is None
                else value.lower() in [g.lower() for g in row["genres"] if g is not None]
            ),
        )
    sign = rng.choice(list(SIGNS))
    value = rng.choice(COLUMNS[name].drop_null().to_pylist())
    written = repr(value) if name != "title" else "'" + value.replace("'", "''") + "'"
    return (
        f"{name} {sign} {written}",
        lambda row: None if row[name] is None else SIGNS[sign](row[name], value),
    )


@pytest.mark.parametrize("seed", range(200))
def test_random_filters_are_what_python_says(seed: int) -> None:
    text, expected = made_up(random.Random(seed), 4)
    table = pa.table({name: COLUMNS[name] for name in ("year", "score", "title", "genres")})
    assert filters.compute_mask(text, column).tolist() == [
        expected(row) is True for row in table.to_pylist()
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "character 1: unexpected end of filter, expected the name of a column"),
        ("year", "character 5: unexpected end of filter, expected a comparison"),
        ("year >", "expected a number, a text in quotes"),
        ("year > title", "character 8: unexpected 'title', expected a number"),
        (
            "year > 1990 and",
            "character 16: unexpected end of filter, expected the name of a column",
        ),
        ("year > 1990 genre", "character 13: unexpected 'genre', expected 'and', 'or'"),
        ("(year > 1990", "character 13: unexpected end of filter, expected '\\)'"),
        ("year > 1990)", "character 12: unexpected '\\)'"),
        ("year ~ 3", "character 6: unexpected '~ 3'"),
        ("year > 1990; drop", "character 12: unexpected '; drop'"),
        ("title = 'open", 'character 9: unexpected "\'open"'),
        ("and = 3", "character 1: unexpected 'and', expected the name of a column"),
        ("year is 3", "character 9: unexpected '3', expected 'null'"),
        ("year > 19x", "character 8"),
        ("__import__('os').system('x') = 1", "character 11: unexpected '\\('"),
        ("(" * 60 + "year > 1" + ")" * 60, "at most 50 nested parentheses"),
        ("year > 1 or " * 1000 + "year > 1", "at most 10000 characters"),
        ("title > 3", "column title holds texts that are not numbers"),
        ("genres = 'Drama'", "column genres holds lists; use genres contains 'Drama'"),
        ("year = 'x'", "column year of type int64 cannot be compared with 'x'"),
        ("year contains 3", "column year of type int64 cannot be"),
        ("sound = 1", "column sound of type bool"),
        ("year = true", "cannot be compared with true"),
        ("day > 'soon'", "of type date32.day. cannot be compared with 'soon'"),
        ("codes contains 'x'", "column codes of type int64"),
    ],
)
def test_what_is_no_filter(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        filters.compute_mask(text, column)


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 5000, "1e999", "-1e999"])
def test_a_number_beyond_a_double(number: str) -> None:
    with pytest.raises(ValueError, match="expected a number of a double's size"):
        filters.compute_mask(f"year > {number}", column)


def test_large_integers_are_compared_exactly() -> None:
    values = pa.array([2**53, 2**53 + 1, 2**63 - 1, None])
    for text, expected in [
        (f"id = {2**53}", [0]),
        (f"id > {2**53}", [1, 2]),
        (f"id >= {2**63 - 1}", [2]),
        (f"id < {2**64}", [0, 1, 2]),
    ]:
        assert np.flatnonzero(filters.compute_mask(text, lambda name: values)).tolist() == expected


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("how", ["=", "!=", "<", ">=", "contains"])
def test_any_value_is_compared_or_refused_in_a_sentence(name: str, how: str) -> None:
    values = ["0.1e-400", "9" * 20, "''", "'\0'", "true", "1.", "'2001-02-30'", "'9999999-01-01'"]
    for value in values:
        try:
            assert len(filters.compute_mask(f"`{name}` {how} {value}", column)) == 6
        except ValueError as error:
            assert name in str(error)


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="unknown column yaer; expected one of: year, score"):
        filters.compute_mask("yaer > 3", column)


def test_many_parts_in_a_row() -> None:
    text = " or ".join(["year=1"] * 900 + ["year=2001"])
    assert rows(text) == [2]
