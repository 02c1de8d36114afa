"""Scenes of a catalog: read as written, refused for another version of the film."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.encoders.stub import catalogue
from vujax.catalog import Catalog, embeddings, scenes, validate
from vujax.catalog.writer import remove_film


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = catalogue(tmp_path, 1)
    (film,) = Catalog(found).film_ids()
    source = embeddings.hash_source(Catalog(found).manifest(film))
    rows = [
        dict(film=film, scene=k, id=f"{film}/c00{k}", first_shot=first, last_shot=last)
        for k, (first, last) in enumerate([(0, 1), (2, 2)])
    ]
    scenes.write_scenes(found, film, source, rows, {"head": "default"})
    return found


def problems(root: Path) -> list[str]:
    return list(validate.find_problems(root))


def test_written_and_read(root: Path) -> None:
    table = Catalog(root).scenes()
    assert table.schema.equals(scenes.SCENES)
    assert table["last_shot"].to_pylist() == [1, 2]
    about = pq.read_schema(next((root / scenes.FOLDER).iterdir())).metadata
    assert about[b"vujax.made"] == b'{"head": "default"}'
    assert problems(root) == []


def test_scenes_of_what_a_film_was_are_refused(root: Path) -> None:
    (film,) = Catalog(root).film_ids()
    scenes.write_scenes(root, film, "0" * 64, [], {})
    with pytest.raises(ValueError, match="former version of the film; run `vujax scenes`"):
        Catalog(root).scenes(film)
    assert len(problems(root)) == 1


def test_a_film_without_scenes(root: Path) -> None:
    (film,) = Catalog(root).film_ids()
    scenes.scenes_path(root, film).unlink()
    assert len(Catalog(root).scenes()) == 0
    with pytest.raises(FileNotFoundError, match="run `vujax scenes`"):
        Catalog(root).scenes(film)


def test_scenes_go_with_their_film(root: Path) -> None:
    (film,) = Catalog(root).film_ids()
    remove_film(root, film)
    assert not scenes.scenes_path(root, film).exists()


def test_damage_is_found(root: Path) -> None:
    (film,) = Catalog(root).film_ids()
    source = embeddings.hash_source(Catalog(root).manifest(film))
    scenes.write_scenes(root, film, source, [dict(film=film, first_shot=0, last_shot=1)], {})
    assert "leave shots out" in problems(root)[0]
    scenes.scenes_path(root, film).write_bytes(b"PAR1 nonsense")
    assert "is damaged" in problems(root)[0]
    scenes.scenes_path(root, film).rename(scenes.scenes_path(root, "other-00000000"))
    assert "belongs to no film" in problems(root)[0]
