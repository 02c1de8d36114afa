"""LVU's lists as published and as prepared."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.lvu_files import CLASSES, write_lvu
from vujax.data.datasets.lvu import (
    LVU,
    LabeledClip,
    compute_like_ratio,
    compute_view_count,
    read_task,
)
from vujax.data.movies.holdout import TASKS, read_held_out_movies

HEADER = "class_id class_name youtube_id imdb_id\n"


def test_lists_are_read(tmp_path: Path) -> None:
    lvu = LVU.open(write_lvu(tmp_path))
    assert tuple(lvu.tasks) == TASKS
    director = lvu["director"]
    assert director.lists["train"][0] == LabeledClip("c0", "tt0000000", 0, "nm1")
    assert director.classes == CLASSES and not director.is_number
    assert lvu["writer"].classes[0] == r"\N"
    assert lvu["view_count"].is_number and lvu["view_count"].classes == {}
    assert set(director.lists) == {"train", "val"}
    with pytest.raises(ValueError, match="unknown LVU task 'actor'; expected one of: relationship"):
        lvu["actor"]


def test_targets() -> None:
    assert compute_like_ratio(3, 1) == pytest.approx(7.5 - 9.138220535629456)
    assert compute_view_count(1000) == pytest.approx(math.log(1000) - 11.76425435683139)


def test_numbers_are_the_targets(tmp_path: Path) -> None:
    root = write_lvu(tmp_path)
    (root / "like_ratio/val.csv").write_text(
        "like_count dislike_count youtube_id imdb_id\n3 1 a tt1\n0 2 b tt0000002\n"
    )
    clips = read_task(root, "like_ratio").lists["val"]
    assert clips[0] == LabeledClip("a", "tt0000001", compute_like_ratio(3, 1), counts=(3, 1))
    assert clips[1].target == pytest.approx(-9.138220535629456)


def test_a_line_twice_is_counted_and_a_test_list_is_taken(tmp_path: Path) -> None:
    root = write_lvu(tmp_path)
    text = HEADER + "0 nm1 a tt1\n1 nm2 b tt2\n0 nm1 a tt1\n"
    (root / "director/test.csv").write_text(text)
    task = read_task(root, "director")
    assert [one.clip for one in task.lists["test"]] == ["a", "b"]
    assert task.repeated == {"train": 0, "val": 0, "test": 1}


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("scene", "class_id,class_name,youtube_id,imdb_id\n0,x,b,tt2\n", "separated by commas"),
        ("scene", HEADER + "0 x a tt1\n1 y a tt1\n", "line 3: the clip a is listed twice, with"),
        ("scene", HEADER + "0 x a tt1\n0 x a tt2\n", "line 3: the clip a is listed twice, with"),
        ("scene", HEADER + "0 x a tt1 more\n", "line 2: 5 cells under a header of 4"),
        ("scene", HEADER + "x x a tt1\n", "line 2: the class_id 'x' is not a number"),
        ("scene", HEADER + "1.5 x a tt1\n", "line 2: the class_id 1.5 is not an integer"),
        ("scene", HEADER + "-1 x a tt1\n", "class_id -1 is not within 0"),
        ("scene", HEADER + "0 x a nm1\n", "line 2: 'nm1' is not an IMDb id"),
        ("scene", HEADER + r"0 x \N tt1", "line 2: youtube_id is missing"),
        ("scene", HEADER + "0 x a tt1\n0 y b tt1\n", "class 0 of scene is named"),
        ("like_ratio", HEADER, "no column 'like_count'"),
        ("view_count", "view_count youtube_id imdb_id\n0 a tt1\n", "view_count 0 is not within 1"),
        (
            "like_ratio",
            "like_count dislike_count youtube_id imdb_id\n0 0 a tt1\n",
            "line 2: nobody liked or disliked the clip",
        ),
    ],
)
def test_bad_lists_are_refused(tmp_path: Path, task: str, text: str, message: str) -> None:
    root = write_lvu(tmp_path)
    (root / task / "val.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        LVU.open(root)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    root = write_lvu(tmp_path)
    (root / "year/val.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"year/val\.csv does not exist"):
        LVU.open(root)


def test_tables_of_other_splits_are_refused(tmp_path: Path) -> None:
    columns = dict(split=["train", "dev"], class_id=[0, 0], class_name=["x", "x"])
    columns |= dict(youtube_id=["a", "b"], imdb_id=["tt1", "tt2"])
    pq.write_table(pa.table(columns), tmp_path / "scene.parquet")
    with pytest.raises(ValueError, match="row 2: the split 'dev' is none of train, val, test"):
        read_task(tmp_path, "scene")
    pq.write_table(pa.table(columns).slice(0, 1), tmp_path / "scene.parquet")
    with pytest.raises(ValueError, match="has no clip of the split val"):
        read_task(tmp_path, "scene")


def test_test_lists_are_held_out_too(tmp_path: Path) -> None:
    root = write_lvu(tmp_path)
    for task in TASKS:
        text = (root / task / "val.csv").read_text().splitlines()[0] + "\n"
        (root / task / "test.csv").write_text(text)
    (root / "year/test.csv").write_text(HEADER + "0 nm1 t tt0000777\n")
    before = read_held_out_movies(root)
    assert "tt0000777" in before and "tt0000900" in before
    (root / "withheld_movies.txt").unlink()
    assert read_held_out_movies(root) == before - {"tt0000900"}
    (root / "scene/test.csv").unlink()
    with pytest.raises(FileNotFoundError, match="withheld_movies"):
        read_held_out_movies(root)


@pytest.mark.real_data
def test_the_public_lists(data_root: Path) -> None:
    lvu = LVU.open(data_root / "movies/lvu_1.0")
    counts = {}
    for name, task in lvu.tasks.items():
        counts[name] = [len(clips) for clips in task.lists.values()]
    assert counts == {
        "relationship": [149, 53],
        "way_speaking": [939, 205],
        "scene": [557, 120],
        "director": [680, 163],
        "genre": [3063, 597],
        "writer": [769, 174],
        "year": [770, 165],
        "like_ratio": [658, 142],
        "view_count": [577, 124],
    }
    assert [len(task.classes) for task in lvu.tasks.values()] == [4, 5, 6, 8, 4, 7, 9, 0, 0]
    shared = [len(task.movies("train") & task.movies("val")) for task in lvu.tasks.values()]
    assert shared == [9, 71, 46, 0, 0, 0, 0, 66, 59]
