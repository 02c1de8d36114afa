"""Tables and pictures of experiments that are scripts of their own."""

import csv
import json
from xml.etree import ElementTree

from vujax.sweep.rows import write_intervals, write_rows

ROWS = [{"head": "a|b", "ap": 0.123456}, {"head": "none", "ap": 1.0, "n": 3}]


def test_the_same_rows_for_programs_and_people(tmp_path):
    write_rows(tmp_path / "new", "table", ROWS, about="Five seeds.")
    assert json.loads((tmp_path / "new/table.json").read_text()) == ROWS
    with (tmp_path / "new/table.csv").open() as file:
        first, second = csv.DictReader(file)
    assert first == {"head": "a|b", "ap": "0.1235", "n": ""} and second["n"] == "3"
    assert (tmp_path / "new/table.md").read_text().splitlines() == [
        "Five seeds.",
        "",
        "| head | ap | n |",
        "| --- | --- | --- |",
        "| a\\|b | 0.1235 |  |",
        "| none | 1 | 3 |",
    ]


def test_a_table_without_words_above(tmp_path):
    write_rows(tmp_path, "table", ROWS[1:])
    assert (tmp_path / "table.md").read_text().startswith("| head | ap | n |")


def test_intervals_in_a_picture(tmp_path):
    lines = [("a < b", 0.5, 0.25, 0.75), ("less", -0.5, -1.0, 0.0)]
    write_intervals(tmp_path / "plot.svg", "AP", lines)
    root = ElementTree.fromstring((tmp_path / "plot.svg").read_text())
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words == ["AP", "a < b", "0.500 [0.250, 0.750]", "less", "-0.500 [-1.000, 0.000]"]
    dots = [float(dot.get("cx")) for dot in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert dots[0] - dots[1] == 420 / 1.75
