"""Parsing of shot lists, valid and invalid."""

import random
from fractions import Fraction
from pathlib import Path

import pytest

from vujax.video.shots.shot_lists import read_shot_list

RATE = Fraction(24)

MOVIENET = """0 23 3 11 20
24 99 40 60 80
100 119 101 105 115
"""

EDL = """TITLE: FILM
FCM: NON-DROP FRAME

001  A001     V     C        00:00:10:00 00:00:12:00 01:00:00:00 01:00:02:00
* FROM CLIP NAME: ONE
002  A001     A     C        00:00:10:00 00:00:12:00 01:00:00:00 01:00:03:00
003  A002     V     C        00:00:20:00 00:00:21:12 01:00:02:00 01:00:03:12
004  A002     V     C        00:00:21:12 00:00:21:12 01:00:03:12 01:00:03:12
004  A003     V     D    012 00:00:05:00 00:00:07:00 01:00:03:12 01:00:05:12
005  BL       V     C        00:00:00:00 00:00:00:00 01:00:05:12 01:00:05:12
006  A004     AA/V  W001 006 00:00:05:00 00:00:07:00 01:00:06:00 01:00:08:00
"""

CSV = """begin_s,end_s,transition,note
0,1.5,,a
1.5,2.25,cut,"b, with
a break"
2.5,4,dissolve,c
"""

PYSCENEDETECT = """Timecode List:,00:00:01.000,00:00:02.500
Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Time (seconds)
1,1,00:00:00.000,0.000,24,1.000
2,25,00:00:01.000,1.000,60,2.500
"""


def read(folder: Path, name: str, text: str, rate: Fraction = RATE) -> list[tuple]:
    path = folder / name
    path.write_text(text, newline="")
    return [
        (float(s.start), s.end and float(s.end), s.kind, float(s.transition_s))
        for s in read_shot_list(path, rate)
    ]


def test_movienets_files_hold_inclusive_frames(tmp_path: Path) -> None:
    spans = read(tmp_path, "tt1.txt", MOVIENET)
    assert spans == [
        (0, 1, "cut", 0),
        (1, 100 / 24, "cut", 0),
        (100 / 24, 5, "cut", 0),
    ]


def test_an_edl_holds_its_picture_by_record_times(tmp_path: Path) -> None:
    assert read(tmp_path, "film.edl", EDL) == [
        (0, 2, "cut", 0),
        (2, 3.5, "cut", 0),
        (3.5, 5.5, "dissolve", 0.5),
        (5.5, 6, "cut", 0),  # black
        (6, 8, "wipe", 0.25),
    ]


def test_drop_frame_follows_the_wall_clock(tmp_path: Path) -> None:
    line = "001  A  V  C  00:00:00:00 00:10:00:00 {} {}\n"
    text = line.format("01:00:00:00", "01:10:00:00") + line.format("01:10:00:00", "01:11:00:02")
    ntsc = Fraction(30000, 1001)
    dropped = read(tmp_path, "a.edl", "FCM: DROP FRAME\n" + text, ntsc)
    counted = read(tmp_path, "b.edl", text.replace("00:02\n", "00:00\n"), ntsc)
    assert dropped[1][0] == pytest.approx(600, abs=0.04)
    assert counted[1][0] == pytest.approx(600.6, abs=0.04)


def test_tables_count_in_seconds_timecode_or_frames(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", CSV) == [
        (0, 1.5, "cut", 0),
        (1.5, 2.25, "cut", 0),
        (2.5, 4, "dissolve", 0),
    ]
    timecode = 'Start Timecode\tx\n00:00:00:00\t"1\n00:00:01:12\t"2\n'  # quotes of no meaning
    assert read(tmp_path, "a.tsv", timecode) == [(0, None, "cut", 0), (1.5, None, "cut", 0)]
    frames = "\ufeffBegin Frame,End Frame\r\n0,36\r\n\r\n36,48\r\n"
    assert read(tmp_path, "b.csv", frames) == [(0, 1.5, "cut", 0), (1.5, 2, "cut", 0)]
    assert read(tmp_path, "c.csv", PYSCENEDETECT) == [(0, 1, "cut", 0), (1, 2.5, "cut", 0)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.doc", "0 1", "is not a shot list; expected one of: .txt"),
        ("a.txt", "", "lists no shot"),
        ("a.txt", "0 9\nten 19\n", "line 2: 'ten' is not a frame number"),
        ("a.txt", "0 9\n10\n", "line 2: it needs a first and a last frame"),
        ("a.txt", "0 9\n-10 19\n", "line 2: '-10' is not a frame number"),
        ("a.txt", "10 19\n0 9\n", "line 2: its shot starts no later"),
        ("a.txt", "10 5\n", "line 1: its shot ends no later"),
        ("a.edl", "TITLE: X\n001 garbage\n", "line 2: it is not a CMX3600 event"),
        (
            "a.edl",
            EDL.replace("01:00:02:00 01:00:03:12", "01:00:02:24 01:00:03:12"),
            "line 7: .*24",
        ),
        ("a.edl", "FCM: DROP FRAME\n" + EDL.split("FRAME\n")[1], "line 3: drop-frame"),
        ("a.csv", "where,what\n1,2\n", "line 1: no column is named begin_s"),
        ("a.csv", "begin_s\n0\n1,2\n", "line 3: it has 2 columns"),
        ("a.csv", "begin_s\n0\nnan\n", "line 3: 'nan' is not a number of seconds"),
        ("a.csv", 'begin_s\n0\n"1\n', "line 3: unexpected end of data"),
        ("a.csv", "begin_s,kind\n0,c%t\n", "line 2: 'c%t' names no transition"),
        ("a.csv", "begin_timecode\n" + "0" * 999, "line 2: '0{40}' is not a timecode"),
        ("a.csv", "begin_timecode\n00:00:61:00\n", "line 2: '00:00:61:00' is not a timecode"),
    ],
)
def test_a_bad_list_is_refused_by_its_line(tmp_path, name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, name, text)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a\n.csv"
    path.write_bytes(b"begin_s\n\xff\xfe\n")
    with pytest.raises(ValueError, match="not UTF-8 text") as caught:
        read_shot_list(path, RATE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.txt", MOVIENET), ("a.edl", EDL), ("a.csv", CSV), ("b.csv", PYSCENEDETECT)],
)
def test_damaged_lists_are_read_or_refused(tmp_path: Path, name: str, text: str) -> None:
    dice, path, refused = random.Random(0), tmp_path / name, 0
    for _ in range(300):
        data = bytearray(text.encode())
        for _ in range(dice.choice([1, 3, 20])):
            at = dice.randrange(len(data))
            change = dice.choice(["flip", "digit", "drop", "repeat"])
            if change == "drop":
                del data[at : at + dice.randrange(30)]
                data = data or bytearray(b"0")
            elif change == "repeat":
                data[at:at] = data[at : at + 20] * dice.randrange(40)
            else:
                data[at] = dice.randrange(256) if change == "flip" else dice.choice(b"0123456789")
        path.write_bytes(data)
        try:
            spans = read_shot_list(path, RATE)
        except ValueError as error:
            refused += 1
            assert name in str(error)
            assert "\n" not in str(error)
        else:
            begins = [span.start for span in spans]
            assert begins == sorted(set(begins))
            assert begins[0] >= 0
    assert 20 < refused < 300
