"""Prepared films equal their originals, and are complete or absent."""

import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.movienet_files import SHOTS, make, picture, write_features
from tools import prepare_movienet
from vujax.data.datasets.prepare import prepare_films, shrink_image
from vujax.data.registry import open_films


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "movienet")


def opened_splits(root: Path, **options: Any) -> dict[str, Any]:
    options = dict(root=str(root), keyframes=str(root / "240P_frames")) | options
    return {k: open_films("movienet", split=k, **options) for k in ("train", "test")}


def test_prepared_films_are_the_same_films(root: Path, tmp_path: Path) -> None:
    splits = opened_splits(root, features=str(write_features(root, "npz")))
    facts = prepare_films(splits, tmp_path / "out", origin={})
    assert facts["complete"] and facts["films"]["tt0000001"]["boundaries"] == 2
    for split, films in splits.items():
        found = open_films("prepared", path=str(tmp_path / "out"), split=split)
        assert [f.film for f in found] == [f.film for f in films]
        for one, other in zip(found, films, strict=True):
            for name in ("seconds", "frames", "starts"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert one.fps == other.fps
            ours = pickle.loads(pickle.dumps(one)).inputs(np.array([2, 0]))
            for name, array in other.inputs(np.array([2, 0])).items():
                np.testing.assert_array_equal(ours[name], array)
    everything = open_films("prepared", path=str(tmp_path / "out"), images=False, frames=1)
    assert len(everything) == 3 and set(everything[0].inputs(np.arange(2))) == {"feature"}


def test_pictures_are_made_smaller_only_if_they_are_larger() -> None:
    data = picture(1, 1)
    assert shrink_image(data, 20, "x") is data and shrink_image(data, None, "x") is data
    with Image.open(io.BytesIO(shrink_image(data, 10, "x"))) as image:
        assert image.size == (20, 10) and image.format == "JPEG"
        assert abs(image.getpixel((17, 5))[1] - 100) < 12
    for length in (300, len(data) - 40):
        with pytest.raises(ValueError, match="x cannot be decoded"):
            shrink_image(data[:length], None, "x")


def test_an_interrupted_preparation_goes_on(root: Path, tmp_path: Path) -> None:
    out, steps = tmp_path / "out", []

    def stop(shots: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_films(opened_splits(root), out, origin={}, progress=stop)
    with pytest.raises(ValueError, match="is not completely prepared: run the tool again"):
        open_films("prepared", path=str(out))
    stamp = (out / "tt0000001.array_record").stat().st_mtime_ns
    with pytest.raises(ValueError, match=r"prepared differently \(side differ\)"):
        prepare_films(opened_splits(root), out, origin={}, side=10)
    prepare_films(opened_splits(root), out, origin={}, progress=steps.append, workers=2)
    assert sorted(steps) == [3, 4, 5] and steps[0] == 5
    assert (out / "tt0000001.array_record").stat().st_mtime_ns == stamp
    assert len(open_films("prepared", path=str(out), split="test")) == 1
    names = {f"{film}{end}" for film in SHOTS for end in (".array_record", ".parquet")}
    assert {p.name for p in out.iterdir()} == names | {"dataset.json"}


def test_a_film_that_cannot_be_read_is_left_out(root: Path, tmp_path: Path) -> None:
    out, bad = tmp_path / "out", root / "240P_frames/tt0000002/shot_0001_img_2.jpg"
    bad.write_bytes(b"no picture")
    facts = prepare_films(opened_splits(root), out, origin={})
    assert "shot_0001_img_2.jpg cannot be decoded" in facts["left_out"]["tt0000002"]
    assert not facts["complete"] and not (out / "tt0000002.parquet").exists()
    facts = prepare_films(opened_splits(root), out, origin={}, allow_missing=True)
    assert [f.film for f in open_films("prepared", path=str(out), split="train")] == ["tt0000001"]
    bad.write_bytes(picture(1, 2))
    facts = prepare_films(opened_splits(root), out, origin={})
    assert facts["complete"] and not facts["left_out"]
    assert len(open_films("prepared", path=str(out), split="train")) == 2


def test_the_tool_leaves_out_a_film_without_labels(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (root / "scene318/label318/tt0000001.txt").unlink()
    command = ["prepare_movienet.py", str(tmp_path / "out"), "--kind", "movienet", f"root={root}"]
    command += ["--splits", "train", "test"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="2"):
        prepare_movienet.main()
    assert "has no film tt0000001" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*command, "--allow_missing"])
    with pytest.warns(UserWarning, match="tt0000001 is left out"):
        assert prepare_movienet.main() == 0
    assert "train: 1 of 1 films, 4 shots, 1 boundaries" in capsys.readouterr().out


def test_bad_prepared_folders(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no prepared films"):
        open_films("prepared", path=str(tmp_path))
    prepare_films(opened_splits(root), tmp_path / "out", origin={})
    with pytest.raises(ValueError, match="has no split 'val': it has test, train, all"):
        open_films("prepared", path=str(tmp_path / "out"), split="val")
    manifest = tmp_path / "out/dataset.json"
    text = manifest.read_text()
    manifest.write_text(text.replace("tt0000003", "../tt0000003"))
    with pytest.raises(ValueError, match=r"dataset\.json is not of vujax films 1"):
        open_films("prepared", path=str(tmp_path / "out"))


def test_the_tool(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*more: str) -> int:
        command = ["prepare_movienet.py", str(tmp_path / "out"), "--kind", "bassl", f"root={root}"]
        command += ["--splits", "train", "test", "--side", "10", *more]
        monkeypatch.setattr(sys, "argv", command)
        return prepare_movienet.main()

    bad = root / "240P_frames/tt0000003/shot_0000_img_0.jpg"
    data = bad.read_bytes()
    bad.unlink()
    assert run() == 1
    said = capsys.readouterr().out
    assert "left out: tt0000003:" in said and "is not complete" in said
    bad.write_bytes(data)
    assert run() == 0
    assert capsys.readouterr().out.splitlines() == [
        "train: 2 of 2 films, 9 shots, 3 boundaries",
        "test: 1 of 1 films, 3 shots, 0 boundaries",
    ]
    film = open_films("prepared", path=str(tmp_path / "out"), split="test")[0]
    assert film.inputs(np.array([0]))["image"].shape == (1, 3, 10, 20, 3)
    with pytest.raises(SystemExit, match="2"):
        run("side=3")
    assert "unknown option 'side'; expected one of:" in capsys.readouterr().err
