"""No movie of the evaluation on LVU is in the training pool."""

import csv
import gzip
from pathlib import Path

import pytest

from vujax.data.datasets.condensed_movies import open_condensed_movies
from vujax.data.datasets.movielens import open_movielens
from vujax.data.movies.holdout import (
    TASKS,
    WITHHELD_FILE,
    read_held_out_movies,
    read_listed_clips,
    read_listed_movies,
    read_withheld_movies,
    select_leak_free_pool,
)
from vujax.data.movies.similarity import find_neighbors

CLIPS = "videoid,imdbid\na1,tt0000001\na2,tt0000001\nb,tt0000002\nc,tt0000003\nd,tt0000004\n"


def lvu(folder: Path) -> Path:
    """Movie 2 is in one validation list, 3 is withheld, 1 is in train."""
    for task in TASKS:
        (folder / task).mkdir(parents=True)
        lines = ["class_id class_name youtube_id imdb_id"]
        (folder / task / "train.csv").write_text("\n".join([*lines, "0 x a1 tt0000001"]))
        lines += ["0 x b tt0000002"] if task == TASKS[-1] else []
        (folder / task / "val.csv").write_text("\n".join(lines))
    (folder / WITHHELD_FILE).write_text("tt0000003\n\n")
    return folder


def test_the_pool_has_no_movie_of_a_validation_or_withheld_list(tmp_path: Path) -> None:
    root = lvu(tmp_path / "lvu")
    (tmp_path / "clips.csv").write_text(CLIPS)
    held_out = read_held_out_movies(root)
    assert held_out == {"tt0000002", "tt0000003"}
    pool = select_leak_free_pool(tmp_path, held_out)
    assert pool.movies == ("tt0000001", "tt0000004") and pool.clips == ("a1", "a2", "d")
    assert read_listed_clips(root, "train") == {"a1"} and read_listed_movies(root, "train") == {
        "tt0000001"
    }


def test_movies_of_complete_test_lists_are_held_out(tmp_path: Path) -> None:
    root = lvu(tmp_path)
    (root / WITHHELD_FILE).unlink()
    for task in TASKS:
        lines = ["class_id class_name youtube_id imdb_id"]
        lines += ["0 x e tt0000005"] if task == TASKS[0] else []
        (root / task / "test.csv").write_text("\n".join(lines))
    assert read_held_out_movies(root) == {"tt0000002", "tt0000005"}


@pytest.mark.parametrize("name", [f"{TASKS[0]}/val.csv", f"{TASKS[-1]}/val.csv", WITHHELD_FILE])
def test_for_want_of_a_file_nothing_is_left_in(tmp_path: Path, name: str) -> None:
    root = lvu(tmp_path)
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_held_out_movies(root)


def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    root = lvu(tmp_path)
    (root / WITHHELD_FILE).write_text("tt0000003\nMatrix\n")
    with pytest.raises(ValueError, match="line 2: 'Matrix' is not an IMDb id"):
        read_withheld_movies(root / WITHHELD_FILE)
    (root / "scene" / "val.csv").write_text("class_id,class_name,youtube_id,imdb_id\n0,x,b,tt2\n")
    with pytest.raises(ValueError, match="separated by commas where spaces are read"):
        read_held_out_movies(root)


@pytest.mark.real_data
def test_the_pool_of_condensed_movies_is_free_of_lvus_movies(data_root: Path) -> None:
    """By a reading of the files that shares no code with the package's."""
    root = data_root / "movies"
    forbidden = set((root / "lvu_1.0" / WITHHELD_FILE).read_text().split())
    lists = sorted((root / "lvu_1.0").glob("*/val.csv"))
    for path in lists:
        header, *lines = path.read_text().splitlines()
        assert header.split()[-1] == "imdb_id"
        forbidden |= {line.split()[-1] for line in lines}
    assert len(lists) == 9 and len(forbidden) == 1412
    pool = select_leak_free_pool(root / "condensed_movies", read_held_out_movies(root / "lvu_1.0"))
    assert (len(pool.movies), len(pool.clips)) == (2201, 20442)
    assert not forbidden & set(pool.movies)
    with gzip.open(root / "condensed_movies" / "clips.csv.gz", "rt") as file:
        movie_of = {row["videoid"]: row["imdbid"] for row in csv.DictReader(file)}
    assert not forbidden & {movie_of[clip] for clip in pool.clips}


@pytest.mark.real_data
def test_similarity_on_the_pool_sees_no_held_out_movie_and_no_scenes_own_words(
    data_root: Path,
) -> None:
    root = data_root / "movies"
    held_out = read_held_out_movies(root / "lvu_1.0")
    pool = select_leak_free_pool(root / "condensed_movies", held_out)
    scenes = set(pool.clips[::2])
    movies = open_condensed_movies(root / "condensed_movies", scenes=scenes)
    movies = movies.with_ratings_of(open_movielens(root / "movielens_latest_small_2018"))
    with gzip.open(root / "condensed_movies" / "descriptions.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["videoid"] in scenes]
    text = dict(zip(movies.ids, movies.synopses, strict=True))
    kept = [row for row in rows if row["description"] in text[row["imdbid"]]]
    assert len(rows) > 10_000 and len(kept) < 10  # a few clips are described in equal words
    found = find_neighbors(
        movies, {"genre": {}, "cowatch": {}, "synopsis": {}}, k=10, held_out=held_out
    )
    assert not held_out & set(found.ids) and set(pool.movies) <= set(found.ids)
    assert found.index.max() < len(found.ids)
    assert found.fallback["similar to none"] < 20
