"""Labels of scenes from MovieNet's place and action tags."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.movienet_files import make, write_features
from tools import prepare_movienet
from vujax.data.datasets.movienet import TAGS, read_tags
from vujax.data.registry import open_scenes

SCENES = [
    dict(id="scene_1", shot=[2, 3], frame=[60, 119], place_tag=None, action_tag=None),
    dict(id="scene_0", shot=[0, 1], frame=[0, 59], place_tag="street", action_tag=["run", "run"]),
    dict(id="scene_2", shot=[4, 4], frame=[120, 149], place_tag="bar", action_tag="talk"),
]


def write(folder: Path, film: str = "tt0000001", scenes: Any = SCENES, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{film}.json"
    path.write_text(json.dumps(dict(imdb_id=film, scene=scenes, cast=[]) | more))
    return path


def test_tags_are_read(tmp_path: Path) -> None:
    zero, one, two = read_tags(write(tmp_path), 5)
    assert (zero.name, zero.first, zero.last) == ("scene_0", 0, 1)
    assert (zero.place, zero.actions) == ("street", ("run",))
    assert (one.place, one.actions) == (None, ()) and two.actions == ("talk",)
    apart = [dict(id=0, shot=[0, 2]), dict(id=1, shot=[2, 5])]
    path = write(tmp_path, scenes=apart)
    with pytest.raises(ValueError, match=r"starts with shot 2, .* read as inclusive: try"):
        read_tags(path, 6)
    assert [scene.last for scene in read_tags(path, 5, "exclusive")] == [1, 4]
    assert read_tags(write(tmp_path, scenes=None), 5) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(shot=[0, 5]), "has the shots from 0 to 5, read as inclusive: .* from 0 to 4"),
        (dict(shot=[3, 2]), "has the shots from 3 to 2"),
        (dict(shot=[-1, 2]), "has the shots from -1 to 2"),
        (dict(shot=[0]), 'scene 0 of .* is not an object with "id" and "shot"'),
        (dict(shot=[0, True]), "is not an object"),
        (dict(id="../x"), "is not an object"),
        (dict(place_tag=3), "place_tag is a text or null"),
        (dict(action_tag=[3]), "action_tag a list of texts"),
        (dict(action_tag=dict(a=1)), "action_tag a list of texts"),
    ],
)
def test_bad_scenes(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path, scenes=[dict(id="a", shot=[0, 1]) | change])
    with pytest.raises(ValueError, match=message):
        read_tags(path, 5)


def test_bad_files(tmp_path: Path) -> None:
    twice = [dict(id="a", shot=[0, 1]), dict(id="a", shot=[2, 3])]
    for more, message in (
        (dict(scenes=twice), "two scenes with the same id"),
        (dict(scenes=7), "'scene' is not a list"),
        (dict(imdb_id="tt0000009"), "is of the film 'tt0000009'"),
    ):
        with pytest.raises(ValueError, match=message):
            read_tags(write(tmp_path, **more), 5)
    path = write(tmp_path)
    for text in ("[", "[]"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"is not (a )?JSON"):
            read_tags(path, 5)
    with pytest.raises(ValueError, match="expected one of: inclusive, exclusive"):
        read_tags(path, 5, "open")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_tags(tmp_path / "tt0000002.json", 5)


def test_the_tool_writes_tags_that_become_labels_of_scenes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = make(tmp_path / "movienet"), tmp_path / "out"
    features = write_features(root, "npz")
    tags = write(tmp_path / "annotation").parent
    write(tags, "tt0000003", [dict(id="x", shot=[1, 2], place_tag="sea", action_tag=[])])

    def run(*more: str) -> int:
        command = ["prepare_movienet.py", str(out), "--kind", "movienet", f"root={root}"]
        monkeypatch.setattr(sys, "argv", [*command, f"features={features}", *more])
        return prepare_movienet.main()

    assert run("--splits", "train", "test") == 0
    with pytest.raises(FileNotFoundError, match="prepare the films with --tags"):
        open_scenes("prepared", path=str(out))
    capsys.readouterr()
    assert run("--splits", "train", "test", "--tags", str(tags)) == 0
    said = capsys.readouterr().out
    assert "tags: 4 scenes of 2 films, 3 with a place, 2 with actions; 1 films have no" in said
    assert (out / TAGS).is_file()
    scenes = open_scenes("prepared", path=str(out))
    assert scenes.keys == (
        *(f"tt0000001/scene_{k}" for k in range(3)),
        "tt0000003/x",
    )
    assert scenes.labels["place"] == [{"street"}, set(), {"bar"}, {"sea"}]
    assert scenes.labels["action"] == [{"run"}, set(), {"talk"}, set()]
    assert scenes.lengths.tolist() == [2, 2, 1, 2] and scenes.empty_movies == ()
    feature = scenes.inputs(3)["feature"]
    np.testing.assert_array_equal(feature, np.arange(18).reshape(3, 6)[1:])
    (test,) = open_scenes("prepared", path=str(out), split="test").movies
    assert test == "tt0000003"
    by_starts = open_scenes("prepared", path=str(out), by="starts", split="train")
    assert by_starts.lengths.tolist() == [2, 2, 1, 1, 3]
    assert len(open_scenes("prepared", path=str(out), by="windows", window=2).keys) == 7
    with pytest.raises(ValueError, match="unknown by 'scenes'; expected one of: tags"):
        open_scenes("prepared", path=str(out), by="scenes")
    with pytest.raises(SystemExit, match="2"):
        run("--splits", "train", "--tags", str(tmp_path / "nowhere"))
    assert "is not a folder of annotations" in capsys.readouterr().err
