"""Nominal frame rate of a video stream, from its header and the times of its first packets.

Headers often declare an average, which misleads: a film of 25 frames/s from which repeated frames
were removed averages 16, and some containers round the rate. The nominal rate is the one on whose
grid the frames lie.
"""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from vujax.video.timecode import NTSC

STANDARD_RATES = tuple(
    Fraction(whole) * ratio
    for whole in (24, 25, 30, 48, 50, 60, 100, 120)
    for ratio in ((NTSC, Fraction(1)) if whole not in (25, 50, 100) else (Fraction(1),))
)
"""Rates of film and television, in frames per second, increasing."""
EDITOR_RATES = tuple(rate for rate in STANDARD_RATES if rate <= 60)
"""Rates of the projects of editing programs."""
SAME = Fraction(1, 10_000)  # relative; 24 and 24000/1001 differ by ten times as much
NEAR = 5e-4  # relative; half of the distance of 24 and 24000/1001
MILLISECOND_S = 1e-3
MIN_TIMES = 3
ON_GRID = 0.95  # share of frames; a few may have damaged times
SLACK = 0.02  # frames
MIN_TICKS = 10  # of a step that may be rounded by one
MAX_ERROR = 0.25  # frames; clocks that are coarser than this cannot tell rates apart


def snap_rate(rate: Fraction) -> Fraction:
    """Return the standard rate that equals `rate` but for rounding; `rate` if there is none."""
    nearest = _nearest_standard(rate)
    return nearest if abs(nearest / rate - 1) < SAME else rate


def _nearest_standard(rate: Fraction) -> Fraction:
    return min(STANDARD_RATES, key=lambda standard: abs(standard - rate))


def estimate_nominal_rate(
    times: np.ndarray,
    time_base: Fraction,
    average: Fraction | None,
    declared: Iterable[Fraction | None] = (),
) -> Fraction | None:
    """Estimate the nominal rate of a stream.

    Args:
      times: sorted timestamps of its first packets, int64 `[n]`, in ticks.
      time_base: seconds per tick.
      average: average rate of the header; it stays where the packets agree with it, or fit no
        standard rate.
      declared: other rates of the header, which come before the standard rates.

    Returns:
      Frames per second; None without an average if no standard rate fits.
    """
    if average is not None:
        average = snap_rate(average)
        if len(times) < MIN_TIMES:
            return average
        near = [rate for rate in (_nearest_standard(average), Fraction(round(average))) if rate]
        near = [rate for rate in near if abs(rate / average - 1) < NEAR]
        for rate in (*near, average):  # averages of short files are off by their last tick
            if _fits(times, time_base, rate, every=True):
                return rate
    if len(times) < MIN_TIMES:
        return None
    if (steady := _steady_rate(times, time_base)) is not None:
        return steady
    # A clock that counts frames, as in AVI and MXF.
    counted = 1 / (time_base * int(np.gcd.reduce(np.diff(times))))
    snapped = [snap_rate(rate) for rate in (*declared, counted) if rate]
    known = [rate for rate in snapped if rate in STANDARD_RATES]
    fitting = (rate for rate in (*known, *STANDARD_RATES) if _fits(times, time_base, rate))
    return next(fitting, average)


def _steady_rate(times: np.ndarray, time_base: Fraction) -> Fraction | None:
    """Return the rate of frames that follow each other in equal steps; None for uneven ones."""
    steps = np.diff(times)
    median = np.median(steps)
    rounding = 1 if median >= MIN_TICKS else 0
    equal = steps[np.abs(steps - median) <= rounding]
    if len(equal) < ON_GRID * len(steps):
        return None
    return snap_rate(Fraction(len(equal)) / (int(equal.sum()) * time_base))


def _fits(times: np.ndarray, time_base: Fraction, rate: Fraction, every: bool = False) -> bool:
    """Return whether frames lie on the grid of a rate; with `every`, on most of its places."""
    places = (times - times[0]) * float(time_base * rate)
    whole = np.round(places)
    is_exact = bool(np.allclose(places, whole, atol=1e-6))
    error = _find_tick_s(times, time_base) * float(rate) + SLACK
    if error > MAX_ERROR and not is_exact:
        return False
    is_dense = not every or np.median(np.diff(whole)) == 1
    return bool(is_dense and (np.abs(places - whole) <= error).mean() >= ON_GRID)


def _find_tick_s(times: np.ndarray, time_base: Fraction) -> float:
    """Return the seconds to which times are rounded: milliseconds if they come from Matroska."""
    exact, tick_s = times * float(time_base) / MILLISECOND_S, float(time_base)
    is_rounded = np.abs(exact - np.round(exact)) <= 0.5 * tick_s / MILLISECOND_S + 1e-6
    return max(tick_s, MILLISECOND_S) if is_rounded.all() else tick_s
