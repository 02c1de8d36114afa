"""The tools that disturb ingest and measure its memory."""

from pathlib import Path

import pytest

from tests.video import clips
from tools.bench_memory import repeat
from tools.disturb_ingest import find_differences
from vujax.video.probe import probe_film


def test_a_film_is_repeated_until_it_is_long_enough(tmp_path: Path) -> None:
    once, often = tmp_path / "once.mp4", tmp_path / "often.mkv"
    clips.make(once, frames=2 * clips.RATE)
    repeat(once, often, minutes=0.15)
    assert probe_film(often).video.duration_s == pytest.approx(10, abs=0.1)


def test_any_difference_between_folders_is_named(tmp_path: Path) -> None:
    left, right = tmp_path / "left", tmp_path / "right"
    for folder in (left, right):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "same").write_bytes(b"a")
        (folder / "other").write_bytes(folder.name.encode())
    (left / "alone").touch()
    (right / "empty").mkdir()
    assert find_differences(left, right) == ["alone", "empty", "other"]
    assert find_differences(left, left) == []
