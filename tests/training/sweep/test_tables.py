import csv
import xml.etree.ElementTree as ET

import pytest

from tests.training.sweep.test_results import results_of, summary_of
from vujax.training.sweep.plot import build_svg
from vujax.training.sweep.results import Summary, to_markdown, write_csv

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def summary() -> Summary:
    results = results_of(
        ({"method.target": "clip", "seed": 0}, {"r/r1": 0.40}),
        ({"method.target": "clip", "seed": 1}, {"r/r1": 0.44}),
        ({"method.target": "<a|b>", "seed": 0}, {"r/r1": 0.50}),
        ({"method.target": "<a|b>", "seed": 1}, "ValueError: a|b"),
    )
    return summary_of(results, control={"method.target": "clip"})


def test_markdown_shows_means_intervals_counts_differences_and_errors(summary):
    lines = to_markdown(summary).splitlines()
    assert lines[:3] == [
        "Control: method.target clip.",
        "",
        "| run | n | r/r1 | r/r1 minus control |",
    ]
    assert lines[4:] == [
        "| control | 2 | 0.42 ± 0.25 |  |",
        r"| target <a\|b> | 1 | 0.5 | +0.1 |",
        r"| target <a\|b> | seed 1: ValueError: a\|b |  |  |",
    ]


def test_markdown_tells_once_what_all_runs_share():
    results = results_of(({"a.b": 1, "steps": 200}, {}), ({"a.b": 2, "steps": 200}, {}))
    assert to_markdown(summary_of(results)).splitlines()[:3] == [
        "All runs: steps 200.",
        "",
        "| run | n |",
    ]


def test_markdown_says_n_where_a_metric_lacks_runs():
    results = results_of(({"seed": 0}, {"a/x": 1.0}), ({"seed": 1}, {"a/x": 2.0, "a/y": 3.0}))
    assert (
        to_markdown(summary_of(results)).splitlines()[2] == "| default | 2 | 1.5 ± 6.4 | 3 (n=1) |"
    )


def test_csv_holds_full_precision_and_a_row_per_failure(summary, tmp_path):
    with write_csv(tmp_path / "table.csv", summary).open(newline="") as file:
        clip, other, failed = csv.DictReader(file)
    assert float(clip["r/r1 mean"]) == pytest.approx(0.42)
    assert float(clip["r/r1 high"]) - float(clip["r/r1 low"]) == pytest.approx(2 * 12.7062 * 0.02)
    assert clip["r/r1 n"] == "2"
    assert clip["r/r1 minus control mean"] == ""
    assert other["r/r1 low"] == ""
    assert float(other["r/r1 minus control mean"]) == pytest.approx(0.10)
    assert (failed["method.target"], failed["seed"]) == ("<a|b>", "1")
    assert failed["error"] == "ValueError: a|b"
    assert other["error"] == ""


def test_the_plot_has_a_dot_per_group_and_a_bar_per_interval(summary):
    root = ET.fromstring(build_svg(summary))
    dots, bars = (root.findall(f".//{SVG}{k}") for k in ("circle", "path[@class='bar']"))
    assert (len(dots), len(bars)) == (2, 1)
    assert float(dots[0].get("cx")) < float(dots[1].get("cx"))
    start, end = bars[0].get("d").removeprefix("M").replace("H", " ").split()[::2]
    assert float(start) < float(dots[0].get("cx")) < float(end)
    texts = [text.text for text in root.findall(f".//{SVG}text")]
    assert "target <a|b>" in texts


def test_the_plot_of_nothing_or_of_equal_values_is_still_a_picture():
    same = [({"a": i}, {"m/x": 0.0, "m/y": float("nan")}) for i in range(2)]
    for results in (results_of(({"a": 1}, "failed")), results_of(*same)):
        assert "nan" not in build_svg(summary_of(results))
        ET.fromstring(build_svg(summary_of(results)))
