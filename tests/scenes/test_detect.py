"""Scene detection from films to files, with an encoder and a head without weights."""

import csv
import functools
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import vujax
from tests.encoders.stub import Stub
from tests.pipeline.ingest.films import Cuts, film
from vujax.catalog import Catalog, schema
from vujax.pipeline.ingest.detectors import share_detector
from vujax.scenes import exports
from vujax.scenes.detect import SceneDetectionJob, detect_scenes, run_scene_detection
from vujax.scenes.film import predict_boundaries
from vujax.scenes.types import SceneDetectionOptions
from vujax.video.shots.shot_lists import read_shot_list

LENGTHS = (30, 12, 50, 26)
NAME = """<script>alert("1")<\x0bscript>\n--> ;=#\\ 'x'.mp4"""
CUTS = functools.partial(share_detector, Cuts)


class EverySecond:
    """A head that predicts a scene boundary after every second shot."""

    threshold, digest = 0.5, "f" * 64

    def scores(self, vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """See `vujax.scenes.types.Head`."""
        assert vectors.shape == (len(seconds), 6)
        return np.where(np.arange(len(seconds) - 1) % 2, 0.9, 0.1).astype(np.float32)


class Unused(Stub):
    """An encoder that must not be called, because all embeddings exist."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Fail."""
        raise AssertionError("these images have embeddings")


OPTIONS = dict(encoder=Stub, head=EverySecond(), detector=CUTS)


def test_a_film_to_every_file(tmp_path: Path) -> None:
    source = film(tmp_path / "in" / "a.mp4", LENGTHS)
    (found,) = vujax.detect_scenes(source, out=tmp_path / "out", **OPTIONS)
    assert [(s.first_frame, s.last_frame) for s in found.scenes] == [(0, 41), (42, 117)]
    assert found.scenes[1].score == pytest.approx(0.9)
    assert found.threshold == 0.5
    names = {path.name for path in (tmp_path / "out").iterdir()}
    texts = {
        f"scenes.{kind}" for kind in ("csv", "vtt", "ffmetadata", "mp4", "edl", "otio", "json")
    }
    assert names == texts | {"report.html", "catalog"}
    made = json.loads((tmp_path / "out" / "scenes.json").read_text())["made"]
    assert (made["encoder"], made["head"], made["head_digest"]) == ("stub", "EverySecond", "f" * 64)
    assert set(made["took_s"]) == {"shots", "encoder", "rest"}


def test_the_catalogue_keeps_the_scenes_until_its_shots_change(tmp_path: Path) -> None:
    source = film(tmp_path / "in" / "a.mp4", LENGTHS)
    (found,) = detect_scenes(source, out=tmp_path / "out", **OPTIONS)
    catalog = Catalog(tmp_path / "out" / "catalog")
    rows = catalog.scenes(found.film).to_pylist()
    assert [row["id"] for row in rows] == [f"{found.film}/c000", f"{found.film}/c001"]
    assert [(row["first_shot"], row["last_shot"]) for row in rows] == [(0, 1), (2, 3)]
    assert rows[1]["begin_pts"] == found.scenes[1].start_pts
    assert (rows[0]["score"], rows[0]["head"], rows[0]["threshold"]) == (None, "EverySecond", 0.5)
    film(source, (30, 12, 50))
    (again,) = detect_scenes(source, out=tmp_path / "out", **OPTIONS)
    assert catalog.scenes()["film"].to_pylist() == [again.film] * 2
    with pytest.raises(KeyError, match="no film"):
        catalog.scenes(found.film)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    source = film(tmp_path / "in" / "a.mp4", LENGTHS)
    (first,) = detect_scenes(source, out=tmp_path / "out", **OPTIONS)
    before = {
        p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "catalog" / "vectors").rglob("*.*")
    }
    again = OPTIONS | dict(encoder=Unused)
    again |= dict(threshold=0.05, min_duration=0.0)
    (second,) = detect_scenes(source, out=tmp_path / "out", **again)
    assert (len(first.scenes), len(second.scenes)) == (2, 4)
    after = {p: p.stat().st_mtime_ns for p in before}
    assert before == after
    # A catalogue is as good as films, and may be all that is left of them.
    source.unlink()
    (third,) = detect_scenes(tmp_path / "out" / "catalog", encoder=Stub, head=EverySecond())
    assert [s.start_pts for s in third.scenes] == [s.start_pts for s in first.scenes]
    assert third.cues is None
    assert "Break cues were not computed" in third.notes[0]


def test_the_encoder_is_made_and_tried_once(tmp_path: Path) -> None:
    made: list[Stub] = []

    def make() -> Stub:
        made.append(Stub())
        return made[-1]

    for name in ("a", "b"):
        film(tmp_path / "in" / f"{name}.mp4", LENGTHS)
    options = OPTIONS | dict(encoder=make, formats=())
    detect_scenes(tmp_path / "in", out=tmp_path / "out", **options)
    (first,) = made
    assert len(first.shapes) == 3  # the trial, and a batch of each film
    detect_scenes(tmp_path / "in", out=tmp_path / "out", **options)
    assert made[1].shapes == []
    film(tmp_path / "in" / "c.mp4", (30, 12))
    detect_scenes(tmp_path / "in", out=tmp_path / "out", **options)
    assert len(made[2].shapes) == 2


def test_an_encoder_that_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    def make() -> Stub:
        raise ValueError("its weights are damaged")

    source = film(tmp_path / "in" / "a.mp4", LENGTHS)
    for out in (None, tmp_path / "out"):
        with pytest.raises(ValueError, match=r"^its weights are damaged$"):
            detect_scenes(source, out=out, **OPTIONS | dict(encoder=make))


def test_a_bad_film_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    for name in ("a", "b"):
        film(tmp_path / "in" / f"{name}.mp4", LENGTHS)
    (tmp_path / "in" / "bad.mp4").write_text("no film")
    job = SceneDetectionJob(
        [tmp_path / "in"],
        tmp_path / "out",
        SceneDetectionOptions(EverySecond()),
        Stub,
        CUTS,
        ("csv",),
    )
    result = run_scene_detection(job)
    assert [Path(one.path).name for one in result.films] == ["a.mp4", "b.mp4"]
    ((path, reason),) = result.failed
    assert path == "bad.mp4"
    assert "cannot be read as a film" in reason
    assert [path.name for path in result.files.written] == ["a.csv", "b.csv"]
    with pytest.warns(UserWarning, match=r"bad.mp4: .*cannot be read as a film"):
        assert len(detect_scenes(tmp_path / "in", **OPTIONS)) == 2
    with pytest.raises(ValueError, match=r"bad.mp4: .*cannot be read as a film"):
        detect_scenes(tmp_path / "in" / "bad.mp4", **OPTIONS)


def test_any_name_is_only_a_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    film(tmp_path / "a.mp4", LENGTHS).rename(tmp_path / "in" / NAME)
    (found,) = detect_scenes(tmp_path / "in", out=tmp_path / "out", **OPTIONS)
    assert found.notes == ("The film has no sound: break cues use the image only.",)
    assert found.title == repr(NAME)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<script" not in page
    rows = list(csv.DictReader((tmp_path / "out" / "scenes.csv").open(newline="")))
    assert len(rows) == 2
    assert len((tmp_path / "out" / "scenes.vtt").read_text().split("-->")) == 3
    assert len(read_shot_list(tmp_path / "out" / "scenes.edl", found.clock.rate)) == 2


def test_copies_among_the_films_are_no_films(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", LENGTHS)
    for _ in range(2):
        found = detect_scenes(tmp_path, out=tmp_path / "out", **OPTIONS)
        assert [Path(one.path).name for one in found] == ["a.mp4"]
    assert (tmp_path / "out" / "scenes.mp4").exists()


def test_a_damaged_manifest_is_one_films_fault(tmp_path: Path) -> None:
    for name in ("a", "b"):
        film(tmp_path / "in" / f"{name}.mp4", LENGTHS)
    detect_scenes(tmp_path / "in", out=tmp_path / "out", **OPTIONS | dict(formats=()))
    root = tmp_path / "out" / "catalog"
    first, second = Catalog(root).film_ids()
    schema.manifest_path(root, first).write_text("{")
    result = run_scene_detection(
        SceneDetectionJob(
            [root], tmp_path / "other", SceneDetectionOptions(EverySecond()), Stub, CUTS, ()
        )
    )
    assert [one.film for one in result.films] == [second]
    assert [path for path, _ in result.failed] == [first]


@pytest.mark.parametrize("lengths", [(40,), (20, 20)])
def test_films_of_one_and_two_shots(lengths: tuple[int, ...], tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", lengths)
    (found,) = detect_scenes(source, out=tmp_path / "out", **OPTIONS)
    (scene,) = found.scenes
    assert (scene.first_frame, scene.last_frame) == (0, 39)
    rows = list(csv.DictReader((tmp_path / "out" / "scenes.csv").open()))
    assert [row["end_timecode"] for row in rows] == ["00:00:01:16"]
    assert 'id="scene-1"' in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_a_black_film(tmp_path: Path) -> None:
    from tests.video.clips import make

    source = make(tmp_path / "a.mp4", images=[np.zeros((64, 96, 3), np.uint8)] * 60)
    (found,) = detect_scenes(source, out=tmp_path / "out", **OPTIONS)
    assert len(found.scenes) == 1
    assert found.cues == ()


def test_what_one_format_cannot_do_stops_no_other(tmp_path: Path) -> None:
    source = film(tmp_path / "in" / "a.mp4", LENGTHS)
    (tmp_path / "out" / "scenes.vtt").mkdir(parents=True)  # cannot be replaced by a file
    job = SceneDetectionJob(
        [source], tmp_path / "out", SceneDetectionOptions(EverySecond()), Stub, CUTS, ("vtt", "csv")
    )
    result = run_scene_detection(job)
    assert [path.name for path in result.files.written] == ["scenes.csv"]
    assert [path.name for path, _ in result.files.unwritten] == ["scenes.vtt"]
    assert any("scenes.vtt could not be written" in note for note in result.films[0].notes)


def test_mistakes_are_said_before_anything_is_read(tmp_path: Path) -> None:
    source = film(tmp_path / "in" / "a.mp4", LENGTHS)
    (tmp_path / "file").touch()
    for options, why in (
        (dict(threshold=2.0), "threshold must be in 0..1"),
        (dict(formats=["pdf"]), "unknown scene export 'pdf'"),
        (dict(encoder="../lite"), "unknown encoder"),
        (dict(out=tmp_path / "file"), "is a file"),
        (dict(detector="no-such"), "unknown shot detector 'no-such'"),
    ):
        with pytest.raises((ValueError, OSError), match=why):
            detect_scenes(source, **OPTIONS | dict(out=tmp_path / "out") | options)
        assert not (tmp_path / "out" / "catalog").exists()
    with pytest.raises(ValueError, match="it has 4 shots, too few for 9 scenes"):
        detect_scenes(source, scenes=9, **OPTIONS)
    schema.create_catalog(tmp_path / "empty")
    (tmp_path / "none").mkdir()
    for name in ("empty", "none"):
        with pytest.raises(ValueError, match=f"{name} holds no film"):
            detect_scenes(tmp_path / name, **OPTIONS)
    with pytest.raises(ValueError, match="is the folder of the films"):
        detect_scenes(tmp_path / "in", **OPTIONS | dict(out=tmp_path / "in"))


def test_a_number_of_scenes_and_none_of_a_head() -> None:
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(3, 16)), 5, axis=0) + 0.05 * rng.normal(size=(15, 16))
    seconds = np.stack([np.arange(15.0), np.arange(1.0, 16.0)], axis=1)
    for how in (SceneDetectionOptions("none", num_scenes=3), SceneDetectionOptions("none")):
        division = predict_boundaries(vectors.astype(np.float32), seconds, how, None)
        assert list(division.boundaries) == [4, 9]
        assert division.threshold is None
        assert division.scores.shape == (14,)
    assert (
        predict_boundaries(
            vectors, seconds, SceneDetectionOptions("none", threshold=0.5), None
        ).threshold
        == 0.5
    )


def test_nothing_is_kept_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    (found,) = detect_scenes(film(tmp_path / "a.mp4", LENGTHS), **OPTIONS)
    assert len(found.scenes) == 2
    assert list((tmp_path / "t").iterdir()) == []


def test_a_series_is_given_its_episodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vujax.scenes import detect

    for name in ("e1", "e2"):
        film(tmp_path / "in" / f"{name}.mp4", LENGTHS)
    given = []
    whole = detect.analyze_series
    monkeypatch.setattr(
        detect, "analyze_series", lambda episodes: given.extend(episodes) or whole(episodes)
    )
    job = SceneDetectionJob(
        [tmp_path / "in"],
        tmp_path / "out",
        SceneDetectionOptions(EverySecond()),
        Stub,
        CUTS,
        (),
        series=True,
    )
    result = run_scene_detection(job)
    assert [episode.film[:2] for episode in given] == ["e1", "e2"]
    assert given[0].vectors.shape == (4, 6)
    assert list(given[0].boundaries) == [1]
    assert given[0].seconds[1] == pytest.approx([30 / 24, 42 / 24])
    found = json.loads((tmp_path / "out" / "series.json").read_text())
    assert [one["film"] for one in found["episodes"]] == [one.film for one in result.films]


def test_files_of_a_series_have_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The series is analyzed before the files of its films are written."""
    from vujax.scenes import detect
    from vujax.scenes.series import EpisodeStructure, SeriesStructure, ShotRange

    def intro(episodes: list) -> SeriesStructure:
        span = ShotRange(0, 0, 0.0, 1.25)
        return SeriesStructure(
            tuple(EpisodeStructure(e.film, (None, 0), None, span, None, ()) for e in episodes),
            duplicate=None,
            same=None,
        )

    monkeypatch.setattr(detect, "analyze_series", intro)
    for name in ("e1", "e2"):
        film(tmp_path / "in" / f"{name}.mp4", LENGTHS)
    out, formats = tmp_path / "out", exports.select(["vtt", "json", "kodi", "html"])
    options = SceneDetectionOptions(EverySecond())
    job = SceneDetectionJob([tmp_path / "in"], out, options, Stub, CUTS, formats, series=True)
    result = run_scene_detection(job)
    assert [film.parts[0].title for film in result.films] == ["Intro"] * 2
    assert (out / "e1.vtt").read_text().count("Intro") == 1
    assert (out / "e2.kodi.edl").read_text() == "0.000\t1.250\t3\n"
    assert json.loads((out / "e2.json").read_text())["parts"][0]["kind"] == "opening"
    assert "Recap, intro and credits" in (out / "e1.html").read_text("utf-8")
    assert './e2.html#scene-2"' in (out / "series.html").read_text("utf-8")
    assert sorted(result.files.written) == sorted(out.glob("*.*"))


def test_options_of_files_from_python(tmp_path: Path) -> None:
    source, out = film(tmp_path / "in" / "a.mp4", LENGTHS), tmp_path / "out"
    given = dict(title="B", reel="A001", start_timecode="01:00:00:00", edl_rate=23.976)
    (found,) = detect_scenes(source, out=out, formats=["edl"], series=True, **given, **OPTIONS)
    assert (found.title, found.scenes[0].start_timecode) == ("B", "01:00:00:00")
    assert found.export.edl_rate == Fraction(24000, 1001)
    assert found.parts == ()
    text = (out / "scenes.edl").read_text()
    assert text.startswith("TITLE: B\n")
    assert "001  A001     V     C        01:00:00:00" in text
    with pytest.raises(ValueError, match="no rate of 0 frames/s"):
        detect_scenes(source, edl_rate=0, **OPTIONS)


def test_import_vujax_brings_nothing() -> None:
    code = "import sys, vujax; print([m for m in ('jax', 'numpy', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
