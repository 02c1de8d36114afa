"""The tool that prepares LVU's lists, as a user runs it."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.data.lvu_files import TRAIN, VAL, write_lvu
from tests.tools.test_prepare_movies import tool
from vujax.data.datasets.lvu import LVU
from vujax.data.movies.holdout import TASKS, WITHHELD_FILE, read_held_out_movies


def test_prepared_lists_are_those_that_were_read(tmp_path: Path) -> None:
    root, out = write_lvu(tmp_path / "lvu"), tmp_path / "out"
    with (root / "scene/val.csv").open("a") as file:
        file.write("0 nm1 c3 tt0000001\n0 nm1 c3 tt0000001\n")
    done = tool("prepare_lvu", out, "--root", root)
    assert done.returncode == 0, done.stderr
    names = {f"{task}.parquet" for task in TASKS}
    names |= {"report.json", "held_out_movies.txt", "listed_clips.txt"}
    assert {path.name for path in out.iterdir()} == names
    wanted, found = LVU.open(root), LVU.open(out)
    for task in TASKS:
        assert found[task].lists == wanted[task].lists
    held_out = (out / "held_out_movies.txt").read_text().split()
    assert set(held_out) == read_held_out_movies(root) and held_out == sorted(held_out)
    clips = (out / "listed_clips.txt").read_text().split()
    assert set(clips) == {f"c{k}" for k in range(TRAIN + VAL)}
    facts = json.loads((out / "report.json").read_text())["tasks"]
    assert facts["scene"]["repeated_lines"] == {"train": 0, "val": 1}
    assert facts["scene"]["clips_in_several_lists"] == 1
    assert facts["scene"]["movies_in_several_lists"] == 1
    assert facts["director"]["classes"]["val"] == {"0 nm1": 12, "1 nm2": 6, "4 nm3": 6}
    assert facts["writer"]["classes"]["val"][r"0 \N"] == 12
    writer = pq.read_table(out / "writer.parquet")
    assert writer["class_name"].null_count == (TRAIN + VAL) // 2
    assert "scene: train 60, val 25 clips; 1 clips in several lists; 1 movies" in done.stdout
    assert "1 lines repeated and left out" in done.stdout


def test_nothing_is_written_of_a_wrong_copy(tmp_path: Path) -> None:
    root, out = write_lvu(tmp_path / "lvu"), tmp_path / "out"
    (root / WITHHELD_FILE).unlink()
    done = tool("prepare_lvu", out, "--root", root)
    assert done.returncode == 2 and "names movies that must be held out" in done.stderr
    (root / "year/train.csv").write_text("class_id;class_name;youtube_id;imdb_id\n")
    done = tool("prepare_lvu", out, "--root", root)
    assert done.returncode == 2 and "separated by semicolons where spaces are" in done.stderr
    assert not out.exists()


@pytest.mark.real_data
def test_the_public_lists_are_prepared(tmp_path: Path, data_root: Path) -> None:
    root = data_root / "movies/lvu_1.0"
    done = tool("prepare_lvu", tmp_path, "--root", root)
    assert done.returncode == 0, done.stderr
    assert "1412 movies to hold out" in done.stdout
    assert "relationship: train 149, val 53 clips; 9 movies in several lists" in done.stdout
    for name, task in LVU.open(tmp_path).tasks.items():
        assert task.lists == LVU.open(root)[name].lists
