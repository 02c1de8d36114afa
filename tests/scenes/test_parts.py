"""Recap, intro and credits of episodes, as players read them from chapters and sidecar files."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from experiments.series_skips import chapter_segments, intro_skipper, read_kodi
from tests.html import Elements
from tests.scenes.results import result
from vujax.scenes import exports
from vujax.scenes.exports.json import to_dict
from vujax.scenes.parts import list_chapters
from vujax.scenes.series import EpisodeStructure, SeriesStructure
from vujax.scenes.series_page import write_series_page
from vujax.scenes.types import DetectedScenes, Part

RECAP, INTRO = Part("recap", 0.0, 20.0), Part("opening", 20.0, 50.0)
CREDITS = Part("closing", 180.0, 200.0)


def episode(*parts: Part) -> DetectedScenes:
    """Return an episode of 200 s at 10 frames/s with scenes from 0, 60 and 120 s."""
    scenes = result(shots=(600, 600, 800), boundaries=(0, 1), rate=Fraction(10))
    return replace(scenes, parts=parts)


def write(name: str, folder: Path, scenes: DetectedScenes) -> tuple[Path, list[str]]:
    path = exports.open_export(name).path(scenes, folder, "scenes")
    return path, exports.open_export(name).write(scenes, path)


def spans(scenes: DetectedScenes) -> list[tuple[str, float, float]]:
    return [(c.title, c.start_s, c.end_s) for c in list_chapters(scenes)]


def test_a_part_divides_its_scene() -> None:
    assert spans(episode(RECAP, INTRO, CREDITS)) == [
        ("Recap", 0, 20),
        ("Intro", 20, 50),
        ("Scene 1", 50, 60),
        ("Scene 2", 60, 120),
        ("Scene 3", 120, 180),
        ("Credits", 180, 200),
    ]
    assert spans(episode(Part("opening", 70.0, 80.0)))[1:4] == [
        ("Scene 2", 60, 70),
        ("Intro", 70, 80),
        ("Scene 2", 80, 120),
    ]


@pytest.mark.parametrize(
    "kind, start_s, end_s, found",
    [
        ("opening", 30.0, 59.5, "Scene 1 0, Intro 30, Scene 2 59.5, Scene 3 120"),
        ("opening", 60.5, 90.0, "Scene 1 0, Intro 60.5, Scene 2 90, Scene 3 120"),
        ("opening", 0.5, 90.0, "Intro 0, Scene 2 90, Scene 3 120"),
        ("closing", 120.0, 199.5, "Scene 1 0, Scene 2 60, Credits 120"),
    ],
)
def test_remains_of_less_than_a_second_join_a_neighbor(
    kind: str, start_s: float, end_s: float, found: str
) -> None:
    chapters = spans(episode(Part(kind, start_s, end_s)))
    assert ", ".join(f"{title} {start_s:g}" for title, start_s, _ in chapters) == found
    assert [end_s for *_, end_s in chapters] == [*(start_s for _, start_s, _ in chapters[1:]), 200]


def test_films_without_parts_have_their_scenes() -> None:
    scenes = result(shots=(5, 12, 50, 41))
    wanted = [(s.title, s.start_s, s.end_s) for s in scenes.scenes]
    assert spans(scenes) == spans(replace(scenes, parts=())) == wanted


def test_jellyfin_finds_the_parts_in_chapters(tmp_path: Path) -> None:
    path, _ = write("matroska", tmp_path, episode(RECAP, INTRO, CREDITS))
    clock = [
        [float(x) for x in atom.findtext("ChapterTimeStart", "").split(":")]
        for atom in ET.parse(path).iter("ChapterAtom")
    ]
    names = [e.text or "" for e in ET.parse(path).iter("ChapterString")]
    starts = [3600 * h + 60 * m + s for h, m, s in clock]
    chapters = list(zip(starts, names, strict=True))
    right = [("Recap", 0, 20), ("Intro", 20, 50), ("Outro", 180, 200)]
    assert chapter_segments(chapters, 200.0) == right
    assert intro_skipper(chapters, 200.0, 15.0) == right


@pytest.mark.parametrize("name", ["vtt", "srt", "ffmetadata", "youtube"])
def test_every_list_of_chapters_names_the_parts(name: str, tmp_path: Path) -> None:
    path, _ = write(name, tmp_path, episode(INTRO, CREDITS))
    text = path.read_text()
    assert text.index("Intro") < text.index("Scene 2") < text.index("Credits")


def test_kodi_reads_parts_that_touch_as_one_break(tmp_path: Path) -> None:
    path, notes = write("kodi", tmp_path, episode(RECAP, INTRO, CREDITS))
    assert (path.name, notes) == ("scenes.kodi.edl", [])
    assert path.read_text() == "0.000\t50.000\t3\n180.000\t200.000\t3\n"
    assert read_kodi(path.read_text()) == [(0, 50), (180, 200)]
    # Two lines that touch are what Kodi refuses.
    assert read_kodi("0.000\t20.000\t3\n20.000\t50.000\t3\n") == [(0, 20)]


def test_a_first_break_that_kodi_ignores_is_named(tmp_path: Path) -> None:
    path, notes = write("kodi", tmp_path, episode(Part("opening", 3.0, 7.0), CREDITS))
    assert read_kodi(path.read_text()) == [(180, 200)]
    assert "shorter than 5 s" in notes[0]


def test_media_segments_of_jellyfin(tmp_path: Path) -> None:
    path, _ = write("jellyfin", tmp_path, episode(INTRO, CREDITS))
    assert path.name == "scenes.segments.json"
    assert json.loads(path.read_text()) == dict(
        Items=[
            dict(Type="Intro", StartTicks=200_000_000, EndTicks=500_000_000),
            dict(Type="Outro", StartTicks=1_800_000_000, EndTicks=2_000_000_000),
        ],
        StartIndex=0,
        TotalRecordCount=2,
    )


@pytest.mark.parametrize("name", ["kodi", "jellyfin"])
def test_a_film_outside_a_series_has_no_such_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--series"):
        write(name, tmp_path, result())
    assert list(tmp_path.iterdir()) == []


def test_scenes_json_has_the_parts() -> None:
    assert "parts" not in to_dict(result())
    (part,) = to_dict(episode(INTRO))["parts"]
    assert part == dict(kind="opening", title="Intro", begin_s=20.0, end_s=50.0)


def test_the_page_of_a_season(tmp_path: Path) -> None:
    films = [replace(episode(INTRO), film=f"e{k}-0", title=f"<b>{k}") for k in range(2)]
    structure = SeriesStructure(
        tuple(EpisodeStructure(film.film, (0, None, 1), None, None, None, ()) for film in films),
        duplicate=0.9,
        same=0.5,
    )
    path = write_series_page(structure, films, tmp_path / "series.html", {"e0-0": "e 0.html"})
    found = Elements(path.read_text("utf-8"))
    links = [a["href"] for a in found.of("a") if a["href"].startswith("./")]
    assert links == ["./e%200.html", "./e%200.html#scene-1", "./e%200.html#scene-3"]
    assert found.text.count("0:20.0 – 0:50.0") == 2
    assert "<b>1, scene 3" in found.text
