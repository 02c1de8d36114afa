"""Scenes of the films of a catalog."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.encoders.stub import catalogue
from vujax.catalog import Catalog, embeddings, scenes
from vujax.data.registry import open_films, open_scenes

OPTIONS = dict(image_size=16, frames=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films of three shots, the first with scenes."""
    found = catalogue(tmp_path_factory.mktemp("films"))
    film = Catalog(found).film_ids()[0]
    rows = [
        dict(film=film, scene=k, id=f"{film}/c00{k}", first_shot=first, last_shot=last)
        for k, (first, last) in enumerate([(0, 0), (1, 2)])
    ]
    scenes.write_scenes(
        found, film, embeddings.hash_source(Catalog(found).manifest(film)), rows, {}
    )
    return found


def test_scenes_that_were_found(root: Path) -> None:
    one, other = Catalog(root).film_ids()
    found = open_scenes("catalog", path=str(root), **OPTIONS)
    assert found.keys == (f"{one}/c000", f"{one}/c001") and found.lengths.tolist() == [1, 2]
    assert found.movies == (one,) and found.source.empty_movies == (other,)
    film = open_films("catalog", path=str(root), **OPTIONS)[0]
    for scenes_ in (found, pickle.loads(pickle.dumps(found))):
        seen = scenes_.inputs(1)
        np.testing.assert_array_equal(seen["image"], film.inputs(np.array([1, 2]))["image"])
        np.testing.assert_allclose(seen["time"], film.seconds[1:, 0] - film.seconds[1, 0])


def test_windows_and_truths(root: Path) -> None:
    windows = open_scenes("catalog", path=str(root), by="windows", window=2, **OPTIONS)
    assert windows.lengths.tolist() == [2, 1, 2, 1]
    with pytest.raises(ValueError, match="has no labels of scene boundaries"):
        open_scenes("catalog", path=str(root), by="truth")
    with pytest.raises(ValueError, match="unknown by 'acts'; expected one of: scenes, truth, w"):
        open_scenes("catalog", path=str(root), by="acts")


def test_a_film_that_is_not_there_and_films_without_scenes(root: Path) -> None:
    with pytest.raises(ValueError, match="has no film nobody"):
        open_scenes("catalog", path=str(root), films=["nobody"])
    with pytest.raises(ValueError, match="the movie nobody of `movies` is not among"):
        open_scenes("catalog", path=str(root), movies=["nobody"])
    other = Catalog(root).film_ids()[1]
    with pytest.raises(ValueError, match="has no scenes: run `vujax scenes"):
        open_scenes("catalog", path=str(root), films=[other])


def test_a_scene_without_shots_is_refused(root: Path) -> None:
    film = Catalog(root).film_ids()[1]
    source = embeddings.hash_source(Catalog(root).manifest(film))
    row = dict(film=film, scene=0, id=f"{film}/c000", first_shot=2, last_shot=1)
    scenes.write_scenes(root, film, source, [row], {})
    with pytest.raises(ValueError, match=f"a scene of {film} has the shots from 2 to 1: the film"):
        open_scenes("catalog", path=str(root))
    scenes.scenes_path(root, film).unlink()
