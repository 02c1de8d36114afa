"""Several curves in one chart."""

import re

from tests.html import Elements
from vujax.utils.html.charts import compare_curves

EVIL = "</b><script>alert(1)</script>"


def draw(**series: list[tuple[float, float]]) -> str:
    labels = dict(x_label="steps", y_label="recall, %")
    return compare_curves({EVIL: [(0, 1.0), (10, 3.0)], **series}, EVIL, "a note", **labels)


def test_a_chart_has_a_line_and_a_name_for_each_curve() -> None:
    page = Elements(draw(rising=[(0, 0.0), (5, 2.0), (10, 4.0)]))
    assert len(page.of("li")) == 2 and len(page.of("path", "line")) == 4
    assert {"series-0", "series-1"} == {a["class"].split()[1] for a in page.of("path", "line")}
    assert all(words in page.text for words in (EVIL, "rising", "a note", "steps", "recall, %"))
    assert not page.of("script")


def test_curves_share_their_axes() -> None:
    drawn = Elements(draw(rising=[(0, 0.0), (5, 2.0), (10, 4.0)])).of("path", "line")[2:]
    first, second = (re.findall(r"[ML]([\d.]+) ([\d.]+)", a["d"]) for a in drawn)
    assert (first[0][0], first[-1][0]) == (second[0][0], second[-1][0])
    heights = [float(y) for _, y in (*second, *first)]  # of 0, 2, 4, 1 and 3
    assert sorted(heights, reverse=True) == [heights[i] for i in (0, 3, 1, 4, 2)]
