"""A catalogue's films as rows of shots: their pictures, vectors and labels."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.embed.stub import Stub, catalogue
from vujax.catalog import Catalog
from vujax.catalog import films as catalog_films
from vujax.data.films import open_films
from vujax.data.images import eval_image, whole_image
from vujax.embed.film import Embed, Work
from vujax.embed.run import embed


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = catalogue(tmp_path_factory.mktemp("films"))
    stage = Embed(Work(root, Stub, batch=4))
    assert [stage(source).status for source in embed(root, Stub).sources] == ["whole"] * 2
    return root


def test_times_pictures_and_vectors(root: Path) -> None:
    catalog = Catalog(root)
    films = open_films("catalog", path=str(root), image_size=16, encoder="stub")
    assert [f.film for f in films] == catalog.ids() and [len(f) for f in films] == [3, 3]
    film, shots = films[1], catalog.shots(films[1].film)
    assert film.seconds[:, 0].tolist() == shots["begin_s"].to_pylist()
    assert film.frames.tolist() == [[0, 20], [21, 50], [51, 66]]
    assert film.fps == 24 and film.starts is None
    found = film.inputs(np.array([2, 0]))
    jpegs = [catalog.jpeg(f"{film.film}/s{s:04d}/{k}") for s in (2, 0) for k in range(3)]
    pictures = np.stack([eval_image(jpeg, size=16) for jpeg in jpegs])
    np.testing.assert_array_equal(found["image"], pictures.reshape(2, 3, 16, 16, 3))
    vectors = Stub().encode(pictures).reshape(2, 3, 6).mean(axis=1)
    np.testing.assert_allclose(found["feature"], vectors, atol=1e-6)
    assert found["image"].dtype == np.uint8 and found["feature"].dtype == np.float32
    again = pickle.loads(pickle.dumps(film)).inputs(np.array([2, 0]))
    np.testing.assert_array_equal(again["image"], found["image"])


def test_other_numbers_and_sizes_of_pictures(root: Path) -> None:
    film = open_films("catalog", path=str(root), frames=1)[0]
    whole = film.inputs(np.array([1]))["image"]
    assert whole.shape == (1, 1, 64, 96, 3)
    middle = whole_image(Catalog(root).jpeg(f"{film.film}/s0001/1"))
    np.testing.assert_array_equal(whole[0, 0], middle)
    five = open_films("catalog", path=str(root), frames=5, image_size=8)[0]
    pictures = five.inputs(np.arange(3))["image"]
    assert pictures.shape == (3, 5, 8, 8, 3)
    np.testing.assert_array_equal(pictures[:, 0], pictures[:, 1])
    (only,) = open_films("catalog", path=str(root), images=False, films=[film.film])
    assert only.inputs(np.arange(3)) == {}


def test_a_shot_without_keyframes_is_seen_as_the_one_before(root: Path) -> None:
    catalog = Catalog(root)
    film = catalog.ids()[0]
    table = catalog.keyframes(film)

    class Holes(Catalog):
        def keyframes(self, film: str | None = None) -> object:
            return table.filter(np.array([s == 1 for s in table["shot"].to_pylist()], bool))

    records = catalog_films._records(Holes(root), film, 3, 2)
    assert records.tolist() == [records[1].tolist()] * 3
    table = table.slice(0, 0)
    with pytest.raises(ValueError, match=f"{film} has no keyframes"):
        catalog_films._records(Holes(root), film, 3, 2)


def test_labels_of_frame_ranges(root: Path, tmp_path: Path) -> None:
    scenes = dict(fps=12, shots=[[0, 40]], scenes=[[0, 11], [12, 24], [26, 40]])
    (tmp_path / "film0.json").write_text(json.dumps(scenes))
    labelled, other = open_films("catalog", path=str(root), images=False, scenes=str(tmp_path))
    # Shots begin at 0, 20 / 24 and 50 / 24 s, scenes at 0, 1 and 26 / 12 s.
    assert labelled.starts.tolist() == [True, True] and other.starts is None


def test_bad_catalogues(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is no catalogue"):
        open_films("catalog", path=str(tmp_path))
    with pytest.raises(ValueError, match="has no film nobody: it has film0-"):
        open_films("catalog", path=str(root), films=["nobody"])
    with pytest.raises(FileNotFoundError, match="no shot vectors of other"):
        open_films("catalog", path=str(root), encoder="other")
    with pytest.raises(ValueError, match="frames is 0"):
        open_films("catalog", path=str(root), frames=0)
