"""Films of a catalog as movies."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from vujax.data.datasets import catalog
from vujax.data.datasets.catalog import open_catalog_movies


def with_films(monkeypatch: pytest.MonkeyPatch, columns: dict[str, Any]) -> None:
    films = pa.table({"film": ["f-1", "g-2", "h-3"], "path": ["f.mp4", "g.mp4", "h.mp4"]} | columns)

    class Films:
        def __init__(self, path: str) -> None:
            pass

        def films(self) -> pa.Table:
            return films

    monkeypatch.setattr(catalog, "Catalog", Films)


def test_metadata_is_what_is_known_of_a_movie(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"shots": [4, 2, 0], "title": ["One", None, "Three"], "year": ["1999", "\\N", ""]}
    columns |= {"genre": ["War|Drama", "\\N", "War"], "description": [" A ship. ", None, "x"]}
    with_films(monkeypatch, columns)
    found = open_catalog_movies("catalog")
    assert found.ids == ("f-1", "g-2")  # the third one has no shots
    assert found.titles == ("One (1999)", "g.mp4")
    assert found.genres == (frozenset({"War", "Drama"}), frozenset())
    assert found.synopses == ("A ship.", "") and found.ratings is None


def test_a_catalogue_without_metadata_and_one_with_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    with_films(monkeypatch, {"shots": [1, 1, 1]})
    assert open_catalog_movies("catalog").titles == ("f.mp4", "g.mp4", "h.mp4")
    with_films(monkeypatch, {"shots": [1, 1, 1], "genres": [["War"], [], None]})
    assert open_catalog_movies("catalog").genres == (frozenset({"War"}), frozenset(), frozenset())


def test_wrong_separators_name_the_film(monkeypatch: pytest.MonkeyPatch) -> None:
    with_films(monkeypatch, {"shots": [1, 1, 1], "genres": ["War", "War; Drama", None]})
    with pytest.raises(
        ValueError, match=r"catalog, g-2: separate genres by \|, not as in .War; Drama"
    ):
        open_catalog_movies("catalog")


def test_there_must_be_a_catalogue(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_catalog_movies(tmp_path)
