"""The ingest stage: one film in, its parts out; bad films, changed films, changed settings."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.pipeline.ingest.films import (
    COLOURS,
    Cuts,
    colours,
    contents,
    film,
    film_with_sound,
    manifest,
    run,
    staged,
)
from tests.video.clips import flipped, half, make, make_sound
from vujax.catalog import Catalog, schema
from vujax.catalog.validate import find_problems
from vujax.pipeline.ingest.detectors import share_detector
from vujax.pipeline.ingest.film import IngestJob, IngestStage
from vujax.pipeline.ingest.settings import IngestSettings
from vujax.pipeline.sources import find_films


def read(
    folder: Path, root: Path, settings: IngestSettings | None = None, detector: object = Cuts
) -> list:
    """Ingests in this process."""
    schema.create_catalog(root)
    ingest = IngestStage(
        IngestJob(root, settings or IngestSettings(), lambda: share_detector(detector))
    )
    return [ingest(source) for source in find_films([folder], root).sources]


def colour_of(data: bytes) -> int:
    """Number of the shot that a keyframe shows."""
    image = np.asarray(Image.open(io.BytesIO(data))).astype(int)[8:]
    distances = [np.abs(image - colour).mean() for colour in COLOURS]
    return int(np.argmin(distances))


@pytest.mark.parametrize("late", [1, 20, 1000])
def test_shots_and_their_times(tmp_path: Path, late: int) -> None:
    """However late the detector decides: also when the film ends before."""
    film(tmp_path / "in" / "a.mp4", (30, 12, 50, 100))
    (outcome,) = read(tmp_path / "in", tmp_path / "out", detector=lambda: Cuts(late))
    assert (outcome.status, outcome.reason, outcome.shots) == ("whole", "", 4)
    rows = Catalog(tmp_path / "out").shots(outcome.film).to_pylist()
    borders = [0, 30, 42, 92, 192]
    assert [r["first_frame"] for r in rows] == borders[:-1]
    assert [r["last_frame"] + 1 for r in rows] == borders[1:]
    assert [r["id"] for r in rows] == [f"{outcome.film}/s{i:04d}" for i in range(4)]
    for row, first, end in zip(rows, borders, borders[1:], strict=False):
        base = Fraction(row["time_base_num"], row["time_base_den"])
        assert row["begin_pts"] * base == Fraction(first, 24)
        assert row["end_pts"] * base == Fraction(end, 24)
        assert row["begin_s"] == pytest.approx(first / 24)
    assert rows[0]["transition"] is None
    assert (rows[1]["transition"], rows[1]["transition_score"]) == ("cut", 0.75)
    assert (rows[1]["transition_last_frame"], rows[1]["transition_first_frame"]) == (29, 30)
    assert rows[1]["transition_begin_pts"] * base == Fraction(29, 24)
    assert rows[1]["transition_end_pts"] == rows[1]["begin_pts"]
    assert list(find_problems(tmp_path / "out")) == []


def test_keyframes_are_near_their_place_and_in_their_shot(tmp_path: Path) -> None:
    """Also in shots of a few frames, between which no candidate was kept."""
    film(tmp_path / "in" / "a.mp4", (30, 3, 5, 100, 2, 60))
    read(tmp_path / "in", tmp_path / "out")
    catalog = Catalog(tmp_path / "out")
    shots = catalog.shots().to_pylist()
    keyframes = catalog.keyframes().to_pylist()
    assert len(shots) == 6
    assert len(keyframes) == 18
    for row in keyframes:
        shot = shots[row["shot"]]
        wanted = shot["begin_s"] + row["position"] * (shot["end_s"] - shot["begin_s"])
        assert shot["begin_pts"] <= row["pts"] < shot["end_pts"]
        assert abs(row["seconds"] - wanted) <= 0.25 + 1e-9
        data = catalog.jpeg(row["id"])
        assert colour_of(data) == row["shot"] % len(COLOURS)
        assert Image.open(io.BytesIO(data)).size == (row["width"], row["height"])


def test_other_positions(tmp_path: Path) -> None:
    film(tmp_path / "in" / "a.mp4", (48, 48))
    settings = IngestSettings(positions=(0.0, 1.0), side=32, quality=50)
    read(tmp_path / "in", tmp_path / "out", settings)
    rows = Catalog(tmp_path / "out").keyframes().to_pylist()
    assert [row["seconds"] for row in rows] == pytest.approx([0, 47 / 24, 2, 95 / 24], abs=0.26)
    assert rows[0]["height"] == 32
    with pytest.raises(ValueError, match="positions must increase"):
        IngestSettings(positions=(0.5, 0.25))


def test_a_film_of_one_long_shot_is_no_harder(tmp_path: Path) -> None:
    make(tmp_path / "in.mp4", images=colours((24 * 3,)), pts=[i * 24 for i in range(72)])
    (outcome,) = read(tmp_path / "in.mp4", tmp_path / "out")
    rows = Catalog(tmp_path / "out").keyframes().to_pylist()
    assert outcome.shots == 1
    assert [row["seconds"] for row in rows] == pytest.approx([18, 36, 54])


def test_a_film_is_read_once(tmp_path: Path) -> None:
    film(tmp_path / "in" / "a.mp4")
    root = tmp_path / "out"
    assert read(tmp_path / "in", root)[0].done
    before = contents(root)
    again = read(tmp_path / "in", root)[0]
    assert (again.done, again.shots) == (False, 3)
    assert contents(root) == before
    assert read(tmp_path / "in", root, IngestSettings(quality=80))[0].done
    assert read(tmp_path / "in", root, IngestSettings(quality=80), lambda: Cuts(5))[0].done
    schema.part_path(root, "shots.parquet", again.film).unlink()
    assert read(tmp_path / "in", root, IngestSettings(quality=80), lambda: Cuts(5))[0].done


def test_a_changed_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    film(tmp_path / "in" / "a.mp4")
    root = tmp_path / "out"
    (old,) = read(tmp_path / "in", root)
    film(tmp_path / "in" / "a.mp4", (20, 40))
    (new,) = read(tmp_path / "in", root)
    assert old.film != new.film
    assert schema.list_films(root) == [new.film]
    assert list(find_problems(root)) == []
    assert len(Catalog(root).shots()) == 2


def test_what_cannot_be_read_today_does_not_take_the_films_place(tmp_path: Path) -> None:
    path = film(tmp_path / "in" / "a.mp4")
    root = tmp_path / "out"
    (old,) = read(tmp_path / "in", root)
    source = find_films([tmp_path / "in"]).sources[0]
    hidden = path.rename(tmp_path / "hidden")
    ingest = IngestStage(IngestJob(root, IngestSettings(), lambda: share_detector(Cuts)))
    gone = ingest(source)
    assert (gone.status, gone.film) == ("error", "a-00000000")
    assert "does not exist" in gone.reason
    assert old.film in schema.list_films(root)
    hidden.rename(path)
    assert not ingest(source).done
    assert schema.list_films(root) == [old.film]


def test_films_that_are_none_get_a_row_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    film(folder / "good.mp4")
    (folder / "text.mp4").write_text("this is no film")
    (folder / "empty.mkv").touch()
    make_sound(folder / "sound.mkv", [(0, np.zeros((8000, 1), np.int16))], picture_s=None)
    (folder / "folder.mp4").mkdir()
    (folder / 'it\'s "a"\nname.mp4').write_bytes(bytes(100))
    (folder / "out.mp4").symlink_to("/etc/hostname")
    make(folder / "dot.mp4", 4, size=(2, 2))
    outcomes = {o.source.path: o for o in read(folder, tmp_path / "out")}
    assert {name: o.status for name, o in outcomes.items() if o.status != "error"} == {
        "good.mp4": "whole",
        "dot.mp4": "whole",
    }
    reasons = {name: o.reason for name, o in outcomes.items() if o.status == "error"}
    assert "cannot be read as a film" in reasons["text.mp4"]
    assert "is empty" in reasons["empty.mkv"]
    assert "has no video stream" in reasons["sound.mkv"]
    assert "\n" not in reasons['it\'s "a"\nname.mp4']
    assert "leads out" in reasons["out.mp4"]
    assert len(reasons) == 5
    films = Catalog(tmp_path / "out").films().to_pylist()
    assert sorted(row["path"] for row in films) == sorted(outcomes)
    assert {row["path"]: row["reason"] for row in films if row["status"] == "error"} == reasons
    assert list(find_problems(tmp_path / "out")) == []
    assert not any(o.done for o in read(folder, tmp_path / "out") if o.film[-8:] != "0" * 8)


def test_a_film_that_is_cut_short_is_there_in_part(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mkv", (40, 40, 60))
    half(whole)
    (outcome,) = read(tmp_path / "half-a.mkv", tmp_path / "out")
    assert outcome.status == "partial"
    assert outcome.reason
    assert 1 <= outcome.shots < 3
    assert list(find_problems(tmp_path / "out")) == []
    assert not read(tmp_path / "half-a.mkv", tmp_path / "out")[0].done


def test_damaged_films_never_stop_a_run(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mkv", (20, 20)).read_bytes()
    (tmp_path / "in").mkdir()
    for i, data in enumerate(flipped(whole)):
        (tmp_path / "in" / f"{i:02d}.mkv").write_bytes(data)
    outcomes = read(tmp_path / "in", tmp_path / "out")
    assert len(outcomes) == 40
    assert len({o.status for o in outcomes}) > 1
    assert list(find_problems(tmp_path / "out")) == []
    assert staged(tmp_path / "out") == []


def test_a_detector_that_fails_costs_one_film(tmp_path: Path) -> None:
    class Failing(Cuts):
        def start(self, picture: object) -> object:
            if picture.shown[0] == 128:
                raise ZeroDivisionError("no such luck")
            return super().start(picture)

    film(tmp_path / "in" / "a.mp4")
    film(tmp_path / "in" / "b.mp4", size=(128, 64))
    one, two = read(tmp_path / "in", tmp_path / "out", detector=Failing)
    assert one.status == "whole"
    assert (two.status, two.reason) == ("error", "ZeroDivisionError: no such luck")
    assert read(tmp_path / "in", tmp_path / "out")[1].status == "whole"


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    path = film(tmp_path / "in" / "a.mp4")

    class Meddling(Cuts):
        def start(self, picture: object) -> object:
            path.touch()
            return super().start(picture)

    (outcome,) = read(tmp_path / "in", tmp_path / "out", detector=Meddling)
    assert outcome.status == "partial"
    assert "changed" in outcome.reason
    (again,) = read(tmp_path / "in", tmp_path / "out")
    assert (again.status, again.done) == ("whole", True)


def test_metadata_is_joined_and_brought_up_to_date(tmp_path: Path) -> None:
    film(tmp_path / "in" / "a.mp4")
    film(tmp_path / "in" / "b.mp4")
    root, table = tmp_path / "out", tmp_path / "m.csv"
    table.write_text("path,title\na.mp4,First\n")

    def again(metadata: Path | None = table, settings: IngestSettings | None = None) -> list[bool]:
        ingest = IngestStage(
            IngestJob(root, settings or IngestSettings(), lambda: share_detector(Cuts), metadata)
        )
        return [ingest(source).done for source in find_films([tmp_path / "in"]).sources]

    schema.create_catalog(root)
    assert again() == [True, True]
    assert Catalog(root).films()["title"].to_pylist() == ["First", None]
    before = contents(root)
    assert again() == [False, False]
    assert again(None) == [False, False]
    assert contents(root) == before
    table.write_text("path,title,year\na.mp4,Other,1999\nb.mp4,Second,\n")
    assert again() == [False, False]
    films = Catalog(root).films()
    assert films["title"].to_pylist() == ["Other", "Second"]
    assert films["year"].to_pylist() == ["1999", None]
    assert list(find_problems(root)) == []
    assert again(None, IngestSettings(quality=70)) == [True, True]
    assert Catalog(root).films()["title"].to_pylist() == ["Other", "Second"]


def test_the_sound_of_each_shot(tmp_path: Path) -> None:
    film_with_sound(tmp_path / "a.mkv", (30, 20, 46), seconds=3)
    read(tmp_path / "a.mkv", tmp_path / "out", IngestSettings(audio_rate=8000))
    catalog = Catalog(tmp_path / "out")
    shots, rows = catalog.shots().to_pylist(), catalog.audio().to_pylist()
    assert [row["shot"] for row in rows] == [0, 1, 2]
    flacs = catalog.flacs(rows[0]["film"])
    for row in rows:
        assert row["first_sample"] == round(shots[row["shot"]]["begin_s"] * 8000)
        with av.open(io.BytesIO(flacs[row["record"]])) as container:
            frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        samples = np.concatenate(frames) / 32768
        assert len(samples) == row["samples"]
        assert 0.3 < np.sqrt((samples**2).mean()) < 0.4
    assert sum(row["samples"] for row in rows) == 24000  # the sound ends before the picture
    assert list(find_problems(tmp_path / "out")) == []


def test_a_silent_film_has_no_audio(tmp_path: Path) -> None:
    film(tmp_path / "in" / "a.mp4")
    (outcome,) = read(tmp_path / "in", tmp_path / "out", IngestSettings(audio_rate=8000))
    assert outcome.status == "whole"
    assert len(Catalog(tmp_path / "out").audio()) == 0


def test_a_manifest_says_how_the_film_was_read(tmp_path: Path) -> None:
    film(tmp_path / "in" / "a.mp4")
    run(tmp_path / "in", tmp_path / "out")
    facts = manifest(tmp_path / "out", "a")
    assert facts["settings"]["detector"] == "cuts-20"
    assert facts["counts"] == {"frames": 92, "shots": 3, "keyframes": 9}
    assert facts["versions"]["av"] == av.__version__
    assert set(facts["files"]) == {
        "films.parquet",
        "shots.parquet",
        "keyframes.parquet",
        "keyframes",
    }
