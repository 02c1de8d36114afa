"""Search results: order, exclusion and times."""

from pathlib import Path

import numpy as np
import pytest

from tests.search.fakes import Colours
from vujax.catalog import Catalog
from vujax.search.backends import open_backend
from vujax.search.backends.base import Neighbors
from vujax.search.hits import search_index, select_rows
from vujax.search.index import Index
from vujax.search.query import combine_terms, parse_term

RED = np.array([1, 0, 0], np.float32)


@pytest.fixture(scope="module")
def frames(made: Path) -> Index:
    return Index.open(made, "frame", "stub", Colours())


@pytest.fixture(scope="module")
def shots(made: Path) -> Index:
    return Index.open(made, "shot", "stub", Colours())


class Remembers:
    """A backend that records the requested numbers of rows."""

    def __init__(self, index: Index) -> None:
        self._searcher, self.asked = open_backend("exact", index), []
        self.name = "exact"

    def search(self, queries: np.ndarray, k: int, mask: np.ndarray | None = None) -> Neighbors:
        """See `SearchBackend`."""
        self.asked.append(k)
        return self._searcher.search(queries, k, mask)


def test_the_best_come_first_with_their_times(shots: Index) -> None:
    hits = search_index(shots, open_backend("exact", shots), RED, top=4)
    assert [hit.id.rpartition("/")[2] for hit in hits[:3]] == ["s0000"] * 3
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    expected = np.sort(-(shots.vectors @ RED))[:4]
    np.testing.assert_allclose([-hit.score for hit in hits], expected, atol=1e-6)
    second = next(hit for hit in hits if hit.title == "<b>Second</b> & third")
    assert (second.timecode, second.seconds, second.begin_s) == ("00:00:00:00", 0, 0)
    assert second.end_s == pytest.approx(21 / 24)
    assert {hit.title for hit in hits[:3]} == {"First", "<b>Second</b> & third", "film2.mp4"}
    green = search_index(shots, open_backend("exact", shots), np.float32([0, 1, 0]), top=3)
    times = {hit.title: (hit.timecode, hit.first_shot, hit.last_shot) for hit in green}
    assert times["First"] == ("00:00:00:20", 1, 1)


def test_a_filter(shots: Index) -> None:
    kept = select_rows(shots, "year > 1990 or title is null")
    hits = search_index(shots, open_backend("exact", shots), RED, top=9, mask=kept)
    assert len(hits) == 6
    assert "First" not in {hit.title for hit in hits}
    assert (
        search_index(shots, open_backend("exact", shots), RED, mask=select_rows(shots, "year=1"))
        == []
    )


def test_rows_that_are_the_query(shots: Index) -> None:
    kept = select_rows(shots, None, np.array([2, 5]))
    assert np.flatnonzero(~kept).tolist() == [2, 5]


def test_few_of_one_film(frames: Index) -> None:
    searcher = Remembers(frames)
    hits = search_index(frames, searcher, RED, top=3, per_film=1)
    assert sorted(hit.title for hit in hits) == ["<b>Second</b> & third", "First", "film2.mp4"]
    assert {hit.id.split("/")[1] for hit in hits} == {"s0000"}
    hits = search_index(frames, searcher, RED, top=20, per_film=4)
    assert len(hits) == 12
    assert searcher.asked == [12, 27]


def test_more_is_asked_for_when_too_much_is_left_out(frames: Index) -> None:
    searcher = Remembers(frames)
    kept = select_rows(frames, None)
    hits = search_index(frames, searcher, np.float32([0.8, 0.6, 0.1]), top=3, mask=kept, per_film=1)
    assert len(hits) == 3
    searcher.asked.clear()
    hits = search_index(frames, searcher, RED, top=4, per_film=1)  # there are three films
    assert len(hits) == 3
    assert searcher.asked == [16, 27]


def test_frames_of_a_shot_are_folded(frames: Index) -> None:
    hits = search_index(frames, open_backend("exact", frames), RED, top=9, fold=True)
    shots = [hit.id.rpartition("/")[0] for hit in hits]
    assert len(set(shots)) == len(shots) == 9
    assert {hit.folded for hit in hits} == {2}
    plain = search_index(frames, open_backend("exact", frames), RED, top=27)
    for hit in hits:
        same = [other for other in plain if other.id.startswith(hit.id.rpartition("/")[0])]
        assert same[0].id == hit.id
        assert {other.folded for other in same} == {0}


def test_folded_frames_are_counted_whatever_was_asked_for(frames: Index) -> None:
    searcher = open_backend("exact", frames)
    (hit,) = search_index(frames, searcher, RED, top=1, fold=True)
    assert hit.folded == 2
    kept = select_rows(frames, "keyframe < 2")
    hits = search_index(frames, searcher, RED, top=9, mask=kept, fold=True)
    assert {hit.folded for hit in hits} == {1}
    assert len(hits) == 9


def test_like_what_is_there(shots: Index) -> None:
    film = Catalog(shots.catalog.path).film_ids()[0]
    vector = combine_terms([parse_term(f"{film}/s0001", "like")], shots)
    kept = select_rows(shots, None, shots.find_rows(f"{film}/s0001"))
    hits = search_index(shots, open_backend("exact", shots), vector, top=2, mask=kept)
    assert [hit.id.rpartition("/")[2] for hit in hits] == ["s0001"] * 2
    assert film not in {hit.film for hit in hits}


def test_numbers_that_are_none(shots: Index) -> None:
    searcher = open_backend("exact", shots)
    with pytest.raises(ValueError, match="must be 1 or more"):
        search_index(shots, searcher, RED, top=0)
    with pytest.raises(ValueError, match="must be 1 or more"):
        search_index(shots, searcher, RED, per_film=0)
    with pytest.raises(
        ValueError, match="unknown search backend 'best'; expected one of: exact, faiss, lance"
    ):
        open_backend("best", shots)
