"""Labels from frame ranges of scenes: snapped, merged, counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vujax.data.datasets.scene_ranges import merge_annotators, snap_to_shots
from vujax.data.registry import open_films

SHOTS = [[0, 9], [10, 19], [24, 39], [40, 59], [60, 99]]


@pytest.mark.parametrize(
    "begins, starts, merged",
    [
        ([0, 24, 60], [0, 1, 0, 1], 0),
        ([0, 17], [1, 0, 0, 0], 0),  # as near to 10 as to 24: the earlier
        ([0, 23], [0, 1, 0, 0], 0),
        ([0, 22, 26], [0, 1, 0, 0], 1),
        ([3, 4], [0, 0, 0, 0], 1),
        ([12], [1, 0, 0, 0], 0),  # what lies before the first scene is one of its own
        ([0, 5000], [0, 0, 0, 1], 0),
        ([], [0, 0, 0, 0], 0),
    ],
)
def test_beginnings_are_snapped(begins: list[int], starts: list[int], merged: int) -> None:
    found = snap_to_shots(np.array(begins), np.array(SHOTS)[:, 0])
    assert found.starts.tolist() == [bool(s) for s in starts] and found.merged == merged


def test_snapping_equals_a_plain_search() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        shots = np.unique(rng.integers(0, 60, rng.integers(1, 12)))
        scenes = rng.integers(0, 70, 6)
        nearest = {min(range(len(shots)), key=lambda k, s=s: abs(shots[k] - s)) for s in scenes}
        found = snap_to_shots(scenes, shots)
        assert found.starts.tolist() == [k in nearest for k in range(1, len(shots))]
        assert found.merged == 6 - len(nearest)


def test_rules_for_annotators() -> None:
    three = [np.array([0, 50, 90]), np.array([2, 52]), np.array([1, 70])]
    assert merge_annotators(three, "majority", 5).tolist() == [1, 50]
    assert merge_annotators(three, "any", 5).tolist() == [1, 50, 70, 90]
    assert merge_annotators(three, "all", 5).tolist() == [1]
    assert merge_annotators(three, "first", 5).tolist() == [0, 50, 90]
    assert merge_annotators(three, "majority", 0).tolist() == []
    assert merge_annotators(three[:2], "majority", 5).tolist() == [
        0,
        50,
    ]  # more than half of two is both
    close = [
        np.array([50, 52, 90]),
        np.array([51, 53]),
    ]  # two scenes, less than the tolerance apart
    assert merge_annotators(close, "all", 5).tolist() == [50, 52]
    assert merge_annotators(close[:1], "majority", 5).tolist() == [50, 52, 90]
    with pytest.raises(ValueError, match="unknown rule 'most' for annotators; expected one of"):
        merge_annotators(three, "most", 5)
    with pytest.raises(ValueError, match="no annotator"):
        merge_annotators([], "any", 5)


def document(**changes: Any) -> dict[str, Any]:
    return dict(fps=24, shots=SHOTS, scenes=[[0, 19], [24, 59], [60, 99]]) | changes


def test_films_of_json(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(document()))
    (tmp_path / "two.json").write_text(
        json.dumps(document(scenes={"a": [[0, 19], [20, 99]], "b": [[0, 39], [40, 99]]}))
    )
    one, two = open_films("ranges", path=str(tmp_path))
    assert one.starts.tolist() == [False, True, False, True] and one.merged == 0
    assert (
        one.seconds[2].tolist() == [1.0, 40 / 24]
        and one.fps == 24
        and one.inputs(np.arange(2)) == {}
    )
    assert two.starts.tolist() == [False, True, False, False]  # 20 and 40 are 0.8 s apart
    (two,) = open_films(
        "ranges", path=str(tmp_path), films=["two"], annotators="any", tolerance_s=0.1
    )
    assert two.starts.tolist() == [False, True, True, False]


def test_films_of_text_by_annotator(tmp_path: Path) -> None:
    for name, text in (
        ("shots/01_[x].txt", "\n".join(f"{a}\t{b}" for a, b in SHOTS)),
        ("scenes/anna/01_[x].txt", "0,2,4\n"),
        ("scenes/ben/01_[x].txt", "0 19\n24 99\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (film,) = open_films("ranges", path=str(tmp_path), fps=10.0, tolerance_s=0.0)
    assert film.film == "01_[x]" and film.starts.tolist() == [False, True, False, False]
    (film,) = open_films("ranges", path=str(tmp_path), annotators="first", fps=10.0)
    assert film.starts.tolist() == [False, True, False, True] and film.seconds[1, 0] == 1.0
    (tmp_path / "scenes/anna/01_[x].txt").write_text("0,5")
    with pytest.raises(ValueError, match="names shot 5: the film has 5"):
        open_films("ranges", path=str(tmp_path))
    (tmp_path / "scenes/anna/01_[x].txt").write_text("zero")
    with pytest.raises(ValueError, match="has values that are not integers"):
        open_films("ranges", path=str(tmp_path))


@pytest.mark.parametrize(
    "text, message",
    [
        ("[]", "one.json is not a list of scenes and shots: it is not an object"),
        ("{", "one.json is not a list of scenes and shots"),
        ("[" * 100_000, "one.json is not a list"),
        (json.dumps(document(fps=0)), "its 'fps' is not a positive number"),
        (json.dumps(document(shots=[])), "shots is not a list of frame ranges, or an empty one"),
        (json.dumps(document(scenes=None)), "scenes is not a list"),
        (json.dumps(document(scenes=[[5, 3]])), r"scenes holds \[5, 3\], which is not a range"),
        (json.dumps(document(scenes=[[0, 3.5]])), "not a range of frames"),
    ],
)
def test_bad_lists(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "one.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        open_films("ranges", path=str(tmp_path))


def test_a_film_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = json.dumps(dict(fps=24, shots=[[0, 23], [24, 47]], scenes=[[0, 47]]))
    (tmp_path / "one.json").write_text(text)
    with pytest.raises(ValueError, match=r"has no film two and 1 more: it has one$"):
        open_films("ranges", path=str(tmp_path), films=["one", "two", "three"])
    (film,) = open_films("ranges", path=str(tmp_path), films=["one"])
    assert not film.starts.any()  # one scene: no positive label


def test_no_lists(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no FILM\.json and no shots/FILM.txt"):
        open_films("ranges", path=str(tmp_path))


@pytest.mark.real_data
def test_big_buck_bunny(data_root: Path) -> None:
    (film,) = open_films("ranges", path=str(data_root / "bbb" / "bbb_ovsd.json"))
    assert (len(film), film.fps, film.seconds[0].tolist()) == (132, 24, [0, 39 / 24])
    assert len(film.scene_seconds) == 17 and film.seconds[-1, 1] < 600
    assert {31.25, 75.542, 120.875} <= set(np.round(film.scene_seconds[1:], 3))
    # The list of shots lacks the cut at 33.8 s: two of the 16 boundaries are snapped to one.
    assert film.starts.sum() == 15 and film.merged == 1
