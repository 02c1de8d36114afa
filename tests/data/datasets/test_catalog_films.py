"""Films of a catalog: images, features and labels."""

import json
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.encoders.stub import Stub, catalogue
from tests.pipeline.ingest.films import Cuts, film, film_with_sound
from vujax.catalog import Catalog, schema
from vujax.catalog.audio import decode_flac
from vujax.data.datasets import catalog as catalog_films
from vujax.data.images import decode_image, preprocess_eval_image
from vujax.data.registry import open_films
from vujax.data.synthetic.films import build_film_truth
from vujax.data.synthetic.ground_truth import Settings as CinemaSettings
from vujax.data.synthetic.ground_truth import write_truth
from vujax.models.image_spec import ImageSpec
from vujax.pipeline import embed as embed_film
from vujax.pipeline.embed import embed
from vujax.pipeline.ingest.detectors import share_detector
from vujax.pipeline.ingest.film import IngestJob, IngestStage
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.sources import find_films
from vujax.video.audio import AudioReader
from vujax.video.log_mel import LogMel


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = catalogue(tmp_path_factory.mktemp("films"))
    stage = embed_film.EmbedStage(embed_film.EmbedJob(root, Stub, batch=4))
    assert [stage(source).status for source in embed(root, Stub).sources] == ["whole"] * 2
    return root


def test_times_pictures_and_vectors(root: Path) -> None:
    catalog = Catalog(root)
    films = open_films("catalog", path=str(root), image_size=16, encoder="stub")
    assert [f.film for f in films] == catalog.film_ids() and [len(f) for f in films] == [3, 3]
    film, shots = films[1], catalog.shots(films[1].film)
    assert film.seconds[:, 0].tolist() == shots["begin_s"].to_pylist()
    assert film.frames.tolist() == [[0, 20], [21, 50], [51, 66]]
    assert film.fps == 24 and film.starts is None
    found = film.inputs(np.array([2, 0]))
    jpegs = [catalog.jpeg(f"{film.film}/s{s:04d}/{k}") for s in (2, 0) for k in range(3)]
    pictures = np.stack([preprocess_eval_image(jpeg, ImageSpec.square(16)) for jpeg in jpegs])
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
    middle = decode_image(Catalog(root).jpeg(f"{film.film}/s0001/1"))
    np.testing.assert_array_equal(whole[0, 0], middle)
    five = open_films("catalog", path=str(root), frames=5, image_size=8)[0]
    pictures = five.inputs(np.arange(3))["image"]
    assert pictures.shape == (3, 5, 8, 8, 3)
    np.testing.assert_array_equal(pictures[:, 0], pictures[:, 1])
    (only,) = open_films("catalog", path=str(root), images=False, films=[film.film])
    assert only.inputs(np.arange(3)) == {}


def test_a_shot_without_keyframes_is_seen_as_the_one_before(root: Path) -> None:
    catalog = Catalog(root)
    film = catalog.film_ids()[0]
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


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 2 s and shots of 1 s, 0.25 s and 0.75 s; its sound ends at 1.5 s."""
    folder = tmp_path_factory.mktemp("loud")
    (folder / "in").mkdir()
    film_with_sound(folder / "in" / "film.mkv", (24, 6, 18), seconds=1.5)
    schema.create_catalog(folder / "out")
    work = IngestJob(folder / "out", IngestSettings(audio_rate=8000), lambda: share_detector(Cuts))
    (source,) = find_films([folder / "in"]).sources
    assert IngestStage(work)(source).status == "whole"
    return folder / "out"


def test_sound(loud: Path) -> None:
    options = dict(path=str(loud), images=False, mels=20)
    (film,) = open_films("catalog", audio_s=0.5, **options)
    found = pickle.loads(pickle.dumps(film)).inputs(np.array([2, 0, 1]))["audio"]
    assert found.shape == (3, 51, 20) and found.dtype == np.float32
    whole = np.concatenate(list(AudioReader(loud.parent / "in/film.mkv", rate=8000)))
    mel = LogMel(8000, window=256, hop=80, mels=20, high_hz=4000)
    heard = {
        0: whole[2000:6000],  # the middle of 8000
        1: np.concatenate([np.zeros(1000), whole[8000:10000], np.zeros(1000)]),
        2: np.concatenate([whole[11000:12000], np.zeros(3000)]),
    }
    for row, shot in zip(found, (2, 0, 1), strict=True):
        expected = mel(heard[shot].astype(np.float32))
        loud_enough = -12  # below it lies what 16 bits round away
        np.testing.assert_allclose(
            *(np.maximum(x, loud_enough) for x in (row, expected)), atol=0.05
        )
    (film,) = open_films("catalog", audio_s=60.0, **options)
    assert film.inputs(np.array([0]))["audio"].shape == (1, 6001, 20)


def test_a_film_without_sound_is_silent(root: Path) -> None:
    films = open_films("catalog", path=str(root), images=False, audio_s=1.0)
    audio = films[0].inputs(np.arange(3))["audio"]
    assert audio.shape == (3, 101, 64) and len(np.unique(audio)) == 1


def test_sound_that_was_not_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    film_with_sound(tmp_path / "in" / "film.mkv", (24, 24), seconds=2)
    schema.create_catalog(tmp_path / "out")
    (source,) = find_films([tmp_path / "in"]).sources
    IngestStage(IngestJob(tmp_path / "out", IngestSettings(), lambda: share_detector(Cuts)))(source)
    with pytest.raises(ValueError, match=r"has no sound of film-.*ingest it again with --audio"):
        open_films("catalog", path=str(tmp_path / "out"), audio_s=1.0)
    with pytest.raises(ValueError, match="sound cannot be decoded"):
        decode_flac(b"fLaC nothing")


def test_labels_of_the_cinema(tmp_path: Path) -> None:
    made_with = CinemaSettings(0, "train", 0.3, Fraction(24), 36, 64, 16000, 1)
    truth = build_film_truth(made_with, 0)
    film(tmp_path / "in" / f"{truth.name}.mp4", [s.last - s.first + 1 for s in truth.shots])
    write_truth(tmp_path / "in" / f"{truth.name}.truth.json", truth)
    schema.create_catalog(tmp_path / "out")
    (source,) = find_films([tmp_path / "in"]).sources
    assert IngestStage(IngestJob(tmp_path / "out", IngestSettings(), lambda: share_detector(Cuts)))(
        source
    )
    (found,) = open_films("catalog", path=str(tmp_path / "out"), images=False)
    assert found.starts.tolist() == [bool(s) for s in truth.scene_starts] and found.merged == 0
    assert 0 < found.starts.sum() < len(found) - 1
    # Where the film was moved to, its truth is looked for where one says.
    (tmp_path / "in").rename(tmp_path / "moved")
    options = dict(path=str(tmp_path / "out"), images=False)
    assert open_films("catalog", **options)[0].starts is None
    (moved,) = open_films("catalog", scenes=str(tmp_path / "moved"), **options)
    np.testing.assert_array_equal(moved.starts, found.starts)


def test_bad_catalogues(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a vujax catalog"):
        open_films("catalog", path=str(tmp_path))
    with pytest.raises(ValueError, match="has no film nobody: it has film0-"):
        open_films("catalog", path=str(root), films=["nobody"])
    with pytest.raises(FileNotFoundError, match="no shot embeddings of other"):
        open_films("catalog", path=str(root), encoder="other")
    with pytest.raises(ValueError, match="frames must be at least 1 image per shot, got 0"):
        open_films("catalog", path=str(root), frames=0)
