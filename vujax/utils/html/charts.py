"""Line charts as inline SVG: one curve over steps, several in one chart, or a sparkline."""

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from math import isfinite

from vujax.utils.html.document import Markup, number, tag, ticks

WIDTH, HEIGHT = 420, 220  # in SVG units; the page scales them
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 28  # room around the curve
SHOWN = 240  # points drawn at most
SMOOTH_FROM = 40  # points from which a smoothed line is drawn over the raw one

Point = tuple[float, float]  # (step, value); a value that is not finite leaves a gap


def curve(points: Sequence[Point], title: str, note: str) -> Markup:
    """Draw one curve as a figure.

    Args:
      points: by rising step, at least one.
      title: what is drawn.
      note: a few words on how to read it.
    """
    finite = [y for _, y in points if isfinite(y)]
    summary = "no finite value"
    if finite:
        summary = f"last {number(finite[-1])}, from {number(min(finite))} to {number(max(finite))}"
    caption = tag(
        "figcaption",
        tag("b", title),
        tag("span", note, class_="note"),
        tag("span", summary, class_="readout", data_rest=summary),
    )
    return tag("figure", caption, _svg(points, f"{title}: {summary}"), class_="chart")


def compare_curves(
    series: Mapping[str, Sequence[Point]],
    title: str,
    note: str,
    *,
    x_label: str,
    y_label: str,
    styles: Sequence[int] = (),
) -> Markup:
    """Draw several curves in one chart, told apart by color and dashes, with a legend.

    Args:
      series: curves by name, each by rising x, at least one point; up to five have a color.
      title: what is drawn.
      note: a few words on how to read it.
      x_label: what the horizontal axis shows, with its unit.
      y_label: likewise the vertical axis.
      styles: color and dashes of each curve, 0 to 4, so that charts of a page can agree; empty for
        the order of the series.
    """
    styles = styles or range(len(series))
    points = [point for curve in series.values() for point in curve]
    room = {"left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
    frame = _Frame(points, width=WIDTH, height=HEIGHT, **room)
    lines = [
        tag("path", d=frame.path(curve), class_=f"line series-{style}")
        for style, curve in zip(styles, series.values(), strict=True)
    ]
    view = dict(viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=title)
    caption = tag("figcaption", tag("b", title), tag("span", note, class_="note"))
    keys = [_legend(style, name) for style, name in zip(styles, series, strict=True)]
    legend = tag("ul", keys, class_="legend")
    axes = [tag("p", text, class_="note") for text in (f"\u2191 {y_label}", f"\u2192 {x_label}")]
    body = (caption, legend, axes[0], tag("svg", _axes(frame), lines, **view), axes[1])
    return tag("figure", body, class_="chart compared")


def _legend(number: int, name: str) -> Markup:
    line = tag("path", d="M1 5H31", class_=f"line series-{number}")
    return tag("li", tag("svg", line, viewBox="0 0 32 10", aria_hidden="true"), name)


def sparkline(points: Sequence[Point]) -> Markup:
    """Draw a curve of a text line's height, for a table's cell; empty if nothing changes."""
    finite = [(x, y) for x, y in points if isfinite(y)]
    if len({y for _, y in finite}) < 2:
        return tag("span", "")
    frame = _Frame(finite, width=120, height=28, left=3, right=4, top=4, bottom=4)
    x, y = frame.place(finite[-1])
    end = tag("circle", cx=x, cy=y, r=2.5, class_="end")
    first, last = number(finite[0][1]), number(finite[-1][1])
    label = f"from {first} at step {finite[0][0]} to {last} at step {finite[-1][0]}"
    line = tag("path", d=frame.path(finite), class_="line")
    return tag("svg", line, end, viewBox="0 0 120 28", class_="spark", role="img", aria_label=label)


def thinned(points: Sequence[Point]) -> list[Point]:
    """Return at most SHOWN points, the lowest and the highest of each stretch: spikes stay."""
    stretches = SHOWN // 2
    if len(points) <= SHOWN:
        return list(points)
    kept = []
    for k in range(stretches):
        part = points[k * len(points) // stretches : (k + 1) * len(points) // stretches]
        holes = [p for p in part if not isfinite(p[1])]
        low, high = (f(part, key=lambda p: p[1]) for f in (min, max))
        kept += sorted({low, high} if not holes else {holes[0]})
    return kept


def is_noisy(values: Sequence[float]) -> bool:
    """Return whether a curve goes up and down so much that a smoothed line helps."""
    travel = sum(abs(b - a) for a, b in pairwise(values))
    return len(values) >= SMOOTH_FROM and travel > 4 * (max(values) - min(values))


def smoothed(points: Sequence[Point], share: float = 0.05) -> list[Point]:
    """Average over a centered window of `share` of the points: no lag behind the raw curve."""
    sums = list(accumulate((y for _, y in points), initial=0.0))
    reach = max(1, round(share * len(points) / 2))
    line = []
    for i, (x, _) in enumerate(points):
        low, high = max(0, i - reach), min(len(points), i + reach + 1)
        line.append((x, (sums[high] - sums[low]) / (high - low)))
    return line


class _Frame:
    """From steps and values to SVG coordinates."""

    def __init__(self, points: Sequence[Point], *, width, height, left, right, top, bottom) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points if isfinite(y)] or [0.0]
        self.x0, self.x1 = _span(min(xs), max(xs))
        self.y0, self.y1 = _span(min(ys), max(ys))
        self.left, self.right, self.top, self.bottom = left, width - right, top, height - bottom

    def place(self, point: Point) -> Point:
        x = self.left + (point[0] - self.x0) / (self.x1 - self.x0) * (self.right - self.left)
        y = self.bottom - (point[1] - self.y0) / (self.y1 - self.y0) * (self.bottom - self.top)
        return round(x, 1), round(y, 1)

    def path(self, points: Sequence[Point]) -> str:
        """Return path data, with a gap where values are not finite."""
        runs = [list(run) for ok, run in groupby(points, lambda p: isfinite(p[1])) if ok]
        placed = [[self.place(point) for point in run] for run in runs]
        return "".join("M" + "L".join(f"{x} {y}" for x, y in run) for run in placed)


def _svg(points: Sequence[Point], label: str) -> Markup:
    drawn, finite = thinned(points), [point for point in points if isfinite(point[1])]
    room = {"left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM}
    frame = _Frame(drawn, width=WIDTH, height=HEIGHT, **room)
    lines = [tag("path", d=frame.path(drawn), class_="line")]
    if is_noisy([y for _, y in finite]):
        mean = thinned(smoothed(finite))
        lines = [
            tag("path", d=frame.path(drawn), class_="line raw"),
            tag("path", d=frame.path(mean), class_="line"),
        ]
    if len(finite) == 1:
        x, y = frame.place(finite[0])
        lines.append(tag("circle", cx=x, cy=y, r=4, class_="end"))
    placed = [[x, number(y), *frame.place((x, y))] for x, y in drawn if isfinite(y)]
    return tag(
        "svg",
        _axes(frame),
        lines,
        tag("line", class_="cross", y1=TOP, y2=HEIGHT - BOTTOM),
        tag("circle", class_="dot", r=4),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=label,
        data_points=json.dumps(placed),
    )


def _axes(frame: _Frame) -> list[Markup]:
    marks = []
    for value in ticks(frame.y0, frame.y1):
        y = frame.place((frame.x0, value))[1]
        marks.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        marks.append(tag("text", number(value), x=LEFT - 6, y=y + 4, class_="tick end-aligned"))
    for value in ticks(frame.x0, frame.x1):
        if value == int(value):
            x = frame.place((value, frame.y0))[0]
            marks.append(tag("text", f"{value:,.0f}", x=x, y=HEIGHT - 8, class_="tick middle"))
    return marks


def _span(low: float, high: float) -> tuple[float, float]:
    """Return the ends of an axis that contains the values and is never empty."""
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
