"""`vujax movies worth`: MovieCLIP lists and catalogs, and errors."""

from pathlib import Path

import numpy as np
import pytest

from tests.search.fakes import catalogue
from vujax.cli import main

TABLE = "id,title,genres\n" + "".join(f"m{n},M{n},Genre {n % 4}\n" for n in range(40))


@pytest.fixture
def lists(tmp_path: Path) -> list[str]:
    """Write lists of shots whose labels are those of their movie's genre, and noise."""
    rng, lines, clips = np.random.default_rng(0), [], ["videoid,imdbid"]
    for clip in range(400):
        name, movie = f"clip{clip:03d}", clip % 40
        own = movie % 4 if rng.random() < 0.7 else int(rng.integers(4, 12))
        lines.append(f"{name}/{name}-Scene-001.mp4 {own} {rng.integers(4, 12)}")
        clips.append(f"{name},m{movie}")
    (tmp_path / "movies.csv").write_text(TABLE)
    (tmp_path / "all_labels.txt").write_text("\n".join([*lines, ""]))
    (tmp_path / "clips.csv").write_text("\n".join([*clips, ""]))
    scenes = ["--scenes", str(tmp_path / "*_labels.txt"), "--clips", str(tmp_path / "clips.csv")]
    return [str(tmp_path), *scenes]


def test_lists_of_shots(
    lists: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "worth.html"
    assert main(["movies", "worth", *lists, "-k", "5", "--out", str(page)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "400 scenes of 40 movies. Your genres guide 3 directions."
    assert lines[2].split()[:3] == ["guide", "directions", "strongest"]
    assert lines[3].split()[:2] == ["genre", "3"] and lines[4].split()[:2] == ["random", "0"]
    assert lines[6].split()[:4] == ["guide", "k", "=", "5"] and lines[-1] == str(page)
    assert "Your genres guide 3 directions" in page.read_text()


def test_a_catalog_and_its_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(catalogue(tmp_path))
    common = ["movies", "worth", path, "--by", "windows"]
    assert main([*common, "--encoder", "stub"]) == 1
    assert "no guide covers any of the 3 movies: genre" in capsys.readouterr().err
    assert main([*common, "--encoder", "other"]) == 1
    assert "embeddings of other" in capsys.readouterr().err
    assert main([*common, "--encoder", "stub", "--scenes", "x"]) == 1
    assert "is a catalog and has scenes: leave out --scenes" in capsys.readouterr().err


def test_tables_without_scenes(lists: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["movies", "worth", lists[0]]) == 1
    assert "has movies and no scenes: give --scenes and --clips" in capsys.readouterr().err
    assert main(["movies", "worth", "nowhere"]) == 1
    assert "nowhere does not exist: give a catalog" in capsys.readouterr().err
    assert main(["movies", "worth", *lists, "-k", "0"]) == 1
    assert "-k must be 1 or more, got 0" in capsys.readouterr().err
