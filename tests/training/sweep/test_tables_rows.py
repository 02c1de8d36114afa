"""Results as JSON, CSV, Markdown and a plot."""

import csv
import json
from xml.etree import ElementTree

from vujax.training.sweep.tables import write_intervals, write_rows

ROWS = [{"name": "raw", "ap": 0.123456}, {"name": "a, b", "ap": 1, "seed": 2}]


def test_json_has_all_digits_and_csv_four(tmp_path):
    write_rows(tmp_path, "table", ROWS)
    assert json.loads((tmp_path / "table.json").read_text()) == ROWS
    with (tmp_path / "table.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert found == [
        {"name": "raw", "ap": "0.1235", "seed": ""},
        {"name": "a, b", "ap": "1", "seed": "2"},
    ]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["table.csv", "table.json", "table.md"]


def test_a_table_for_people_says_what_it_is(tmp_path):
    write_rows(tmp_path / "new", "table", [{"head": "a|b", "ap": 0.123456}, {"n": 3}], "Two seeds.")
    assert (tmp_path / "new/table.md").read_text().splitlines() == [
        "Two seeds.",
        "",
        "| head | ap | n |",
        "| --- | --- | --- |",
        "| a\\|b | 0.1235 |  |",
        "|  |  | 3 |",
    ]


def circles(path) -> list[float]:
    tree = ElementTree.parse(path)
    return [float(x.get("cx")) for x in tree.iter() if x.tag.endswith("circle")]


def test_a_picture_of_intervals(tmp_path):
    path = tmp_path / "plot.svg"
    lines = [("a < b & c", 0.5, 0.25, 1.0), ("worse", -0.5, -1.0, -0.25), ("none", 0.0, 0.0, 0.0)]
    write_intervals(path, "Difference", lines)
    better, worse, zero = circles(path)
    assert worse < zero < better
    assert abs((better - zero) - (zero - worse)) < 0.2
    text = "".join(ElementTree.parse(path).getroot().itertext())
    assert "a < b & c" in text and "0.500 [0.250, 1.000]" in text


def test_a_picture_where_nothing_differs_from_zero(tmp_path):
    write_intervals(tmp_path / "plot.svg", "Nothing", [("none", 0.0, 0.0, 0.0)])
    assert len(circles(tmp_path / "plot.svg")) == 1
