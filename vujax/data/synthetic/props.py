"""Events of the figures: a pose of the hands and a prop before or behind the body.

Units and origin are the figure's (see `figures`); `t` is in seconds and moves the prop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sin

from vujax.data.synthetic.canvas import RGB, Pen, Point, shade

_DARK: RGB = (0.13, 0.12, 0.14)
_PALE: RGB = (0.97, 0.96, 0.92)
_WOOD: RGB = (0.55, 0.33, 0.16)

Paint = Callable[[Pen, RGB, float], None]


def _nothing(pen: Pen, color: RGB, t: float) -> None:
    """Paint nothing, for events without a prop on that side of the body."""


@dataclass(frozen=True)
class Event:
    """The pose and the prop of an event.

    Attributes:
      hands: far and near hand.
      behind: paints the prop behind the body.
      before: paints the prop before the body.
      lift: height of the figure's seat.
      walks: the legs move.
    """

    hands: tuple[Point, Point]
    behind: Paint = _nothing
    before: Paint = _nothing
    lift: float = 0.0
    walks: bool = False


def _balloon(pen: Pen, color: RGB, t: float) -> None:
    x, y = 0.40 + 0.03 * sin(2 * t), -1.02
    pen.line((0.28, -0.42), (x, y + 0.2), 0.015, _DARK)
    pen.ellipse(x, y, 0.19, 0.23, color)
    pen.ellipse(x - 0.06, y - 0.08, 0.05, 0.07, shade(color, 1.7))


def _bicycle(pen: Pen, color: RGB, t: float) -> None:
    axle = -0.02
    dx, dy = 0.17 * cos(4 * t), 0.17 * sin(4 * t)
    wheels = (-0.34, 0.40)
    for x in wheels:
        pen.ring(x, axle, 0.21, 0.045, _DARK)
    pen.lines([((x - dx, axle - dy), (x + dx, axle + dy)) for x in wheels], 0.01, _PALE)
    frame = [(-0.34, axle), (0.02, axle), (0.30, -0.26), (-0.12, -0.26), (-0.34, axle)]
    fork = ((0.40, axle), (0.29, -0.42))
    pen.lines([*pairwise(frame), fork], 0.05, color)
    pen.line((0.29, -0.42), (0.40, -0.45), 0.05, _DARK)


def _book(pen: Pen, color: RGB, t: float) -> None:
    x, y = 0.27, -0.44
    for wide, low, paint in ((0.25, 0.20, color), (0.20, 0.13, _PALE)):
        spine = [(x, y + low), (x, y - 0.12)]
        pages = [[*spine, (x + w, y - 0.18), (x + w, y + low - 0.07)] for w in (-wide, wide)]
        pen.polygons(pages, paint)
    pen.line((x, y - 0.12), (x, y + 0.15), 0.02, _DARK)


def _umbrella(pen: Pen, color: RGB, t: float) -> None:
    x, y = 0.10 + 0.01 * sin(2 * t), -0.94
    pen.line((0.24, -0.40), (x, y - 0.4), 0.035, _DARK)
    top = pen.at(x, y)
    rim = [(0.56 * cos(a * pi / 8), -0.40 * sin(a * pi / 8)) for a in range(9)]
    top.polygon(rim, color)
    stripes = [[(c - 0.1, 0.0), (c + 0.1, 0.0), (0.0, -0.40)] for c in (-0.375, 0.0, 0.375)]
    top.polygons(stripes, shade(color, 0.65))


def _guitar(pen: Pen, color: RGB, t: float) -> None:
    strum = 0.01 * sin(12 * t)
    pen.line((0.05, -0.35), (0.58, -0.63 + strum), 0.06, _DARK)
    pen.ellipse(-0.14, -0.26, 0.19, 0.17, color)
    pen.ellipse(0.06, -0.36, 0.13, 0.12, color)
    pen.ellipse(0.0, -0.33, 0.06, 0.06, _DARK)


def _flag(pen: Pen, color: RGB, t: float) -> None:
    pen.line((0.26, -0.10), (0.26, -1.22), 0.035, _WOOD)
    wave = 0.05 * sin(5 * t)
    for band, paint in ((0.375, color), (0.125, _PALE)):
        y = -1.20 + 0.5 * (0.375 - band)
        end = y + wave
        pen.polygon([(0.27, y), (0.70, end), (0.70, end + band), (0.27, y + band)], paint)


def _juggling(pen: Pen, color: RGB, t: float) -> None:
    balls = (color, _PALE, shade(color, 0.6), (0.95, 0.80, 0.20))
    for k, ball in enumerate(balls):
        angle = pi * ((0.35 * t + (k + 0.5) / len(balls)) % 1.0)
        pen.ellipse(0.42 * cos(angle), -0.52 - 0.66 * sin(angle), 0.085, 0.085, ball)


def _lantern(pen: Pen, color: RGB, t: float) -> None:
    x, y = 0.40 + 0.02 * sin(2 * t), -0.30
    pen.glow(x, y, 0.55, (1.0, 0.85, 0.45), 0.7)
    pen.ring(x, y - 0.17, 0.07, 0.025, _DARK)
    pen.box(x - 0.11, y - 0.13, x + 0.11, y + 0.15, _DARK)
    pen.box(x - 0.075, y - 0.09, x + 0.075, y + 0.11, (1.0, 0.92, 0.55))


def _telescope(pen: Pen, color: RGB, t: float) -> None:
    tilt = 0.02 * sin(t)
    pen.lines([((0.38, -0.80), (x, 0.0)) for x in (0.20, 0.38, 0.56)], 0.03, _WOOD)
    pen.line((0.16, -0.72), (0.60, -0.95 + tilt), 0.11, color)
    pen.line((0.46, -0.875 + tilt / 2), (0.62, -0.96 + tilt), 0.17, shade(color, 0.7))


def _gift(pen: Pen, color: RGB, t: float) -> None:
    x, y = 0.27, -0.36
    ribbon = _PALE if sum(color) < 2.0 else (0.85, 0.15, 0.25)
    pen.box(x - 0.22, y - 0.16, x + 0.22, y + 0.20, color)
    pen.box(x - 0.035, y - 0.16, x + 0.035, y + 0.20, ribbon)
    pen.box(x - 0.22, y - 0.02, x + 0.22, y + 0.05, ribbon)
    pen.ellipses([(x - 0.08, y - 0.20), (x + 0.08, y - 0.20)], 0.08, 0.055, ribbon)


_LOW: Point = (-0.24, -0.22)

EVENTS: dict[str, Event] = {
    "balloon": Event((_LOW, (0.28, -0.40)), before=_balloon, walks=True),
    "bicycle": Event(((0.24, -0.36), (0.30, -0.34)), before=_bicycle, lift=0.2),
    "book": Event(((0.06, -0.36), (0.44, -0.34)), before=_book),
    "umbrella": Event((_LOW, (0.24, -0.38)), behind=_umbrella, walks=True),
    "guitar": Event(((-0.20, -0.30), (0.42, -0.54)), before=_guitar),
    "flag": Event((_LOW, (0.26, -0.42)), before=_flag),
    "juggling": Event(((-0.36, -0.48), (0.36, -0.48)), before=_juggling),
    "lantern": Event((_LOW, (0.40, -0.47)), before=_lantern, walks=True),
    "telescope": Event(((0.10, -0.55), (0.34, -0.72)), before=_telescope),
    "gift": Event(((0.06, -0.30), (0.46, -0.28)), before=_gift, walks=True),
}
