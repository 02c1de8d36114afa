"""The tools that prepare tables of movies, as a user runs them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vujax.data.movies.holdout import TASKS, WITHHELD_FILE
from vujax.data.registry import open_movies

TOOLS = Path(__file__).parents[2] / "tools"
LENS = {
    "movies.csv": "movieId,title,genres\n1,A (1995),Comedy|War\n2,B (1996),War\n",
    "links.csv": "movieId,imdbId,tmdbId\n1,0000001,862\n2,0000009,1\n",
    "ratings.csv": "userId,movieId,rating,timestamp\n5,1,4.0,9\n7,2,0.5,9\n",
}
CONDENSED = {
    "movies.csv": "imdbid,title,year\ntt0000001,A,1995.0\ntt0000002,B,\ntt0000003,C,\n",
    "movie_info.csv": "imdbid,genre,country\ntt0000001,['War'],x\n",
    "clips.csv": "videoid,imdbid\nx,tt0000001\ny,tt0000001\nz,tt0000001\nb,tt0000002\n"
    "c,tt0000003\n",
    "descriptions.csv": "imdbid,videoid,description\ntt0000001,x,One.\ntt0000001,y,Two.\n"
    "tt0000001,z,Three.\ntt0000002,b,Four.\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, TOOLS / f"{name}.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_movielens_is_written_as_it_is_read(tmp_path: Path) -> None:
    root, out = write(tmp_path / "ml", LENS), tmp_path / "out"
    done = tool("prepare_movielens", out, "--root", root)
    assert done.returncode == 0, done.stderr
    assert "2 movies, 2 ratings" in done.stdout
    wanted, found = open_movies(root), open_movies(out)
    for column in ("ids", "titles", "genres", "synopses"):
        assert getattr(found, column) == getattr(wanted, column)
    for column in ("user", "movie", "value"):
        np.testing.assert_array_equal(
            getattr(found.ratings, column), getattr(wanted.ratings, column)
        )
    (root / "links.csv").unlink()
    done = tool("prepare_movielens", out, "--root", root)
    assert done.returncode == 2 and "has no links.csv" in done.stderr


def test_condensed_movies_without_leaks(tmp_path: Path) -> None:
    lists = "class_id class_name youtube_id imdb_id\n"
    lvu = {f"{task}/{split}.csv": lists for task in TASKS for split in ("train", "val")}
    lvu |= {"scene/train.csv": lists + "0 s z tt0000001\n"}
    lvu |= {"year/val.csv": lists + "0 s b tt0000002\n", WITHHELD_FILE: "tt0000003\n"}
    scenes = write(tmp_path, {"labels.txt": "x/x-Scene-001.mp4 3 4\n"}) / "labels.txt"
    out = tmp_path / "out"
    arguments = [
        "--root",
        write(tmp_path / "cmd", CONDENSED),
        "--lvu",
        write(tmp_path / "lvu", lvu),
    ]
    arguments += ["--scenes", scenes, "--ratings", write(tmp_path / "ml", LENS)]
    done = tool("prepare_condensed_movies", out, *arguments)
    assert done.returncode == 0, done.stderr
    movies = open_movies(out)
    assert movies.ids == ("tt0000001",) and movies.titles == ("A (1995)",)
    assert movies.synopses == ("Two.",)  # x is a scene, z a clip of LVU
    assert len(movies.ratings) == 1
    clips = pq.read_table(out / "clips.parquet").to_pydict()
    assert clips == {"clip": ["x", "y", "z"], "movie": ["tt0000001"] * 3}
    assert "1 movies, 3 clips" in done.stdout


@pytest.mark.real_data
def test_condensed_movies_of_the_public_originals(tmp_path: Path, data_root: Path) -> None:
    root = data_root / "movies"
    labels = sorted((root / "movieclip").glob("*_150_labels.txt*"))
    arguments = ["--root", root / "condensed_movies", "--lvu", root / "lvu_1.0"]
    arguments += ["--ratings", root / "movielens_latest_small_2018", "--scenes", *labels]
    done = tool("prepare_condensed_movies", tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "2201 movies, 20442 clips" in done.stdout
    assert "with a synopsis: 1945 movies" in done.stdout
    assert len(open_movies(tmp_path)) == 2201
