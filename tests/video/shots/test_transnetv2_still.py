"""Detection of still frames, against a plain double loop."""

import numpy as np
import pytest

from vujax.video.shots.transnetv2 import LOOKBACK, MARGIN, MotionTracker


def film(*levels: float, seed: int = 0) -> np.ndarray:
    """Frames uint8 `[n 4 6 3]`: one random picture, lighter by these levels."""
    picture = np.random.default_rng(seed).uniform(40, 90, (4, 6, 3))
    return np.stack([picture + level for level in levels]).astype(np.uint8)


def moving(frames: np.ndarray, limit: float, step: int) -> np.ndarray:
    """The answers of `Moving` when it gets `step` frames at a time."""
    search = MotionTracker(limit)
    answers = [search.add(frames[i : i + step]) for i in range(0, len(frames), step)]
    return np.concatenate([*answers, search.finish()])


def plain(frames: np.ndarray, limit: float) -> np.ndarray:
    def differ(i: int, j: int) -> bool:
        return np.abs(frames[i].astype(float) - frames[max(j, 0)]).mean() > limit

    moves = [differ(i, i - 1) or differ(i, i - LOOKBACK) for i in range(len(frames))]
    return np.array([any(moves[max(0, i - MARGIN) : i + MARGIN + 1]) for i in range(len(moves))])


@pytest.mark.parametrize("step", [1, 7, 30, 400])
def test_answers_do_not_depend_on_chunks(step: int) -> None:
    rng = np.random.default_rng(1)
    rest, fade = [0.0] * 60, np.linspace(0, 30, 50)
    walk = np.cumsum(rng.uniform(-2, 2, 40)) + 30
    frames = film(*rest, *fade, *[30.0] * 70, 90.0, *rest, *walk, *[walk[-1]] * 45)
    found = moving(frames, 2.0, step)
    np.testing.assert_array_equal(found, plain(frames, 2.0))
    assert 0.2 < found.mean() < 0.8


def test_a_slow_fade_moves_though_its_frames_hardly_differ() -> None:
    levels = [0.0] * 50 + list(np.linspace(0, 24, 100)) + [24.0] * 80
    frames = film(*levels)
    assert np.abs(np.diff(frames.astype(int), axis=0)).max() <= 1
    found = moving(frames, 2.0, 64)
    assert found[55:150].all()
    assert not found[:40].any()
    assert not found[-30:].any()


def test_a_film_shorter_than_the_margin_is_told_at_its_end() -> None:
    assert moving(film(0, 50, 50), 2.0, 1).tolist() == [True] * 3
    assert moving(film(0, 0), 2.0, 1).tolist() == [False] * 2
    assert moving(film(0)[:0], 2.0, 1).tolist() == []
