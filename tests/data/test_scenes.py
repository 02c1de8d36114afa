"""Scenes of films, of synthetic films and of MovieCLIP; subsets and invalid files."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.data.boundary_films import MemoryFilm, numbered
from vujax.data.registry import open_scenes
from vujax.data.scenes import (
    FilmScenes,
    SingleShotScenes,
    check_scenes,
    find_scene_runs,
    select_scenes,
)
from vujax.data.synthetic.films import build_film_truth
from vujax.data.synthetic.ground_truth import Settings

FILMS = (numbered(0, 7, [2, 3]), numbered(1, 1, []), numbered(2, 4, []))


def film_scenes(window: int | None = None) -> FilmScenes:
    return FilmScenes(FILMS, find_scene_runs(FILMS, window))


def shots_of(scenes: object, scene: int, **options: np.ndarray) -> list[list[float]]:
    return scenes.inputs(scene, **options)["feature"].tolist()


def test_scenes_begin_where_the_labels_say():
    scenes = film_scenes()
    check_scenes(scenes, "scenes")
    assert scenes.keys == (
        *("film-0/c000", "film-0/c001", "film-0/c002"),
        *("film-1/c000", "film-2/c000"),
    )
    assert scenes.lengths.tolist() == [2, 1, 4, 1, 4]
    assert scenes.movie.tolist() == [0, 0, 0, 1, 2] and scenes.empty_movies == ()
    assert shots_of(scenes, 2) == [[0, 3], [0, 4], [0, 5], [0, 6]]
    assert shots_of(scenes, 2, shots=np.array([3, 0])) == [[0, 6], [0, 3]]
    assert scenes.inputs(2)["time"].tolist() == [0, 1, 2, 3]
    assert scenes.inputs(2)["time"].dtype == np.float32


def test_windows_of_shots():
    scenes = film_scenes(3)
    assert scenes.lengths.tolist() == [3, 3, 1, 1, 3, 1]
    assert shots_of(scenes, 2) == [[0, 6]]
    with pytest.raises(ValueError, match="window must be at least 1 shot, got 0"):
        film_scenes(0)


def test_films_without_labels_and_runs_that_cannot_be():
    plain = MemoryFilm("plain", {"feature": np.zeros((3, 2), np.float32)}, None)
    with pytest.raises(ValueError, match=r"'plain' has no labels .* set window"):
        find_scene_runs([plain])
    for run in ([0, 2, 2], [0, 1, 4], [0, -1, 2]):
        with pytest.raises(ValueError, match="a scene of plain has the shots from"):
            FilmScenes((plain,), np.array([run]))


def test_long_scenes_are_thinned_or_cut():
    scenes = film_scenes()
    thin = select_scenes(scenes, max_shots=2)
    assert thin.lengths.tolist() == [2, 1, 2, 1, 2]
    assert shots_of(thin, 2) == [[0, 4], [0, 6]] and shots_of(thin, 0) == [[0, 0], [0, 1]]
    assert thin.inputs(2)["time"].tolist() == [1, 3]  # since the scene's own beginning
    assert shots_of(thin, 2, shots=np.array([1])) == [[0, 6]]
    cut = select_scenes(scenes, max_shots=2, long="cut")
    assert shots_of(cut, 2) == [[0, 3], [0, 4]]
    for options, words in (
        (dict(long="fold"), "unknown long 'fold'; expected one of: thin, cut"),
        (dict(max_shots=0), "max_shots must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=words):
            select_scenes(scenes, **options)


def test_only_given_movies():
    scenes = film_scenes()
    some = select_scenes(scenes, movies=["film-2", "film-0"], without={"film-0", "unknown"})
    assert some.movies == ("film-2",) and some.keys == ("film-2/c000",)
    assert some.movie.tolist() == [0] and shots_of(some, 0)[3] == [2, 3]
    with pytest.raises(ValueError, match="the movie film-7 and 1 more of `movies` is not among"):
        select_scenes(scenes, movies=["film-7", "film-8", "film-1"])
    with pytest.raises(ValueError, match="no scene is left of 5"):
        select_scenes(scenes, movies=["film-1"], without=["film-1"])
    again = pickle.loads(pickle.dumps(some))
    assert again.keys == some.keys and shots_of(again, 0) == shots_of(some, 0)


def test_a_film_without_scenes_is_bare():
    scenes = FilmScenes(FILMS, np.array([[0, 0, 2], [2, 0, 1]]))
    assert scenes.movies == ("film-0", "film-2") and scenes.empty_movies == ("film-1",)
    some = select_scenes(scenes, movies=["film-1", "film-2"])
    assert some.movies == ("film-2",) and some.empty_movies == ("film-1",)


def test_single_shots():
    scenes = select_scenes(film_scenes(), max_shots=2)
    single = SingleShotScenes(scenes)
    check_scenes(single, "shots")
    assert single.keys[3:5] == ("film-0/c002/0", "film-0/c002/1")
    assert single.movie.tolist() == [0, 0, 0, 0, 0, 1, 2, 2]
    assert [shots_of(single, i) for i in (3, 4)] == [[[0, 4]], [[0, 6]]]
    assert single.inputs(4)["time"].tolist() == [0] and set(single.lengths.tolist()) == {1}


def test_sets_that_are_none():
    with pytest.raises(ValueError, match="two scenes are named film-0/a"):
        check_scenes(FilmScenes(FILMS, np.array([[0, 0, 1], [0, 1, 2]]), ("a", "a")), "scenes")
    with pytest.raises(ValueError, match="there are no scenes"):
        check_scenes(FilmScenes(FILMS, np.zeros((0, 3), int)), "scenes")
    with pytest.raises(ValueError, match="unknown kind of scenes 'tape'; expected one of: catalog"):
        open_scenes("tape")
    with pytest.raises(
        ValueError, match=r"unknown option 'size'; expected one of: path, clips, .* max_shots"
    ):
        open_scenes("movieclip", path="a", clips="b", size=3)


def test_features_of_a_folder(tmp_path: Path):
    vectors = np.arange(12, dtype=np.float32).reshape(6, 2)
    shots = np.stack([np.arange(0, 60, 10), np.arange(9, 60, 10)], axis=1)
    np.savez(tmp_path / "a.npz", deep=vectors, shots=shots, boundary=np.array([0, 1, 0, 0, 0]))
    films = dict(path=str(tmp_path), key="deep", fps=10)
    scenes = open_scenes("features", films=films, max_shots=3)
    assert scenes.keys == ("a/c000", "a/c001") and scenes.lengths.tolist() == [2, 3]
    np.testing.assert_array_equal(scenes.inputs(1)["feature"], vectors[[2, 4, 5]])
    assert scenes.inputs(1)["time"].tolist() == [0, 2, 3]
    assert len(open_scenes("features", films=films, window=1).keys) == 6


def test_cinema_scenes_are_those_of_the_truth(tmp_path: Path):
    options = dict(seed=3, split="validation", films=2, minutes=0.3, image_size=16, frames=2)
    scenes = open_scenes("cinema", **options)
    settings = Settings(3, "validation", 0.3, 24, 16, 16, 16000, 1)
    truths = [build_film_truth(settings, number) for number in range(2)]
    told = [(film, k, s) for film in (0, 1) for k, s in enumerate(truths[film].scenes) if s.place]
    name = "cinema-3-validation-000"
    assert scenes.keys == tuple(f"{name}{film}/c{k:03d}" for film, k, _ in told)
    assert scenes.lengths.tolist() == [s.last_shot - s.first_shot + 1 for _, _, s in told]
    assert scenes.labels["place"] == [{s.place} for _, _, s in told]
    assert scenes.labels["event"] == [set(s.events) for _, _, s in told]
    assert scenes.labels["genre"] == [{truths[film].genre} for film, _, _ in told]
    seen = scenes.inputs(1)
    assert seen["image"].shape == (scenes.lengths[1], 2, 16, 16, 3)
    film, _, scene = told[1]
    begins = [
        shot.first / 24 for shot in truths[film].shots[scene.first_shot : scene.last_shot + 1]
    ]
    np.testing.assert_allclose(seen["time"], np.array(begins) - begins[0], atol=1e-5)
    assert len(open_scenes("cinema", **options, cards=True).keys) == sum(
        len(truth.scenes) for truth in truths
    )
    for number, truth in enumerate(truths):
        vectors = np.arange(len(truth.shots), dtype=np.float32)[:, None]
        np.savez(tmp_path / f"{name}{number}.npz", feature=vectors)
    featured = open_scenes("cinema", **options, features=str(tmp_path))
    wanted = np.arange(scene.first_shot, scene.last_shot + 1)
    assert featured.inputs(1)["feature"][:, 0].tolist() == wanted.tolist()


LISTS = (
    "b/b-Scene-010.mp4 4 1\na/a-Scene-007.mp4 2\nb/b-Scene-003.mp4 0\n\n",
    "c/c-Scene-1.mp4 3\n",
)
CLIPS = "videoid,year,imdbid\nb,2001,tt2\na,2001,tt1\nc,2002.0,tt2\nd,2003,tt4\n"


def movieclip(folder: Path, first: str = LISTS[0], clips: str | bytes = CLIPS, **options: object):
    (folder / "train.txt").write_text(first)
    (folder / "val.txt.gz").write_bytes(gzip.compress(LISTS[1].encode()))
    (folder / "clips.csv").write_bytes(clips if isinstance(clips, bytes) else clips.encode())
    lists = [str(folder / "train.txt"), str(folder / "val.txt.gz")]
    options = dict(labels=5) | options
    return open_scenes("movieclip", path=lists, clips=str(folder / "clips.csv"), **options)


def test_movieclip(tmp_path: Path):
    scenes = movieclip(tmp_path)
    assert scenes.keys == ("tt1/a", "tt2/b", "tt2/c") and scenes.movies == ("tt1", "tt2")
    assert scenes.movie.tolist() == [0, 1, 1] and scenes.lengths.tolist() == [1, 2, 1]
    assert scenes.source.empty_movies == ("tt4",)
    seen = scenes.inputs(1)
    assert seen["feature"].tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 1]]
    assert seen["time"].tolist() == [0, 7] and seen["feature"].dtype == np.float32
    last = scenes.inputs(1, np.array([1]))
    assert last["feature"].tolist() == [[0, 1, 0, 0, 1]] and last["time"].tolist() == [7]
    assert scenes.inputs(2)["feature"].tolist() == [[0, 0, 0, 1, 0]]
    assert movieclip(tmp_path, movies=["tt1", "tt4"]).empty_movies == ("tt4",)


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (
            "a/a-Scene-7.mp4 1\na/a-Scene-7.mp4 2\n",
            "train.txt, line 2: shot 7 of a is listed",
        ),
        ("a/a-Scene-7.mp4 1\na/a-Scene-8.mp4 5\n", "line 2: label 5 is not within 0..4"),
        ("a/b-Scene-7.mp4 1\n", "line 1: 'a/b-Scene-7.mp4 1' is not of the form CLIP/CLIP-Scene"),
        ("a/a-Scene-7.mp4\n", "line 1: 'a/a-Scene-7.mp4' is not of the form"),
        ("a/a-Scene-7.mp4,1,2\n", "is not of the form"),
        ("e/e-Scene-7.mp4 1\n", "line 1: the clip e is not in .*clips.csv"),
    ],
)
def test_wrong_lists(tmp_path: Path, first: str, words: str):
    with pytest.raises(ValueError, match=words):
        movieclip(tmp_path, first)


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        ("videoid;imdbid\na;tt1\n", "clips.csv has no column imdbid, videoid: .* commas"),
        (CLIPS + "d,2001,\\N\n", "line 6: it has no videoid, or no imdbid"),
        (CLIPS + "d,2001,tt5\n", "line 6: the clip d is of tt5, and of tt4 in a line before"),
        (CLIPS.encode() + b"d,Mis\xe9rables,tt4\n", "line 6: the text is not UTF-8"),
    ],
)
def test_wrong_tables_of_clips(tmp_path: Path, clips: str | bytes, words: str):
    with pytest.raises(ValueError, match=words):
        movieclip(tmp_path, clips=clips)


def test_unknown_clips_may_be_skipped(tmp_path: Path):
    scenes = movieclip(tmp_path, "e/e-Scene-7.mp4 1\n", skip_unknown=True)
    assert scenes.keys == ("tt2/c",)
    damaged = tmp_path / "broken.gz"
    damaged.write_bytes(gzip.compress(b"a")[:-4])
    with pytest.raises(ValueError, match="not a complete gzip file"):
        open_scenes("movieclip", path=str(damaged), clips=str(tmp_path / "clips.csv"))


@pytest.mark.real_data
def test_the_real_lists(data_root: Path):
    movies = data_root / "movies"
    scenes = open_scenes(
        "movieclip",
        path=str(movies / "movieclip/*_labels.txt*"),
        clips=str(movies / "condensed_movies/clips.csv.gz"),
        max_shots=1000,
    )
    assert scenes.lengths.sum() == 73_859 + 23_216
    assert np.median(scenes.lengths) == 3 and len(scenes.keys) == 16_929
