"""Films from feature files: contents, and an error message for each defect."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vujax.data.datasets.features import FeatureFilm, open_features
from vujax.data.films import Shots, frames_to_seconds, select_films
from vujax.data.registry import open_films
from vujax.data.sources import open_source

FRAMES = np.array([[0, 24], [25, 74], [80, 99], [100, 124]], np.int32)


def arrays(n: int = 4, width: int = 3, **changes: Any) -> dict[str, np.ndarray]:
    vectors = np.arange(n * width, dtype=np.float16).reshape(n, width)
    labels = np.array([0, 1, 0], np.uint8)[: n - 1]
    return dict(vgg19=vectors, hsv=vectors + 1, boundary=labels, shots=FRAMES[:n]) | changes


def write(folder: Path, name: str = "one", **changes: Any) -> Path:
    kept = {key: value for key, value in arrays(**changes).items() if value is not None}
    np.savez(folder / f"{name}.npz", **kept)
    return folder


def test_a_film_of_an_npz_file(tmp_path: Path) -> None:
    write(write(tmp_path), "two", n=1)
    one, two = open_films("features", path=str(tmp_path))
    assert (one.film, len(one), one.fps, two.film, len(two)) == ("one", 4, 25.0, "two", 1)
    np.testing.assert_array_equal(one.seconds, [[0, 1], [1, 3], [3.2, 4], [4, 5]])
    np.testing.assert_array_equal(one.frames, FRAMES)
    assert one.seconds.dtype == np.float64 and one.frames.dtype == np.int64
    assert one.starts.tolist() == [False, True, False] and two.starts.shape == (0,)
    feature = one.inputs(np.array([2, 0]))["feature"]
    assert feature.dtype == np.float32 and feature.tolist() == [[6, 7, 8], [0, 1, 2]]
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.inputs(np.arange(4))["feature"], one.vectors)


def test_options_of_features(tmp_path: Path) -> None:
    for name in ("bbc_1", "bbc_2", "rai_1"):
        write(tmp_path, name, boundary=None)
    path = str(tmp_path)
    assert [f.film for f in open_films("features", path=path, pattern="bbc_*")] == [
        "bbc_1",
        "bbc_2",
    ]
    (film,) = open_films(
        "features", path=path, films=["rai_1"], key="hsv", normalize="sum", fps=50.0
    )
    assert film.starts is None and film.seconds[-1, 1] == 2.5
    np.testing.assert_allclose(film.vectors[0], np.array([1, 2, 3]) / 6)


def test_no_positive_label_is_allowed(tmp_path: Path) -> None:
    (film,) = open_features(str(write(tmp_path, boundary=np.zeros(3, np.uint8))))
    assert not film.starts.any()


NAN = np.array([[0, 0, 0], [0, 0, 0], [0, np.nan, 0], [0, 0, 0]], np.float32)


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(vgg19=NAN), "features of shot 2 of one are not finite"),
        (dict(vgg19=NAN[:3]), r"one has features \[3, 3\] of float32 for 4 shots"),
        (dict(vgg19=None), "has no array 'vgg19': it has hsv, boundary, shots"),
        (dict(vgg19=np.array([["a"]] * 4)), "it needs numbers"),
        (dict(shots=None), "has no array 'shots'"),
        (dict(shots=FRAMES / 2), r"must be integers \[n 2\]"),
        (dict(shots=FRAMES[::-1]), "shot 1 of one lasts from 3.2 s to 4 s: it is empty, or starts"),
        (dict(shots=FRAMES[:, ::-1] - [[0, 1]]), "shot 0 of one lasts"),
        (
            dict(boundary=np.zeros(4, np.uint8)),
            "one has 4 labels for 4 shots: it needs one for each",
        ),
        (dict(boundary=np.zeros(2, np.uint8)), "one has 2 labels for 4 shots"),
        (dict(boundary=np.array([0, 2, 0])), "labels other than 0 and 1"),
        (dict(vgg19=np.array([None] * 4)), "one.npz is not an npz file of plain arrays"),
    ],
)
def test_bad_features(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_films("features", path=str(write(tmp_path, **changes)))


def test_bad_sets(tmp_path: Path) -> None:
    path = str(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no file \*.npz or \*.parquet"):
        open_films("features", path=path)
    write(write(tmp_path), "two", width=5)
    with pytest.raises(ValueError, match="two are 5 numbers wide, those of one 3"):
        open_films("features", path=path)
    with pytest.raises(ValueError, match="has no film three and 1 more: it has one, two"):
        open_films("features", path=path, films=["one", "three", "four"])
    with pytest.raises(ValueError, match="there is no film of kind 'features' with"):
        open_films("features", path=path, films=[])
    with pytest.raises(ValueError, match="two films are named one"):
        open_films("features", path=path, films=["one", "one"])
    (tmp_path / "two.npz").write_bytes(b"PK\3\4 cut short")
    with pytest.raises(ValueError, match=r"two\.npz is not an npz file"):
        open_films("features", path=path)


def test_bad_options() -> None:
    with pytest.raises(
        ValueError, match="unknown kind of films 'x'; expected one of: bassl, catalog"
    ):
        open_films("x")
    with pytest.raises(ValueError, match="'features': unknown option 'pth'; expected one of: path"):
        open_films("features", pth="a")
    with pytest.raises(ValueError, match="kind of films 'features' needs the option path"):
        open_films("features")
    with pytest.raises(ValueError, match="unknown normalize 'max'; expected one of: none, sum"):
        open_films("features", path="a", normalize="max")
    with pytest.raises(ValueError, match=r"source 'folder': unknown option .*one of: .*hold_out"):
        open_source("folder", nothing=1)


def table(film: str = "one", n: int = 4, **changes: Any) -> pa.Table:
    columns = dict(
        film=[film] * n,
        shot=list(range(n)),
        vector=[[float(i), 1.0] for i in range(n)],
        begin_s=[float(i) for i in range(n)],
        end_s=[i + 0.5 for i in range(n)],
        start=[True, False, True, False][:n],
    )
    return pa.table({k: v for k, v in (columns | changes).items() if v is not None})


def parquet(folder: Path, *tables: pa.Table) -> str:
    pq.write_table(pa.concat_tables(tables), folder / "films.parquet")
    return str(folder)


def test_films_of_parquet(tmp_path: Path) -> None:
    mixed = table().take([2, 0, 3, 1])
    one, two = open_films("features", path=parquet(tmp_path, mixed, table("two", n=1)))
    assert one.seconds.tolist() == [[0, 0.5], [1, 1.5], [2, 2.5], [3, 3.5]] and one.fps is None
    assert one.starts.tolist() == [False, True, False] and one.frames is None
    assert one.inputs(np.array([3]))["feature"].tolist() == [[3, 1]] and len(two) == 1
    frames = dict(
        begin_s=None, end_s=None, first_frame=[0, 25, 50, 75], last_frame=[24, 49, 74, 99]
    )
    unlabelled = table(start=pa.nulls(4, pa.bool_()), **frames)
    pq.write_table(unlabelled, tmp_path / "f.parquet")
    (film,) = open_films("features", path=str(tmp_path / "f.parquet"), fps=50.0)
    assert film.starts is None and film.seconds[1].tolist() == [0.5, 1.0] and film.fps == 50


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(vector=None), "has no column 'vector': it has film, shot, begin_s"),
        (dict(shot=[0, 1, 3, 4]), "shots of one in .* are not numbered 0 to 3"),
        (
            dict(vector=[[1.0, 2.0]] * 3 + [[1.0]]),
            r"vectors of one are of different widths: \[1, 2\]",
        ),
        (dict(begin_s=None), "one has no times: add the columns begin_s and end_s"),
        (dict(start=[True, None, True, False]), "label all or none"),
        (dict(vector=[[1.0, np.nan]] * 4), "shot 0 of one are not finite"),
    ],
)
def test_bad_parquet(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_films("features", path=parquet(tmp_path, table(**changes)))


def test_shots_are_checked_wherever_they_come_from() -> None:
    with pytest.raises(ValueError, match="x has no shots"):
        Shots("x", np.zeros((0, 2)))
    with pytest.raises(ValueError, match="x has frames of 1 shots of 2"):
        Shots("x", [[0, 1], [1, 2]], frames=[[0, 3]])
    with pytest.raises(ValueError, match="x has 0 frames per second"):
        Shots("x", [[0, 1]], fps=0)
    with pytest.raises(ValueError, match="shot 1 of x"):
        Shots("x", [[0, 1], [1, np.nan]])
    overlapping = Shots("x", frames_to_seconds([[0, 30], [25, 50]], 25), starts=[1])
    assert overlapping.starts.dtype == bool and len(overlapping) == 2
    assert select_films(["a", "b"], ["b"], "there") == ["b"]


@pytest.mark.real_data
def test_bbc_and_rai(data_root: Path) -> None:
    path = str(data_root / "boundaries")
    bbc, rai = (open_films("features", path=path, pattern=p) for p in ("bbc_*", "rai_*"))
    assert (len(bbc), sum(map(len, bbc)), sum(f.starts.sum() for f in bbc)) == (11, 4855, 557)
    assert (len(rai), sum(map(len, rai)), sum(f.starts.sum() for f in rai)) == (7, 598, 81)
    assert all(isinstance(f, FeatureFilm) and f.vectors.shape[1] == 512 for f in (*bbc, *rai))
    with pytest.raises(ValueError, match=r"rai_06\.npz has no array 'hsv'"):
        open_films("features", path=path, pattern="rai_*", key="hsv")
    hsv = open_films("features", path=path, pattern="bbc_*", key="hsv", normalize="sum")
    np.testing.assert_allclose(hsv[0].vectors.sum(axis=1), 1, rtol=1e-5)
