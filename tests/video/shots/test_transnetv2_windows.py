"""Scores in windows against scores of the whole film at once, by a network with a wide view."""

import numpy as np
import pytest

from vujax.video.shots.transnetv2 import MotionTracker, WindowedScores


class Sum:
    """Scores a frame by the values of those up to `reach` away, weighted by their distance."""

    def __init__(self, reach: int) -> None:
        self.reach = reach
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        self.shapes.append(frames.shape)
        kernel = np.arange(1, 2 * self.reach + 2)
        values = frames.mean(axis=(1, 2, 3))
        return np.stack([np.convolve(values, kernel, "same"), values], axis=-1)

    def dense(self, film: np.ndarray) -> np.ndarray:
        """The whole film, continued at both ends, at once."""
        ends = (self.reach, self.reach)
        longer = np.pad(film, (ends, (0, 0), (0, 0), (0, 0)), mode="edge")
        return self(longer)[self.reach : self.reach + len(film)]


def film(frames: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (frames, 2, 3, 3), dtype=np.uint8)


def scores(windows: WindowedScores, frames: np.ndarray, step: int) -> np.ndarray:
    parts = [
        part for i in range(0, len(frames), step) for part in windows.add(frames[i : i + step])
    ]
    return np.concatenate([*parts, *windows.finish()])


@pytest.mark.parametrize("frames", [1, 5, 6, 7, 10, 12, 13, 60])
@pytest.mark.parametrize("step", [1, 4, 25, 100])
def test_scores_equal_those_of_the_whole_film(frames: int, step: int) -> None:
    images, network = film(frames), Sum(reach=3)
    found = scores(WindowedScores(network, window=12, context=3), images, step)
    assert set(network.shapes) == {(12, 2, 3, 3)}
    assert len(network.shapes) == -(-frames // 6)
    np.testing.assert_allclose(found, network.dense(images))


def test_context_that_is_too_short_shows() -> None:
    images, network = film(60), Sum(reach=3)
    found = scores(WindowedScores(network, window=12, context=2), images, 10)
    assert np.abs(found - network.dense(images)).max() > 1


def test_a_film_without_frames_has_no_scores() -> None:
    assert WindowedScores(Sum(1), window=12, context=3).finish() == []


def test_windows_stay_few_frames_behind() -> None:
    windows, images, had = WindowedScores(Sum(3), window=12, context=3), film(200), 0
    for i in range(len(images)):
        had += sum(map(len, windows.add(images[i : i + 1])))
        assert i - had <= 2 * 12  # one window is filling, one is being computed


@pytest.mark.parametrize("step", [1, 17, 300])
@pytest.mark.parametrize("context", [3, 20])
def test_still_spans_get_no_window_and_the_rest_is_unchanged(step: int, context: int) -> None:
    alive, still = film(50), np.repeat(film(1, seed=1), 150, axis=0)
    images = np.concatenate([still, alive, still, alive[:9], still[:70]])
    network = Sum(reach=3)
    expected = network.dense(images)
    near = np.concatenate([(m := MotionTracker(2.0)).add(images), m.finish()])
    network.shapes.clear()
    windows = WindowedScores(
        network, window=context * 2 + 6, context=context, moving=MotionTracker(2.0)
    )
    found = scores(windows, images, step)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found[near], expected[near])
    scored = found[:, 1] != 0
    np.testing.assert_allclose(found[scored], expected[scored])
    assert 0 < len(network.shapes) <= (near.sum() + 12) / 6
    assert scored.mean() < 0.6
