"""Nominal frame rates from headers that average, round or say nothing."""

from fractions import Fraction

import numpy as np
import pytest

from vujax.video.frame_rate import STANDARD_RATES, estimate_nominal_rate, snap_rate

MS, TS = Fraction(1, 1000), Fraction(1, 90000)
FILM = Fraction(24000, 1001)


def ticks(frames: object, rate: Fraction, time_base: Fraction = MS) -> np.ndarray:
    places = np.asarray(frames) / float(rate * time_base)
    return np.round(places + 21).astype(np.int64)


@pytest.mark.parametrize("rate", [rate for rate in STANDARD_RATES if rate <= 60])
@pytest.mark.parametrize("time_base", [MS, TS])
def test_standard_rates_are_told_apart_by_the_packets_alone(
    rate: Fraction, time_base: Fraction
) -> None:
    times = ticks(np.arange(300), rate, time_base)
    assert estimate_nominal_rate(times, time_base, None) == rate
    assert estimate_nominal_rate(times, time_base, rate) == rate


def test_rounded_averages_are_snapped() -> None:
    assert snap_rate(Fraction(983, 41)) == FILM  # of an FLV file
    assert snap_rate(Fraction(2997, 100)) == Fraction(30000, 1001)
    assert snap_rate(Fraction(24)) == 24
    assert snap_rate(Fraction(25, 2)) == Fraction(25, 2)


@pytest.mark.parametrize(
    ("rate", "average"), [(Fraction(25), Fraction(1605, 100)), (FILM, Fraction(15984, 1000))]
)
def test_a_film_without_its_repeated_frames_keeps_its_grid(
    rate: Fraction, average: Fraction
) -> None:
    frames = [frame for frame in range(450) if frame % 3 != 1]
    assert estimate_nominal_rate(ticks(frames, rate), MS, average) == rate


@pytest.mark.parametrize("rate", [Fraction(4), Fraction(25, 2), Fraction(15), Fraction(1000)])
def test_constant_rates_that_are_not_standard_stay(rate: Fraction) -> None:
    assert estimate_nominal_rate(ticks(np.arange(300), rate), MS, rate) == rate


@pytest.mark.parametrize("rate", [Fraction(1), Fraction(25), FILM])
def test_equal_steps_count_more_than_a_header(rate: Fraction) -> None:
    """A film of a frame per second, whose header counts the last one for 1/24 s."""
    times = ticks(np.arange(72), rate)
    found = estimate_nominal_rate(times, MS, Fraction(72 * 24, 71 * 24 + 1), [Fraction(24)])
    assert found == pytest.approx(rate, rel=1e-3)
    coarse = np.array([frame for frame in range(99) if frame % 3 != 1])  # a tick is a frame
    assert estimate_nominal_rate(coarse, 1 / Fraction(25), Fraction(50, 3)) == 25


def test_uneven_times_keep_the_average() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(10, 90, 300))
    assert estimate_nominal_rate(times, MS, Fraction(20)) == 20
    assert estimate_nominal_rate(times, MS, None) is None


def test_few_frames_say_nothing() -> None:
    assert estimate_nominal_rate(np.array([0, 40]), MS, Fraction(20)) == 20
    assert estimate_nominal_rate(np.array([0, 40]), MS, None) is None


@pytest.mark.parametrize("rate", [Fraction(48), Fraction(60000, 1001), Fraction(120)])
@pytest.mark.parametrize("ticks_per_s", [16000, 12800])
def test_milliseconds_of_matroska_are_seen_in_other_ticks(rate: Fraction, ticks_per_s: int) -> None:
    """MP4 files that were Matroska files before, whole and with frames left out."""
    tick = Fraction(1, ticks_per_s)
    for frames in (range(300), [frame for frame in range(450) if frame % 7 not in (3, 4)]):
        rounded = ticks(frames, rate) * 1e-3
        times = np.round(rounded * ticks_per_s).astype(np.int64)
        average = (len(times) - 1) / Fraction(int(times[-1] - times[0]) * tick)
        assert estimate_nominal_rate(times, tick, average) == rate


def test_a_rate_near_a_standard_one_stays_if_its_frames_do() -> None:
    rate = Fraction(24_010, 1000)
    times = ticks(np.arange(300), rate, TS)
    assert float(estimate_nominal_rate(times, TS, rate)) == pytest.approx(24.01, rel=1e-5)
