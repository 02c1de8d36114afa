"""Films from the files of MovieNet and BaSSL."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.movienet_files import make, picture, write_annotations, write_features
from vujax.data.datasets.movienet import read_labels
from vujax.data.registry import open_films


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "movienet")


def test_labels_shots_and_splits(root: Path) -> None:
    one, two = open_films("movienet", root=str(root))
    assert [one.film, two.film] == ["tt0000001", "tt0000002"]
    assert one.starts.tolist() == [False, True, False, True]  # -1 counts as 1
    assert two.starts.tolist() == [True, False, False]  # the 1 of the last shot has no boundary
    assert one.frames.tolist()[1] == [30, 59] and one.fps == 24
    assert one.seconds[1].tolist() == [1.25, 2.5] and one.inputs(np.arange(2)) == {}
    (three,) = open_films("movienet", root=str(root / "scene318"), split="test")
    assert three.film == "tt0000003" and not three.starts.any()
    assert len(open_films("movienet", root=str(root), split="all")) == 3
    (root / "rates.json").write_text(json.dumps({"tt0000001": 30}))
    rates = dict(root=str(root), rates=str(root / "rates.json"), labels=False)
    one, two = open_films("movienet", **rates)
    assert (one.fps, one.seconds[1, 0], two.fps, one.starts) == (30, 1.0, 24, None)


def test_keyframes(root: Path) -> None:
    folders = dict(root=str(root), keyframes=str(root / "240P_frames"))
    film = open_films("movienet", image_size=16, **folders)[0]
    image = pickle.loads(pickle.dumps(film)).inputs(np.array([4, 0]))["image"]
    assert image.shape == (2, 3, 16, 16, 3) and image.dtype == np.uint8
    right = image[:, :, 8, 14].astype(int)  # of the square from the middle
    np.testing.assert_allclose(right[0, :, 1], [40, 100, 160], atol=12)
    np.testing.assert_allclose(right[:, 0, 0], [180, 20], atol=12)
    middle = open_films("movienet", frames=1, **folders)[0].inputs(np.array([2]))["image"]
    assert middle.shape == (1, 1, 20, 40, 3)
    assert abs(int(middle[0, 0, 10, 35, 1]) - 100) < 12
    path = root / "240P_frames/tt0000001/shot_0002_img_1.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"shot_0002_img_1\.jpg: its image cannot be decoded"):
        film.inputs(np.array([2]))
    path.write_bytes(picture(0, 0, (64, 20)))
    with pytest.raises(ValueError, match=r"differs in size from .*: set image_size"):
        open_films("movienet", **folders)[0].inputs(np.array([2]))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"shot_0002_img_1\.jpg does not exist"):
        film.inputs(np.array([1, 2]))


@pytest.mark.parametrize("form", ["npz", "npy", "shots"])
def test_features(root: Path, form: str) -> None:
    folder = write_features(root, form)
    film = open_films("movienet", root=str(root), features=str(folder))[0]
    feature = pickle.loads(pickle.dumps(film)).inputs(np.array([2, 0]))["feature"]
    assert feature.dtype == np.float32
    np.testing.assert_array_equal(feature, np.arange(30).reshape(5, 6)[[2, 0]])


def test_bad_features(root: Path) -> None:
    def opened(folder: Path) -> Any:
        return open_films("movienet", root=str(root), features=str(folder))

    folder = write_features(root, "npz")
    np.savez(folder / "tt0000002.npz", feature=np.zeros((4, 7)))
    with pytest.raises(ValueError, match="tt0000002 are 7 numbers wide, those of tt0000001 6"):
        opened(folder)
    np.savez(folder / "tt0000002.npz", feature=np.zeros((5, 6)))
    with pytest.raises(ValueError, match=r"holds \[5, 6\]: it needs \[4 f\]"):
        opened(folder)
    np.savez(folder / "tt0000002.npz", other=np.zeros((4, 6)))
    with pytest.raises(ValueError, match="has no array 'feature': choose one with key"):
        opened(folder)
    (folder / "tt0000002.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"tt0000002\.npz is not an npz file"):
        opened(folder)
    (folder / "tt0000002.npz").unlink()
    with pytest.raises(FileNotFoundError, match="has no features of tt0000002"):
        opened(folder)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        opened(root / "nowhere")
    vectors = np.zeros((4, 6), np.float32)
    vectors[3, 1] = np.nan
    np.savez(folder / "tt0000002.npz", feature=vectors)
    with pytest.raises(ValueError, match="features of shot 3 of tt0000002 are not finite"):
        opened(folder)[1].inputs(np.array([0]))


def test_bad_labels_and_splits(root: Path) -> None:
    labels = root / "scene318/label318/tt0000001.txt"
    for text, message in (
        ("0000 0\n0001 1\n", "has labels of 2 shots, and the film has 5: it needs 4, or 5"),
        ("".join(f"{i:04d} 0\n" for i in range(6)), "has labels of 6 shots, and the film has 5"),
        ("0000 0\n0001 1\n0003 0\n0002 0\n", "label 2 of .* is 0 of shot 3: it needs 0, 1 or -1"),
        ("0000 0\n0001 2\n0002 0\n0003 0\n", "label 1 of .* is 2 of shot 1"),
        ("0000 0\n0001\n0002 0\n0003 0\n", "line 2 of .* has fewer than 2 numbers"),
        ("0000 0\n0001 x\n", "line 2 of .* is not a row of integers"),
    ):
        labels.write_text(text)
        with pytest.raises(ValueError, match=message):
            open_films("movienet", root=str(root))
    split = root / "scene318/split318.json"
    split.write_text(json.dumps(dict(train=["tt0000002", "tt9999999"])))
    with pytest.raises(ValueError, match=r"\(split 'train'\) has no film tt9999999: it has tt"):
        open_films("movienet", root=str(root))
    with pytest.raises(ValueError, match="has no split 'test'"):
        open_films("movienet", root=str(root), split="test")
    with pytest.raises(ValueError, match="unknown split 'tests'; expected one of: train"):
        open_films("movienet", root=str(root), split="tests")
    split.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no split318\.json"):
        open_films("movienet", root=str(root))
    with pytest.raises(FileNotFoundError, match="has no folder shot_movie318"):
        open_films("movienet", root=str(root / "240P_frames"))
    (root / "scene318/shot_movie318/tt0000002.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"tt0000002\.txt has no shots"):
        open_films("movienet", root=str(root), split="all", films=["tt0000002"])


def test_missing_labels_at_the_end_are_counted_zeros(tmp_path: Path) -> None:
    path = tmp_path / "tt1099212.txt"
    path.write_text("".join(f"{i:04d} {i % 2}\n" for i in range(1762)))
    with pytest.warns(UserWarning, match=r"tt1099212\.txt lacks the last 1 of 1763 labels"):
        starts = read_labels(path, 1764)
    assert starts.shape == (1763,) and starts[-2] and not starts[-1]
    with pytest.warns(UserWarning, match="lacks the last 17 of 1779 labels"):
        assert not read_labels(path, 1780)[1762:].any()
    with pytest.raises(ValueError, match="has labels of 1762 shots, and the film has 1790"):
        read_labels(path, 1790)


def test_films_that_cannot_be_read_are_left_out_one_by_one(root: Path) -> None:
    labels = root / "scene318/label318"
    (labels / "tt0000001.txt").write_text("damaged")
    with pytest.raises(ValueError, match="is not a row of integers"):
        open_films("movienet", root=str(root))
    with pytest.warns(UserWarning, match="tt0000001 is left out: line 1 of"):
        (film,) = open_films("movienet", root=str(root), skip_unreadable=True)
    assert film.film == "tt0000002"
    (labels / "tt0000001.txt").unlink()
    with pytest.warns(UserWarning, match=r"tt0000001 is left out: .* does not exist"):
        (film,) = open_films("movienet", root=str(root), skip_unreadable=True)
    assert film.starts.sum() == 1


def test_one_shot_needs_no_label(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("")
    assert read_labels(tmp_path / "x.txt", 1).shape == (0,)


def test_bassl(root: Path) -> None:
    one, two = open_films("bassl", root=str(root), image_size=8)[::-1]
    assert [one.film, two.film] == ["tt0000001", "tt0000002"]
    assert one.starts.tolist() == [False, True, False, True] and two.starts.tolist() == [1, 0, 0]
    assert one.seconds[1].tolist() == [1.25, 2.5] and len(two) == 4
    assert one.inputs(np.array([1]))["image"].shape == (1, 3, 8, 8, 3)
    write_annotations(root, {"pretrain": ["tt0000001"]}, boundary_label=None)
    (root / "scene318/shot_movie318/tt0000001.txt").unlink()
    with pytest.raises(FileNotFoundError, match="set shot_s, a duration for its shots"):
        open_films("bassl", root=str(root), split="pretrain")
    (film,) = open_films("bassl", root=str(root), split="pretrain", keyframes=None, shot_s=2.0)
    assert film.starts is None and film.seconds[1].tolist() == [2, 4] and film.frames is None


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(shot_id="0001"), "does not have each of the 5 shots of tt0000001 once"),
        (dict(num_shot=9), "does not have each of the 9 shots"),
        (dict(num_shot="x"), "line 1 of .* is not an object with video_id"),
        (dict(video_id="../../etc/passwd"), "line 1 of .* is not an object with video_id"),
        (dict(boundary_label=3), "label 0 of tt0000001 in .* is 3"),
    ],
)
def test_bad_annotations(root: Path, changes: dict[str, Any], message: str) -> None:
    write_annotations(root, {"train": ["tt0000001"]}, **changes)
    with pytest.raises(ValueError, match=message):
        open_films("bassl", root=str(root))


def test_no_annotations(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"anno\.val\.ndjson does not exist"):
        open_films("bassl", root=str(root), split="val")
    with pytest.raises(ValueError, match="unknown split 'x'; expected one of: pretrain"):
        open_films("bassl", root=str(root), split="x")
