"""Queries: parsing, and the combination of terms into one vector."""

from pathlib import Path

import numpy as np
import pytest

from tests.search.fakes import Colours
from vujax.catalog import Catalog
from vujax.search.index import Index
from vujax.search.query import (
    FRAME_TEMPLATES,
    Term,
    combine_terms,
    is_mostly_non_latin,
    parse_term,
    resolve_templates,
)
from vujax.utils.arrays import l2_normalize


@pytest.fixture(scope="module")
def index(made: Path) -> Index:
    return Index.open(made, "frame", "stub", Colours())


@pytest.mark.parametrize(
    ("words", "text", "weight"),
    [
        ("a boat on a lake", "a boat on a lake", 1),
        ("a boat:2", "a boat", 2),
        ("a boat: .5", "a boat", 0.5),
        ("night:-1", "night", -1),
        ("at 10:30", "at 10:30", 1),
        ("at 10:30 :2", "at 10:30", 2),
        ("one: two", "one: two", 1),
        (" boat ", "boat", 1),
        (":2", ":2", 1),
    ],
)
def test_weights_of_texts(words: str, text: str, weight: float) -> None:
    assert parse_term(words) == Term("text", text, weight)
    assert parse_term(words, against=True) == Term("text", text, -weight)


def test_weights_of_ids_and_files(tmp_path: Path) -> None:
    assert parse_term("f-1/s0003:2", "like") == Term("like", "f-1/s0003", 2)
    assert parse_term("a.jpg:0.5", "image") == Term("image", "a.jpg", 0.5)
    (tmp_path / "a:2").touch()
    assert parse_term(str(tmp_path / "a:2"), "image").weight == 1


@pytest.mark.parametrize("words", ["", "  ", " :2"])
def test_an_empty_query(words: str) -> None:
    with pytest.raises(ValueError, match="a query term is empty"):
        parse_term(words)


def test_weights_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"the weight of 'a boat' must not be 0 .* got 0"):
        parse_term("a boat:0")
    with pytest.raises(ValueError, match=r"the weight of 'a boat' must not .* got 1e"):
        parse_term("a boat:" + "9" * 9)
    with pytest.raises(ValueError, match="unknown kind of term 'sound'"):
        Term("sound", "x")


def test_the_score_is_the_formula(index: Index) -> None:
    film = Catalog(index.catalog.path).film_ids()[0]
    terms = [parse_term("red"), parse_term("green:2"), parse_term("blue", against=True)]
    terms += [parse_term(f"{film}/s0000:0.5", "like"), parse_term("x.jpg", "image")]
    picture = l2_normalize(np.array([1.0, 2, 3], np.float32))
    found = combine_terms(
        terms, index, encode=lambda path: picture if path.name == "x.jpg" else None
    )
    like = l2_normalize(index.vectors[:3].astype(np.float64).mean(axis=0))
    parts = [((1, 0, 0), 1), ((0, 1, 0), 2), ((0, 0, 1), -1), (like, 0.5), (picture, 1)]
    expected = sum(w * (index.vectors @ np.asarray(v, np.float64)) for v, w in parts) / sum(
        abs(w) for _, w in parts
    )
    np.testing.assert_allclose(index.vectors @ found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_one_term_is_a_cosine(index: Index) -> None:
    np.testing.assert_allclose(combine_terms([parse_term("red:7")], index), [1, 0, 0], atol=1e-7)
    np.testing.assert_allclose(
        combine_terms([parse_term("red", against=True)], index), [-1, 0, 0], atol=1e-7
    )


def test_wordings_are_averaged(index: Index) -> None:
    index.space.asked.clear()
    found = combine_terms([parse_term("red")], index, ("{}", "{} and green", "{} on a wall"))
    assert index.space.asked == ["red", "red and green", "red on a wall"]
    both = np.sqrt(0.5)
    np.testing.assert_allclose(found, l2_normalize(np.array([2 + both, both, 0])), atol=1e-6)


def test_names_of_wordings() -> None:
    assert resolve_templates(["frame"]) == FRAME_TEMPLATES
    assert resolve_templates(["name"]) == ("{}",)
    assert resolve_templates(["{} at sea", "the {}"]) == ("{} at sea", "the {}")
    with pytest.raises(ValueError, match="unknown templates 'nothing'"):
        resolve_templates(["nothing"])
    with pytest.raises(ValueError, match="must contain"):
        resolve_templates(["{} at sea", "the sea"])


def test_what_cannot_be_searched(index: Index) -> None:
    with pytest.raises(ValueError, match="the query is empty; give a text"):
        combine_terms([], index)
    with pytest.raises(ValueError, match="cancel each other"):
        combine_terms([parse_term("red"), parse_term("red", against=True)], index)
    with pytest.raises(ValueError, match="need an encoder"):
        combine_terms([parse_term("a.jpg", "image")], index)
    with pytest.raises(KeyError, match="has no film other"):
        combine_terms([parse_term("other/s0001", "like")], index)


def test_other_scripts() -> None:
    assert is_mostly_non_latin(["лодка на озере"])
    assert is_mostly_non_latin(["湖上的船", "boat"]) is False  # half of the letters, and no more
    assert is_mostly_non_latin(["湖上的一只小船"])
    assert not is_mostly_non_latin(["Ein Bär am Fluß, café"])
    assert not is_mostly_non_latin(["1, 2, 3"])
    assert not is_mostly_non_latin([])
