"""Shots closed while reading are the shots of the whole film."""

from itertools import pairwise

import numpy as np
import pytest

from vujax.pipeline.ingest.reader import FrameTimes
from vujax.video.shots.base import ShotAssembler, Transition, split_into_shots


@pytest.mark.parametrize("seed", range(20))
def test_closing_on_the_way_gives_the_same_shots(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames, late = 400, int(rng.integers(1, 60))
    borders = np.sort(rng.choice(np.arange(8, 390, 4), 12, replace=False))
    kinds = rng.integers(0, 2, 12)
    transitions = [
        Transition(int(b) - 2, int(b) + 2, "fade") if k else Transition(int(b) - 1, int(b))
        for b, k in zip(borders, kinds, strict=True)
    ]
    closing, found, given = ShotAssembler(), [], []
    for read in range(0, frames, 32):
        read = min(read + 32, frames)
        decided = max(0, read - late)
        new = [t for t in transitions if t.boundary < decided and t not in given]
        given += new
        closed = list(closing.add(reversed(new), decided, read))
        assert all(shot.end < decided for shot in closed)
        found += closed
    found += closing.finish([t for t in transitions if t not in given], frames)
    assert found == split_into_shots(transitions, frames)
    begins = [0, *sorted({t.boundary for t in transitions})]
    assert [(shot.start, shot.end) for shot in found] == list(pairwise([*begins, frames]))


def test_transitions_beyond_the_films_end_are_dropped() -> None:
    closing = ShotAssembler()
    assert list(closing.add([Transition(99, 100)], decided=200, frames=50)) == []
    (only,) = closing.finish([Transition(60, 61)], frames=50)
    assert (only.start, only.end, only.transition) == (0, 50, None)
    assert list(ShotAssembler().finish([], 0)) == []


def test_times_are_kept_from_a_frame_on() -> None:
    times = FrameTimes()
    times.add(np.arange(0, 100, 10))
    times.forget(4)
    times.add(np.arange(100, 150, 10))
    assert [times[4], times[9], times[10], times.frames] == [40, 90, 100, 15]
    assert [times[1], times[99]] == [40, 140]
