"""The plot of a sweep as SVG: per metric, a dot and an interval for each group of seeds."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from vujax.training.sweep.plan import label_points
from vujax.training.sweep.results import Summary

ROW, TOP, BOTTOM, PANEL, GAP, CHARACTER = 24, 52, 52, 240, 28, 6.8
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #222 }
  .title { font-weight: 600 } .note, .tick { fill: #666; font-size: 11px }
  .grid { stroke: #e4e4e4 } .bar { stroke: #1f5fa8; stroke-width: 2 } .mean { fill: #1f5fa8 }
  .seed { stroke: #1f5fa8 }
"""
NOTE = "dot: mean; bar: 95% interval over seeds; strokes: single runs"


class Axis(NamedTuple):
    """Axis of one panel.

    Attributes:
      place: from a value to pixels.
      ticks: values to mark.
    """

    place: Callable[[float], float]
    ticks: list[float]


def build_svg(summary: Summary) -> str:
    """Return the SVG text of one panel per metric side by side, with one row per group."""
    labels = label_points([row.group.overrides for row in summary.rows], summary.control)
    left = max(80.0, CHARACTER * max(map(len, labels)) + 20)
    height = TOP + ROW * len(labels) + BOTTOM
    width = max(left + (PANEL + GAP) * len(summary.metrics), CHARACTER * len(NOTE) + 20)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}">',
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="white"/>',
        *(_text(left - 12, _y(i) + 4, label, "end") for i, label in enumerate(labels)),
        _text(10, height - 10, NOTE, "start", "note"),
    ]
    for i, metric in enumerate(summary.metrics):
        parts += _panel(summary, i, metric, left + (PANEL + GAP) * i)
    return "\n".join([*parts, "</svg>", ""])


def _panel(summary: Summary, index: int, metric: str, left: float) -> list[str]:
    rows = [(row.own[index], list(row.group.values(metric).values())) for row in summary.rows]
    ends = [e.mean + sign * (e.half_width or 0) for e, _ in rows if e for sign in (-1, 1)]
    axis = _axis([*ends, *(value for _, values in rows for value in values)], left)
    bottom = TOP + ROW * len(rows)
    evaluation, _, name = metric.partition("/")
    parts = [_text(left, 18, evaluation, "start", "note"), _text(left, 34, name, "start", "title")]
    for tick in axis.ticks:
        x = axis.place(tick)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP - 6}V{bottom}"/>')
        parts.append(_text(x, bottom + 16, f"{tick:.6g}", "middle", "tick"))
    for i, (e, seeds) in enumerate(rows):
        if e and math.isfinite(e.mean):
            if e.half_width:
                start, end = axis.place(e.mean - e.half_width), axis.place(e.mean + e.half_width)
                parts.append(f'<path class="bar" d="M{start:.1f} {_y(i)}H{end:.1f}"/>')
            strokes = "".join(f"M{axis.place(value):.1f} {_y(i) - 6}v12" for value in seeds)
            parts.append(f'<path class="seed" d="{strokes}"/>')
            parts.append(f'<circle class="mean" cx="{axis.place(e.mean):.1f}" cy="{_y(i)}" r="4"/>')
    return parts


def _axis(values: Sequence[float], left: float) -> Axis:
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    margin = 0.06 * (high - low) or abs(high) * 0.1 or 0.5
    low, high = low - margin, high + margin
    # Steps of 1, 2 or 5 times a power of ten, about four of them.
    power = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= (high - low) / 4)
    ticks = [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return Axis(lambda value: left + PANEL * (value - low) / (high - low), ticks)


def _y(row: int) -> float:
    return TOP + ROW * (row + 0.5)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
