"""PySceneDetect's detectors in our pass against its own SceneManager on the same frames."""

import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.video import clips
from vujax.video.decode import Chunk, FrameReader
from vujax.video.probe import probe_film
from vujax.video.shots.base import Transition
from vujax.video.shots.pyscenedetect import SIZE, ContentDetector

RATE = Fraction(24)


def pictures(seed: int = 0) -> np.ndarray:
    """Frames uint8 `[n h w 3]`, moving and noisy: shots of 40, 30, 4, 5 and 45 frames."""
    rng = np.random.default_rng(seed)
    grid, frames = np.mgrid[: SIZE[0], : SIZE[1]], []
    for length in (40, 30, 4, 5, 45):
        colour, wave = rng.uniform(40, 210, 3), rng.uniform(0.02, 0.1, 2)
        for i in range(length):
            stripes = 40 * np.sin(wave[0] * grid[0] + wave[1] * (grid[1] + 2 * i))[..., None]
            frames.append(colour + stripes + rng.normal(0, 4, (*SIZE, 1)))
    return np.stack(frames).clip(0, 255).astype(np.uint8)


def find(detector: ContentDetector, frames: np.ndarray, picture: Any, step: int) -> list:
    detection, found = detector.start(picture), []
    for i in range(0, len(frames), step):
        before = detection.decided
        new = detection.add(Chunk(np.arange(i, i + step), frames[i : i + step], ()))
        assert all(t.boundary >= before for t in new)
        found += new
    return found + detection.finish()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return clips.make(tmp_path_factory.mktemp("film") / "film.mp4", 24)


def own(rule: str, frames: np.ndarray, **options: float) -> list[int]:
    """First frames of new shots by PySceneDetect's SceneManager, reading `frames` itself."""
    from scenedetect import FrameTimecode, SceneManager, detectors
    from scenedetect.video_stream import VideoStream

    class Pictures(VideoStream):
        path = name = "pictures"
        is_seekable, frame_rate, aspect_ratio = False, RATE, 1.0
        frame_size, position_ms, frame_number = SIZE[::-1], 0.0, 0
        duration = FrameTimecode(len(frames), RATE)
        position = FrameTimecode(0, RATE)
        at = -1

        def read(self, decode: bool = True) -> Any:
            if self.at + 1 == len(frames):
                return False
            self.at += 1
            self.position = FrameTimecode(self.at, RATE)
            return np.ascontiguousarray(frames[self.at, ..., ::-1])

        def reset(self) -> None: ...

        def seek(self, target: Any) -> None: ...

    manager = SceneManager()
    kinds = dict(adaptive=detectors.AdaptiveDetector, content=detectors.ContentDetector)
    manager.add_detector(kinds[rule](**options))
    manager.detect_scenes(Pictures())
    return [begin.frame_num for begin, _ in manager.get_scene_list()][1:]


@pytest.mark.parametrize("rule", ["adaptive", "content"])
@pytest.mark.parametrize(("options", "step"), [({}, 7), ({"min_shot_s": 0.1}, 500)])
def test_cuts_equal_pyscenedetects_own(rule: str, options: dict, step: int, film) -> None:
    pytest.importorskip("scenedetect", reason="extra [scenedetect] is missing")
    frames = pictures()
    found = find(ContentDetector(rule, **options), frames, probe_film(film).video, step)
    expected = own(rule, frames, min_scene_len=options.get("min_shot_s", 0.6))
    assert found == [Transition(first - 1, first) for first in expected]
    assert expected[:2] == [40, 70]
    assert (expected[2:] != []) == (options != {})


def test_colours_are_told_apart_as_pyscenedetect_does(film) -> None:
    pytest.importorskip("scenedetect", reason="extra [scenedetect] is missing")
    frames = np.zeros((60, *SIZE, 3), np.uint8)
    frames[:30], frames[30:] = (200, 10, 0), (200, 0, 10)  # its hues of red lie far apart
    found = find(ContentDetector("content"), frames, probe_film(film).video, 9)
    assert found == [Transition(29, 30)]
    assert own("content", frames) == [30]
    assert find(ContentDetector("content"), frames[..., ::-1], probe_film(film).video, 9) == []


def test_a_film_goes_through_in_one_pass(tmp_path) -> None:
    pytest.importorskip("scenedetect", reason="extra [scenedetect] is missing")
    light, dark = (np.full((64, 96, 3), value, np.uint8) for value in (220, 30))
    path = clips.make(tmp_path / "cut.mp4", images=[light] * 30 + [dark] * 30)
    detector = ContentDetector("content")
    reader = FrameReader(path, size=detector.size, chunk=16)
    detection = detector.start(reader.video)
    found = [t for chunk in reader for t in detection.add(chunk)] + detection.finish()
    assert found == [Transition(29, 30, "cut")]
    assert detection.decided == 60


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scenedetect", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'vujax\[scenedetect\]'"):
        ContentDetector()


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown rule 'hash'"):
        ContentDetector("hash")
    with pytest.raises(ValueError, match="threshold must be positive, got 0"):
        ContentDetector("content", threshold=0)
    with pytest.raises(ValueError, match="min_shot_s must not be negative, got -1"):
        ContentDetector("content", min_shot_s=-1)


def test_names_tell_settings_apart() -> None:
    pytest.importorskip("scenedetect", reason="extra [scenedetect] is missing")
    detectors = [ContentDetector(), ContentDetector("content"), ContentDetector(min_shot_s=0.3)]
    assert len({d.name for d in [*detectors, ContentDetector(threshold=2.5)]}) == 4
