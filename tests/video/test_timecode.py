"""Clocks, timecode and drop-frame."""

from fractions import Fraction

import pytest

from vujax.video.timecode import (
    Clock,
    TimestampRepair,
    format_timecode,
    frames_per_day,
    nearest_timecode_rate,
    parse_timecode,
)

NTSC_30, NTSC_60 = Fraction(30000, 1001), Fraction(60000, 1001)
BROADCAST = Clock(Fraction(1, 90000), start=Fraction(7, 5), rate=NTSC_30)


def test_seconds_are_exact_and_count_from_the_start():
    assert BROADCAST.seconds(126000) == 0
    assert BROADCAST.seconds(126000 + 3003) == Fraction(3003, 90000)
    assert BROADCAST.seconds(0) == Fraction(-7, 5)


def test_pts_is_the_nearest_tick():
    for pts in (0, 126000, 126001, 10**12):
        assert BROADCAST.pts(BROADCAST.seconds(pts)) == pts
    assert Clock(Fraction(1, 10)).pts(0.26) == 3


def test_frames_do_not_drift_in_ten_hours():
    for frame in (0, 1, 2, 17981, 17982, 1078919):
        pts = BROADCAST.pts(Fraction(frame) / NTSC_30)  # rounded to a tick
        assert BROADCAST.frame(pts) == frame


def test_frame_ticks():
    assert BROADCAST.frame_ticks == 3003
    assert Clock(Fraction(1, 10), rate=Fraction(60)).frame_ticks == 1


@pytest.mark.parametrize(
    "frame, text",
    [
        (0, "00:00:00;00"),
        (1799, "00:00:59;29"),
        (1800, "00:01:00;02"),  # numbers 00 and 01 are left out
        (17981, "00:09:59;29"),
        (17982, "00:10:00;00"),  # but not in each tenth minute
        (17982 + 1800, "00:11:00;02"),
        (107892, "01:00:00;00"),
    ],
)
def test_drop_frame_known_values(frame, text):
    assert format_timecode(frame, NTSC_30, drop_frame=True) == text
    assert parse_timecode(text, NTSC_30) == frame


def test_drop_frame_at_60_leaves_out_four():
    assert format_timecode(3600, NTSC_60, drop_frame=True) == "00:01:00;04"
    assert format_timecode(215784, NTSC_60, drop_frame=True) == "01:00:00;00"


@pytest.mark.parametrize("rate", [NTSC_30, NTSC_60])
def test_drop_frame_numbers_every_frame_once_and_stays_near_the_clock(rate):
    for frame in range(0, 110000, 7):
        text = format_timecode(frame, rate, drop_frame=True)
        assert parse_timecode(text, rate) == frame
        hours, minutes, seconds = (int(part) for part in text[:8].split(":"))
        shown = 3600 * hours + 60 * minutes + seconds + Fraction(int(text[9:]), round(rate))
        assert abs(shown - frame / rate) < Fraction(1, 10)


def test_non_drop_timecode():
    film = Fraction(24000, 1001)
    assert format_timecode(86399, film) == "00:59:59:23"
    assert format_timecode(25 * 86400, Fraction(25)) == "00:00:00:00"
    assert parse_timecode("00:59:59:23", film) == 86399


def test_clock_writes_drop_frame_where_it_is_defined():
    pts = BROADCAST.pts(3600)
    assert BROADCAST.timecode(pts) == "01:00:00;00"
    assert BROADCAST.timecode(pts, drop_frame=False) == "00:59:56:12"
    assert Clock(Fraction(1, 25)).timecode(25 * 60 + 3) == "00:01:00:03"


def test_variable_rates_take_the_nearest_that_timecode_has():
    assert nearest_timecode_rate(Fraction(17300, 1000)) == 17
    assert nearest_timecode_rate(Fraction(23976, 1000)) == Fraction(24000, 1001)
    odd = Clock(Fraction(1, 1000), rate=Fraction(17300, 1000))
    assert odd.timecode(3600_000) == "01:00:00:00"  # no drift


@pytest.mark.parametrize(
    "text", ["", "1:2:3:4", "00:00:00:30", "00:01:00;01", "24:00:00:00", "00:60:00:00"]
)
def test_timecodes_that_do_not_exist(text):
    with pytest.raises(ValueError, match=r"timecode|no frame"):
        parse_timecode(text, NTSC_30)


def test_drop_frame_is_refused_where_it_is_not_defined():
    with pytest.raises(ValueError, match="24"):
        format_timecode(0, Fraction(24), drop_frame=True)


def test_steady_keeps_good_times_and_mends_bad_ones():
    steady = TimestampRepair(Clock(Fraction(1, 1000), rate=Fraction(25)))
    given = [0, 40, None, 120, 119, 120, 5000, 5000 + 601_000, 5100]
    want = [0, 40, 80, 120, 160, 200, 5000, 5040, 5100]
    assert [steady(pts) for pts in given] == want
    assert steady.repaired == 4


def test_a_repeated_timestamp_is_repaired():
    steady = TimestampRepair(Clock(Fraction(1, 1000), rate=Fraction(25)))
    assert [steady(pts) for pts in (0, 40, 40, 90)] == [0, 40, 80, 90]
    assert steady.repaired == 1


def test_steady_begins_at_the_films_start():
    assert TimestampRepair(BROADCAST)(None) == 126000


def test_frames_count_from_the_first_picture_and_seconds_from_the_film():
    """A Matroska file whose sound starts 21 ms before its picture."""
    clock = Clock(Fraction(1, 1000), rate=Fraction(24000, 1001), first_s=Fraction(21, 1000))
    pts = [21 + round(1000 * frame / clock.rate) for frame in range(20_000)]
    assert [clock.frame(one) for one in pts] == list(range(20_000))
    assert clock.timecode(pts[42]) == "00:00:01:18"
    assert clock.seconds(pts[0]) == Fraction(21, 1000)
    assert clock.parse_timecode("00:00:00:00") == Fraction(21, 1000)


@pytest.mark.parametrize("text", ["01:00:00:00", "01:00:00;00", "23:59:58;10"])
def test_timecode_counts_from_that_of_the_source(text):
    clock = Clock(Fraction(1, 30000), rate=NTSC_30).with_timecode(text)
    assert clock.is_drop_frame == (";" in text)
    assert clock.timecode(0) == clock.frame_timecode(0) == text
    for frame in (1, 1799, 1800, 100_000):
        assert clock.timecode(1001 * frame) == clock.frame_timecode(frame)
        assert clock.parse_timecode(clock.timecode(1001 * frame)) == frame / NTSC_30


@pytest.mark.parametrize("rate, drop", [(Fraction(25), False), (NTSC_30, True), (NTSC_60, True)])
def test_timecode_begins_again_after_a_day(rate, drop):
    day = frames_per_day(rate, drop)
    assert format_timecode(day, rate, drop) == format_timecode(0, rate, drop)
    assert format_timecode(day - 1, rate, drop)[:8] == "23:59:59"
    assert parse_timecode(format_timecode(day - 1, rate, drop), rate) == day - 1


def test_over_a_hundred_frames_a_second_have_three_digits():
    fast = Clock(Fraction(1, 12000), rate=Fraction(120))
    assert fast.timecode(12000 + 11900) == "00:00:01:119"
    assert fast.parse_timecode("00:00:01:119") == Fraction(239, 120)


@pytest.mark.parametrize(
    ("rate", "text", "other", "want"),
    [
        (Fraction(24000, 1001), "01:00:00:12", Fraction(25), "01:00:00:12"),
        (NTSC_60, "01:00:00;30", NTSC_30, "01:00:00;15"),
        (NTSC_30, "01:01:00;02", NTSC_60, "01:01:00;04"),
        (NTSC_30, "01:01:00;02", Fraction(25), "01:01:00:01"),
    ],
)
def test_another_rate_keeps_the_second(rate, text, other, want):
    clock = Clock(Fraction(1, 90000), rate=rate).with_timecode(text)
    assert clock.at_rate(other).timecode(0) == want
