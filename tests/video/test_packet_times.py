"""Timestamps of packets of a copy: repaired as ffmpeg does, with sound beside its picture."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import pytest

from vujax.video.packet_times import PacketTimes

TB = Fraction(1, 1000)


def stream(kind: str = "audio", index: int = 0, depth: int = 0) -> Any:
    context = SimpleNamespace(reorder_depth=depth)
    return SimpleNamespace(type=kind, index=index, codec_context=context, average_rate=Fraction(25))


def packet(pts: int | None, dts: int | None, duration: int = 40) -> av.Packet:
    one = av.Packet(b"x")
    one.time_base, one.pts, one.dts, one.duration = TB, pts, dts, duration
    return one


def mend(times: PacketTimes, of: Any, rows: Sequence[tuple[int | None, int | None]]) -> list:
    found = []
    for pts, dts in rows:
        one = packet(pts, dts)
        times.mend(one, of)
        found.append((one.pts, one.dts))
    return found


def test_times_count_from_the_start_of_the_film() -> None:
    hour = 3_600_000
    rows = [(hour + 40 * i, hour + 40 * i) for i in range(5)]
    expected = [(40 * i, 40 * i) for i in range(5)]
    assert mend(PacketTimes(Fraction(3600)), stream(), rows) == expected


def test_good_times_are_not_touched() -> None:
    """B-frames, gaps, and sound that starts before zero."""
    rows = [(0, -80), (120, -40), (40, 0), (80, 40), (240, 200), (900, 860)]
    assert mend(PacketTimes(Fraction(0)), stream("video", depth=2), rows) == rows
    early = [(-21, -21), (19, 19)]
    assert mend(PacketTimes(Fraction(0)), stream(), early) == early


def test_pictures_of_matroska_are_decoded_before_they_are_due() -> None:
    rows = [(0, None), (120, None), (40, 0), (80, 40)]
    found = mend(PacketTimes(Fraction(0)), stream("video", depth=2), rows)
    assert found == [(0, -80), (120, -40), (40, 0), (80, 40)]


def test_missing_times_follow() -> None:
    rows = [(0, 0), (None, None), (None, None), (120, 120)]
    found = mend(PacketTimes(Fraction(0)), stream(), rows)
    assert found == [(40 * i, 40 * i) for i in range(4)]
    with pytest.raises(ValueError, match="encode the film again"):
        mend(PacketTimes(Fraction(0)), stream("video", depth=1), rows)


def test_a_repeated_time_moves_by_a_tick() -> None:
    rows = [(0, 0), (40, 40), (40, 40), (80, 80)]
    found = mend(PacketTimes(Fraction(0)), stream(), rows)
    assert found == [(0, 0), (40, 40), (41, 41), (80, 80)]
    captions = [(0, 0), (0, 0), (40, 40)]  # two at once
    assert mend(PacketTimes(Fraction(0)), stream("subtitle"), captions) == captions


def test_a_jump_is_the_same_for_all_streams() -> None:
    """The picture jumps back first; sound of the old part still follows, then jumps too."""
    times, picture, sound = PacketTimes(Fraction(0)), stream("video", 0), stream("audio", 1)
    part = [(40 * i, 40 * i) for i in range(50)]
    behind = [(40 * i, 40 * i) for i in range(50, 100)]
    assert mend(times, picture, part + part) == part + behind
    early = [(pts + 10, dts + 10) for pts, dts in part]
    assert mend(times, sound, early) == early
    assert mend(times, sound, early) == [(pts + 10, dts + 10) for pts, dts in behind]


def test_a_clock_that_wraps_goes_on() -> None:
    wrap = (1 << 33) // 90
    rows = [(wrap - 80, wrap - 80), (wrap - 40, wrap - 40), (0, 0), (40, 40)]
    found = mend(PacketTimes(Fraction(wrap - 80, 1000)), stream(), rows)
    assert found == [(40 * i, 40 * i) for i in range(4)]


def test_short_packets_of_sound_do_not_drift() -> None:
    """TrueHD has packets of 40 samples, several of which share a millisecond of Matroska."""
    sound, times = stream(), PacketTimes(Fraction(0))
    sound.sample_rate = 48000
    found = []
    for number in range(2400):  # two seconds
        one = packet(number * 40 // 48, number * 40 // 48, 1)
        times.mend(one, sound)
        found.append(one.dts * one.time_base)
    assert all(second > first for first, second in itertools.pairwise(found))
    assert max(abs(time - Fraction(i, 1200)) for i, time in enumerate(found)) < Fraction(11, 10_000)
