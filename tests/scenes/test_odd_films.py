"""Unusual films and options: a sensible result, or one clear error."""

import csv
import functools
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import opentimelineio as otio
import pytest

from tests.encoders.stub import Stub
from tests.pipeline.ingest.films import COLOURS, Cuts, colours, film, film_with_sound
from tests.scenes.results import HOSTILE
from tests.video.clips import make
from vujax.pipeline.ingest.detectors import share_detector
from vujax.scenes import adapt
from vujax.scenes.detect import detect_scenes
from vujax.scenes.film import predict_boundaries
from vujax.scenes.types import DetectedScenes, SceneDetectionOptions

LENGTHS = (30, 12, 50, 26)


def find(path: Path, **options: object) -> DetectedScenes:
    """Detect the scenes of one film and write all formats."""
    wanted = dict(encoder=Stub, head="none", detector=functools.partial(share_detector, Cuts))
    out = path.parent.parent / "out"
    (found,) = detect_scenes(path, **dict(out=out) | wanted | options)
    return found


def written(path: Path, name: str) -> Path:
    return path.parent.parent / "out" / name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_a_film_of_three_frames(folder: Path) -> None:
    source = film(folder / "a.mp4", (3,))
    found = find(source)
    (scene,) = found.scenes
    assert (scene.first_frame, scene.last_frame, scene.score) == (0, 2, None)
    assert (found.scores, found.boundaries_s, found.cues) == ((), (), ())
    assert "it is one scene" in written(source, "report.html").read_text("utf-8")
    (track,) = otio.adapters.read_from_file(str(written(source, "scenes.otio"))).video_tracks()
    assert [clip.source_range.duration.value for clip in track] == [3]
    with av.open(str(written(source, "scenes.mp4"))) as copy:
        assert len(copy.chapters()) == 1
        assert sum(1 for _ in copy.decode(video=0)) == 3


def test_two_shots_and_every_number_of_scenes(folder: Path) -> None:
    source = film(folder / "a.mp4", (20, 20))
    assert len(find(source).scenes) == 1  # a lone border stands out of nothing
    assert len(find(source, scenes=1).scenes) == 1
    assert len(find(source, scenes=2).scenes) == 2
    assert len(find(source, threshold=0.0).scenes) == 1  # each would last less than a second
    assert len(find(source, threshold=0.0, min_duration=0.0).scenes) == 2
    with pytest.raises(ValueError, match="it has 2 shots, too few for 500 scenes"):
        find(source, scenes=500)


def test_adapted_to_two_shots_and_to_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = functools.partial(adapt.AdaptationConfig, steps=1, windows=2, queue=16)
    monkeypatch.setattr(adapt, "AdaptationConfig", few)
    for lengths in ((20, 20), (40,)):
        found = find(film(folder / "a.mp4", lengths), adapt=True, scenes=len(lengths))
        assert len(found.scenes) == len(lengths)
        assert found.provenance["adapted"]


def test_one_shot_whatever_is_wished(folder: Path) -> None:
    source = film(folder / "a.mp4", (40,))
    for options in (dict(), dict(scenes=1), dict(threshold=0.0)):
        (scene,) = find(source, **options).scenes
        assert (scene.first_frame, scene.last_frame) == (0, 39)


def test_no_scene_is_shorter_than_the_film(folder: Path) -> None:
    source = film(folder / "a.mp4", LENGTHS)
    assert len(find(source, threshold=0.0).scenes) > 1
    assert len(find(source, threshold=0.0, min_duration=1e9).scenes) == 1


def test_twenty_thousand_shots() -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(size=(400, 64))
    vectors = (np.repeat(places, 50, axis=0) + rng.normal(size=(20_000, 64))).astype(np.float32)
    seconds = np.arange(20_000)[:, None] + np.array([0.0, 1.0])
    truth = set(range(49, 19_999, 50))
    found = predict_boundaries(vectors, seconds, SceneDetectionOptions("none"), None)
    assert found.scores.shape == (19_999,)
    assert truth <= set(found.boundaries.tolist())
    few = predict_boundaries(vectors, seconds, SceneDetectionOptions("none", num_scenes=20), None)
    assert len(few.boundaries) == 19
    assert set(few.boundaries.tolist()) <= truth


def test_nan_features_are_named() -> None:
    vectors = np.ones((5, 4), np.float32)
    vectors[3, 1] = np.nan
    seconds = np.arange(5)[:, None] + np.array([0.0, 1.0])
    for how in (SceneDetectionOptions("none"), SceneDetectionOptions("none", num_scenes=2)):
        with pytest.raises(ValueError, match="contain NaN or infinity, the first that of shot 3"):
            predict_boundaries(vectors, seconds, how, None)


def test_a_vertical_film_without_sound(folder: Path) -> None:
    source = film(folder / "a.mp4", LENGTHS, (64, 160))
    found = find(source, scenes=3)
    assert found.size == (64, 160)
    assert found.notes == ("The film has no sound: break cues use the image only.",)
    assert '--ratio:0.562"' in written(source, "report.html").read_text("utf-8")


def test_where_the_sound_has_ended_it_is_silent(folder: Path) -> None:
    source = film_with_sound(folder / "a.mov", LENGTHS, 2.85)  # of 4.9 s
    found = find(source, scenes=4)
    assert [(cue.scene, cue.silent, cue.black) for cue in found.cues] == [(4, True, False)]
    assert found.notes == ()


def test_a_black_film_with_borders(folder: Path) -> None:
    images = [np.zeros((64, 96, 3), np.uint8)] * 30 + colours((30,)) + [images_of(0)] * 30
    source = make(folder / "a.mp4", images=images)
    found = find(source, scenes=3)
    assert [cue.black for cue in found.cues] == [True, True]


def images_of(level: int) -> np.ndarray:
    return np.full((64, 96, 3), level, np.uint8)


def test_a_variable_rate(folder: Path) -> None:
    """Three shots whose frames come ever more slowly."""
    images = [np.full((64, 96, 3), COLOURS[i // 20], np.uint8) for i in range(60)]
    pts = np.cumsum([0, *[[20, 40, 90][i // 20] for i in range(59)]]).tolist()
    source = make(folder / "a.mkv", images=images, pts=pts, time_base=Fraction(1, 1000), muxer={})
    found = find(source, scenes=3)
    assert found.variable_rate
    assert [scene.start_s for scene in found.scenes] == pytest.approx([0, 0.4, 1.2], abs=0.002)
    (track,) = otio.adapters.read_from_file(str(written(source, "scenes.otio"))).video_tracks()
    spans = [clip.source_range for clip in track]
    assert [a.end_time_exclusive() for a in spans[:-1]] == [b.start_time for b in spans[1:]]
    exact = [clip.metadata["vujax"]["begin_s"] for clip in track]
    assert exact == [scene.start_s for scene in found.scenes]
    for span, scene in zip(spans, found.scenes, strict=True):
        assert abs(span.start_time.to_seconds() - scene.start_s) <= 0.5 / float(found.clock.rate)
    assert any("OTIO timeline counts" in note for note in found.notes)


@pytest.mark.parametrize("name", ["=cmd()", "-2+3", "@SUM(A1)", "+1", HOSTILE.replace("/", " ")])
def test_no_cell_of_the_table_is_a_formula(name: str, folder: Path) -> None:
    source = folder / f"{name}.mp4"
    film(folder / "a.mp4", LENGTHS).rename(source)
    find(source, scenes=3)
    rows = list(csv.reader(written(source, "scenes.csv").open(newline="", encoding="utf-8")))
    assert len(rows) == 4
    assert not [cell for row in rows for cell in row if cell[:1] in "=+-@\t\r" and cell]
    found = json.loads(written(source, "scenes.json").read_text("utf-8"))
    assert Path(found["film"]["path"]) == source


def test_what_is_no_film(folder: Path, tmp_path: Path) -> None:
    (folder / "text.mp4").write_text("no film")
    (folder / "empty.mp4").touch()
    for name, why in (
        ("text.mp4", "cannot be read as a film"),
        ("empty.mp4", "is empty; copy it again"),
        ("gone.mp4", "gone.mp4"),
    ):
        with pytest.raises((ValueError, OSError), match=why) as raised:
            find(folder / name)
        assert "\n" not in str(raised.value)
    (tmp_path / "file").touch()
    source = film(folder / "a.mp4", LENGTHS)
    with pytest.raises(
        OSError, match=r"cannot write to .*file/out .*; name another output directory"
    ):
        find(source, out=tmp_path / "file" / "out")


@pytest.mark.parametrize("names", [("scenes",), ("film", "series"), ("film", "report")])
def test_films_of_any_name_get_all_their_files(names: tuple[str, ...], folder: Path) -> None:
    """Films that lie in the output directory, under the names of its files."""
    for number, name in enumerate(names):
        film(folder / f"{name}.mp4", (30 + number, 12))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    wanted = dict(encoder=Stub, head="none", detector=functools.partial(share_detector, Cuts))
    paths = sorted(before)
    found = detect_scenes(paths, out=folder, formats=["chapters", "csv", "html"], **wanted)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(folder.glob("*.csv"))) == len(found) == len(names)
    assert len(list(folder.glob("*-chapters.mp4"))) + len(list(folder.glob("series-*.mp4"))) == len(
        names
    )
    page = folder / ("report.html" if len(names) == 1 else "film.html")
    assert "-chapters.mp4" in page.read_text("utf-8")
