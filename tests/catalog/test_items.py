"""Items of all levels: their order, spans and shots."""

import pytest

from tests.encoders.stub import catalogue
from vujax.catalog import Catalog, embeddings, items, scenes


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    found = Catalog(catalogue(tmp_path_factory.mktemp("items")))
    film = found.film_ids()[0]
    shots = found.shots(film).to_pylist()
    row = dict(film=film, scene=0, id=f"{film}/c000", first_shot=0, last_shot=len(shots) - 1)
    times = dict(begin_pts=shots[0]["begin_pts"], end_pts=shots[-1]["end_pts"])
    times |= dict(begin_s=shots[0]["begin_s"], end_s=shots[-1]["end_s"])
    source_hash = embeddings.hash_source(found.manifest(film))
    scenes.write_scenes(found.path, film, source_hash, [row | times], {})
    return found


def test_items_have_the_rows_of_their_tables(catalog: Catalog) -> None:
    one, two = catalog.film_ids()
    for level, table in (
        ("frame", catalog.keyframes()),
        ("shot", catalog.shots()),
        ("scene", catalog.scenes()),
        ("film", catalog.films()),
    ):
        found = catalog.items(level)
        assert found.schema.equals(items.ITEMS)
        assert found["id"].to_pylist() == table["film" if level == "film" else "id"].to_pylist()
    assert set(catalog.items("shot", two)["film"].to_pylist()) == {two}
    assert catalog.items("film", one)["id"].to_pylist() == [one]


def test_a_frame_is_a_moment_and_a_film_spans_its_shots(catalog: Catalog) -> None:
    film = catalog.film_ids()[0]
    frames, shots = catalog.items("frame", film), catalog.items("shot", film)
    assert frames["start_s"].equals(frames["end_s"])
    assert frames["start_pts"].to_pylist() == catalog.keyframes(film)["pts"].to_pylist()
    assert shots["end_pts"].to_pylist() == catalog.shots(film)["end_pts"].to_pylist()
    (scene,) = catalog.items("scene", film).to_pylist()
    (whole,) = catalog.items("film", film).to_pylist()
    for item in (scene, whole):
        assert (item["first_shot"], item["last_shot"]) == (0, len(shots) - 1)
        assert item["start_s"] == shots["start_s"][0].as_py()
        assert item["end_s"] == pytest.approx(shots["end_s"][-1].as_py())
    assert (whole["start_pts"], whole["end_pts"]) == (None, None)


def test_unknown_levels_and_films_without_scenes(catalog: Catalog) -> None:
    one, two = catalog.film_ids()
    with pytest.raises(ValueError, match="unknown level 'reel'; expected one of: frame, shot"):
        catalog.items("reel")
    with pytest.raises(FileNotFoundError, match="run `vujax scenes`"):
        catalog.items("scene", two)
    with pytest.raises(KeyError, match="no film other"):
        catalog.items("shot", "other")
    assert catalog.items("scene")["film"].to_pylist() == [one]


def test_vectors_is_a_deprecated_name_of_embeddings(catalog: Catalog) -> None:
    with (
        pytest.warns(DeprecationWarning, match=r"use Catalog\.embeddings"),
        pytest.raises(FileNotFoundError, match="no shot embeddings of stub"),
    ):
        catalog.vectors("shot", "stub")
