"""The cast: ten kinds of figure, distinct in their outline.

A figure is drawn in units of its height: feet at (0, 0), the top of the bare head at (0, -1),
facing +x. Heads are large so that they survive 64 pixels.
"""

from collections.abc import Callable

from vujax.data.synthetic.canvas import RGB, Pen, Point, shade
from vujax.data.synthetic.world import Character

HEAD: Point = (0.0, -0.74)
HEAD_RADIUS = 0.22

_DARK: RGB = (0.10, 0.09, 0.11)
_PALE: RGB = (0.96, 0.95, 0.92)
_STEEL: RGB = (0.62, 0.65, 0.70)
_GOLD: RGB = (0.95, 0.76, 0.18)
_PINK: RGB = (0.93, 0.55, 0.60)


def draw_body(pen: Pen, character: Character, step: float = 0.0) -> None:
    """Draw legs and coat; `step` in -1..1 swings the legs."""
    legs = shade(character.coat, 0.45)
    strides = (-0.09 - 0.06 * step, 0.09 + 0.06 * step)
    pen.lines([((x / abs(x) * 0.09, -0.22), (x, -0.05)) for x in strides], 0.12, legs)
    pen.polygon([(-0.13, -0.58), (0.13, -0.58), (0.24, -0.14), (-0.24, -0.14)], character.coat)


def draw_arms(pen: Pen, character: Character, hands: tuple[Point, Point]) -> None:
    """Draw sleeves from the shoulders to the hands, far hand first, and the hands."""
    sleeve = shade(character.coat, 0.8) if character.coat[0] > 0.2 else (0.22, 0.22, 0.25)
    pen.lines([((-0.14, -0.50), hands[0]), ((0.14, -0.50), hands[1])], 0.10, sleeve)
    pen.ellipses(hands, 0.055, 0.055, character.skin)


def draw_head(pen: Pen, character: Character) -> None:
    """Draw the head of its kind, hat included."""
    HEADS[character.kind](pen.at(HEAD[0], HEAD[1], HEAD_RADIUS), character)


# Heads, in units of the head's radius around its center.


def _face(pen: Pen, skin: RGB) -> None:
    pen.ellipse(0, 0, 1, 1, skin)
    _eyes(pen)


def _eyes(pen: Pen, color: RGB = _DARK) -> None:
    pen.ellipses([(-0.15, -0.05), (0.5, -0.05)], 0.15, 0.2, color)


def _cat(pen: Pen, who: Character) -> None:
    ears = (-0.62, 0.62)
    pen.polygons([[(x - 0.38, -0.5), (x + 0.38, -0.5), (x * 1.25, -1.6)] for x in ears], who.skin)
    pen.polygons([[(x - 0.18, -0.7), (x + 0.18, -0.7), (x * 1.2, -1.3)] for x in ears], _PINK)
    _face(pen, who.skin)
    pen.ellipse(0.2, 0.35, 0.16, 0.12, _PINK)
    whiskers = [
        ((x, 0.4), (end, y)) for x, end in ((0.45, 1.35), (-0.1, -1.15)) for y in (0.3, 0.55)
    ]
    pen.lines(whiskers, 0.06, _DARK)


def _rabbit(pen: Pen, who: Character) -> None:
    ears = [((x, -0.7), (x * 1.5, -2.0)) for x in (-0.4, 0.4)]
    pen.lines(ears, 0.5, who.skin)
    pen.lines(ears, 0.2, _PINK)
    _face(pen, who.skin)
    pen.ellipse(0.2, 0.3, 0.14, 0.11, _PINK)
    pen.box(0.05, 0.5, 0.35, 0.8, _PALE)


def _bear(pen: Pen, who: Character) -> None:
    pen.ellipses([(-0.75, -0.75), (0.75, -0.75)], 0.42, 0.42, shade(who.skin, 0.85))
    pen.ellipse(0, 0, 1.12, 1.0, who.skin)
    pen.ellipse(0.25, 0.4, 0.5, 0.38, shade(who.skin, 1.35))
    pen.ellipse(0.3, 0.25, 0.2, 0.14, _DARK)
    _eyes(pen.at(0, -0.2))


def _robot(pen: Pen, who: Character) -> None:
    pen.line((0, -0.9), (0, -1.6), 0.14, _DARK)
    pen.ellipse(0, -1.65, 0.24, 0.24, (0.95, 0.25, 0.2))
    pen.box(-1.05, -0.95, 1.05, 0.9, _STEEL)
    pen.box(-0.75, -0.5, 0.85, 0.2, (0.12, 0.16, 0.2))
    pen.ellipses([(-0.3, -0.15), (0.45, -0.15)], 0.24, 0.24, (0.45, 0.95, 0.95))
    pen.tiles((-0.6, 0.42, 0.7, 0.72), (0.3, 1.0), (0.5, 1.0), _DARK)


def _wizard(pen: Pen, who: Character) -> None:
    _face(pen, who.skin)
    pen.polygon([(-0.75, 0.25), (0.95, 0.25), (0.2, 1.9)], _PALE)
    hat = (0.22, 0.16, 0.45)
    pen.polygon([(-0.85, -0.4), (0.85, -0.4), (-0.25, -2.4)], hat)
    pen.ellipse(0, -0.42, 1.3, 0.22, shade(hat, 0.8))
    pen.ellipse(0.0, -1.0, 0.2, 0.2, _GOLD)


def _chef(pen: Pen, who: Character) -> None:
    _face(pen, who.skin)
    pen.line((0.0, 0.4), (0.5, 0.38), 0.16, _DARK)
    pen.ellipses([(-0.6, -1.45), (0.0, -1.65), (0.6, -1.45)], 0.6, 0.5, _PALE)
    pen.box(-0.75, -1.4, 0.75, -0.45, _PALE)
    pen.box(-0.75, -0.65, 0.75, -0.45, shade(_PALE, 0.75))


def _knight(pen: Pen, who: Character) -> None:
    plume = ((-0.1, -1.1), (-0.6, -1.7), (-1.3, -1.35))
    pen.lines([plume[:2], plume[1:]], 0.45, (0.85, 0.15, 0.2))
    pen.ellipse(0, -0.1, 1.0, 1.1, _STEEL)
    pen.box(-1.0, -0.1, 1.0, 0.95, _STEEL)
    pen.box(-0.35, -0.3, 1.02, 0.0, _DARK)
    pen.tiles((0.1, 0.25, 0.95, 0.8), (0.28, 1.0), (0.5, 1.0), _DARK)


def _astronaut(pen: Pen, who: Character) -> None:
    pen.ellipse(0, 0, 1.3, 1.3, _PALE)
    pen.ellipse(0.2, 0, 0.98, 0.88, (0.15, 0.22, 0.36))
    pen.ellipse(0.5, -0.3, 0.3, 0.2, (0.75, 0.85, 0.95))
    pen.box(-1.45, -0.3, -1.1, 0.4, _STEEL)


def _clown(pen: Pen, who: Character) -> None:
    hair = (0.95, 0.45, 0.10)
    curls = [(-1.1, -0.2), (1.1, -0.2), (-0.85, -0.75), (0.85, -0.75)]
    pen.ellipses(curls, 0.52, 0.52, hair)
    _face(pen, _PALE)
    pen.ellipse(0.2, 0.2, 0.3, 0.3, (0.9, 0.1, 0.12))
    pen.line((-0.2, 0.65), (0.6, 0.65), 0.16, (0.8, 0.1, 0.15))


def _king(pen: Pen, who: Character) -> None:
    _face(pen, who.skin)
    beard = (0.35, 0.22, 0.14)
    pen.polygon([(-0.7, 0.35), (0.95, 0.35), (0.6, 1.05), (-0.3, 1.05)], beard)
    spikes = [[(x - 0.36, -0.8), (x + 0.36, -0.8), (x * 1.15, -1.7)] for x in (-0.7, 0.0, 0.7)]
    pen.polygons(spikes, _GOLD)
    pen.box(-0.98, -1.0, 0.98, -0.5, _GOLD)
    pen.ellipse(0, -0.72, 0.16, 0.16, (0.8, 0.1, 0.2))


HEADS: dict[str, Callable[[Pen, Character], None]] = {
    "cat": _cat,
    "rabbit": _rabbit,
    "bear": _bear,
    "robot": _robot,
    "wizard": _wizard,
    "chef": _chef,
    "knight": _knight,
    "astronaut": _astronaut,
    "clown": _clown,
    "king": _king,
}
