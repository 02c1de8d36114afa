"""The places: twelve sets of distinct shapes, painted in the film's palette.

Stage units: the frame's height is 1, (0, 0) its center, the horizon lies at y = HORIZON, and a set
extends past |x| = 1.2 so that wide images and pans stay filled. `where` holds a few numbers in
0..1 that shift objects, the same in all scenes of a film.
"""

from collections.abc import Callable
from math import sin

from vujax.data.synthetic.canvas import RGB, Pen, mix, shade
from vujax.data.synthetic.random import Dice
from vujax.data.synthetic.script import Scene
from vujax.data.synthetic.world import OUTDOORS, Palette

HORIZON = 0.12
MOVING = ("harbour", "spaceship")  # sets with parts that move

LIGHT: dict[str | None, RGB] = {
    None: (1.0, 1.0, 1.0),
    "day": (1.0, 1.0, 1.0),
    "sunset": (1.0, 0.78, 0.62),
    "night": (0.46, 0.52, 0.76),
}
_DARK: RGB = (0.12, 0.12, 0.14)
_PALE: RGB = (0.95, 0.95, 0.93)
_LAMP: RGB = (1.0, 0.88, 0.52)

Paint = Callable[[Pen, Palette, list[float], Scene, float], None]


def draw_place(pen: Pen, scene: Scene, t: float) -> None:
    """Draw the scene's set, lit by its time of day, `t` seconds into the shot."""
    palette = scene.film.palette
    dice = Dice((*scene.film.key, scene.place))
    where = [dice.uniform() for _ in range(4)]
    if scene.place in OUTDOORS:
        _sky(pen, palette, scene.time, where[0])
    PAINTERS[scene.place](pen.lit(LIGHT[scene.time]), palette, where, scene, t)


def _sky_colors(palette: Palette, time: str | None) -> tuple[RGB, RGB]:
    """Return the colors of the top and of the horizon."""
    top, low = palette.sky, palette.haze
    if time == "sunset":
        return mix((0.55, 0.35, 0.55), top, 0.35), mix((0.99, 0.60, 0.30), low, 0.2)
    if time == "night":
        return mix((0.04, 0.05, 0.14), top, 0.1), mix((0.10, 0.12, 0.30), top, 0.25)
    return top, low


def _sky(pen: Pen, palette: Palette, time: str | None, where: float) -> None:
    top, low = _sky_colors(palette, time)
    pen.wash(top, low, -0.6, HORIZON)
    x = 0.7 * where - 0.35
    if time == "night":
        pen.tiles((-1.3, -0.7, 1.3, HORIZON), (0.17, 0.23), (0.08, 0.06), _PALE)
        pen.tiles((-1.23, -0.63, 1.3, HORIZON), (0.29, 0.19), (0.05, 0.07), _PALE)
        pen.ellipse(x, -0.33, 0.08, 0.08, (0.96, 0.95, 0.80))
    elif time == "sunset":
        pen.glow(x, HORIZON - 0.08, 0.5, (1.0, 0.85, 0.45), 0.6)
        pen.ellipse(x, HORIZON - 0.04, 0.13, 0.13, (1.0, 0.90, 0.60))
    else:
        puffs = [(x - 0.1, -0.325), (x, -0.345), (x + 0.1, -0.325)]
        pen.ellipses(puffs, 0.095, 0.045, _PALE)


def _earth(pen: Pen, scene: Scene, color: RGB, y: float = HORIZON) -> None:
    """Paint the ground outdoors, white where it snows."""
    if scene.weather == "snow":
        color = mix(color, _PALE, 0.75)
    pen.wash(color, shade(color, 0.7), y, 0.6)


def _window(pen: Pen, palette: Palette, scene: Scene, x: float, y: float) -> None:
    """Paint a window with the sky in it, the only sign of the hour indoors."""
    sky, low = _sky_colors(palette, scene.time)
    lit = pen.lit((1.0, 1.0, 1.0))
    lit.box(x - 0.17, y - 0.19, x + 0.17, y + 0.19, _PALE)
    lit.box(x - 0.145, y - 0.165, x + 0.145, y, sky)
    lit.box(x - 0.145, y, x + 0.145, y + 0.165, low)
    if scene.time == "night":
        lit.ellipse(x + 0.06, y - 0.07, 0.045, 0.045, (0.96, 0.95, 0.80))
    elif scene.time == "sunset":
        lit.ellipse(x, y + 0.13, 0.07, 0.07, (1.0, 0.93, 0.65))
    lit.box(x - 0.012, y - 0.17, x + 0.012, y + 0.17, _PALE)
    lit.box(x - 0.15, y - 0.012, x + 0.15, y + 0.012, _PALE)


def _room(pen: Pen, palette: Palette) -> None:
    pen.wash(shade(palette.wall, 1.05), palette.wall, -0.6, 0.1)
    pen.wash(palette.floor, shade(palette.floor, 0.7), 0.22, 0.6)
    pen.box(-1.4, 0.2, 1.4, 0.225, shade(palette.wall, 0.6))


# Outdoors


def _harbour(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    pen.wash(p.water, shade(p.water, 0.75), HORIZON - 0.1, 0.4)
    pen.tiles((-1.4, 0.06, 1.4, 0.3), (0.19, 0.06), (0.5, 0.22), shade(p.water, 1.5))
    for x, size, hull in (
        (-0.27, 1.0, p.houses[0]),
        (0.36, 0.8, p.houses[1]),
        (-0.95, 0.9, p.rock),
    ):
        x += 0.14 * (where[1] - 0.5)
        boat = pen.at(x, 0.1 + 0.008 * sin(1.7 * t + 9 * x), size)
        boat.polygon([(-0.2, -0.03), (0.2, -0.03), (0.14, 0.07), (-0.13, 0.07)], hull)
        boat.line((0, -0.03), (0, -0.46), 0.02, p.wood)
        sails = [[(0.02, -0.44), (0.02, -0.08), (0.19, -0.08)]]
        sails.append([(-0.02, -0.38), (-0.02, -0.08), (-0.14, -0.08)])
        boat.polygons(sails, _PALE)
    pen.wash(p.wood, shade(p.wood, 0.7), 0.28, 0.6)
    pen.tiles((-1.4, 0.28, 1.4, 0.7), (0.12, 2.0), (0.12, 1.0), shade(p.wood, 0.5))
    posts = [((x, 0.20), (x, 0.34)) for x in (-0.42, 0.46)]
    pen.lines(posts, 0.07, shade(p.wood, 0.6))


def _forest(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    far = mix(p.foliage, p.haze, 0.35)
    pen.ridge(HORIZON + 0.05, 0.38, 0.16, where[1], far)
    _earth(pen, scene, p.ground)
    feet = [(x + 0.1 * (where[k % 4] - 0.5), 0.2 + 0.05 * (k % 2)) for k, x in enumerate(_TREES)]
    pen.lines([((x, y), (x, y - 0.14)) for x, y in feet], 0.05, p.wood)
    for k in (0, 1):
        pen.polygons(
            [
                [(x - wide, y - low), (x + wide, y - low), (x, y - top)]
                for x, y in feet[k::2]
                for low, top, wide in ((0.1, 0.4, 0.17), (0.27, 0.54, 0.13))
            ],
            shade(p.foliage, (0.8, 1.05)[k]),
        )


def _desert(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    pen.ridge(HORIZON + 0.02, 0.1, 0.9, where[1], shade(p.ground, 0.8), round_=True)
    pen.ridge(HORIZON + 0.14, 0.12, 0.7, where[2], p.ground, round_=True)
    _earth(pen, scene, shade(p.ground, 1.12), 0.27)
    green = shade(p.foliage, 0.9)
    for x, size in ((-0.33, 1.0), (0.39, 0.8), (0.9, 0.9), (-0.85, 0.7)):
        cactus = pen.at(x + 0.12 * (where[3] - 0.5), 0.27, size)
        cactus.line((0, 0), (0, -0.44), 0.1, green)
        cactus.lines(_CACTUS_ARMS, 0.07, green)


def _mountain(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    pen.ridge(0.2, 0.42, 0.5, where[1], mix(p.rock, p.haze, 0.45))
    pen.ridge(0.2, 0.56, 0.78, where[2], p.rock)
    pen.ridge(0.2, 0.56, 0.78, where[2], _PALE, keep=0.36)
    _earth(pen, scene, p.ground, 0.2)
    pen.ellipse(0.3 - 0.6 * where[3], 0.30, 0.42, 0.05, p.water)


def _farm(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    pen.ridge(HORIZON + 0.03, 0.1, 1.1, where[1], shade(p.ground, 0.85), round_=True)
    _earth(pen, scene, p.ground)
    for x in (-0.3, 0.95):
        barn = pen.at(x + 0.2 * (where[2] - 0.5), 0.18)
        paint = p.houses[0]
        barn.box(-0.2, -0.26, 0.2, 0.0, paint)
        barn.polygon([(-0.25, -0.25), (-0.14, -0.42), (0.14, -0.42), (0.25, -0.25)], p.houses[1])
        barn.box(-0.08, -0.17, 0.08, 0.0, _PALE)
        cross = [((-0.07, -0.16), (0.07, -0.01)), ((0.07, -0.16), (-0.07, -0.01))]
        barn.lines(cross, 0.02, paint)
    fence = mix(p.wood, _PALE, 0.55)
    for y in (0.19, 0.25):
        pen.box(-1.4, y, 1.4, y + 0.022, fence)
    pen.tiles((-1.4, 0.15, 1.4, 0.31), (0.14, 2.0), (0.24, 1.0), fence)


def _street(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    glass = (1.9, 1.6, 0.9) if scene.time == "night" else shade(p.sky, 0.55)
    fronts = ((-1.3, 0.5), (-0.82, 0.38), (-0.46, 0.62), (-0.14, 0.45), (0.2, 0.56), (0.55, 0.4))
    for k, (left, tall) in enumerate((*fronts, (0.95, 0.6))):
        tall += 0.12 * (where[k % 4] - 0.5)
        wide = 0.5 if k in (0, 1, 6) else 0.36
        pen.box(left, 0.2 - tall, left + wide, 0.2, p.houses[k % 3])
        area = (left + 0.03, 0.23 - tall, left + wide - 0.02, 0.12)
        pen.tiles(area, (0.085, 0.115), (0.55, 0.6), glass)
    pen.wash(p.rock, shade(p.rock, 0.7), 0.2, 0.6)
    pen.box(-1.4, 0.2, 1.4, 0.245, mix(p.rock, _PALE, 0.4))
    pen.tiles((-1.4, 0.36, 1.4, 0.385), (0.26, 1.0), (0.6, 1.0), _PALE)
    lamps = [(-0.4, -0.22), (0.42, -0.22)]
    pen.lines([(lamp, (lamp[0], 0.24)) for lamp in lamps], 0.022, _DARK)
    pen.lit(LIGHT[None]).ellipses(lamps, 0.045, 0.045, _LAMP)


# Indoors


def _kitchen(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    _room(pen, p)
    pen.tiles((-1.4, -0.12, 1.4, 0.06), (0.08, 0.08), (0.86, 0.86), mix(p.wall, _PALE, 0.6))
    _window(pen, p, scene, -0.1 + 0.1 * where[0], -0.26)
    pen.box(-1.4, 0.04, 1.4, 0.08, shade(p.wood, 0.55))
    pen.box(-1.4, 0.08, 1.4, 0.3, p.cloth)
    pen.tiles((-1.4, 0.1, 1.4, 0.29), (0.22, 2.0), (0.08, 1.0), shade(p.cloth, 0.6))
    for x in (0.3, -0.9):
        pen.box(x - 0.14, 0.05, x + 0.14, 0.3, _PALE)
        pen.box(x - 0.1, 0.13, x + 0.1, 0.26, _DARK)
        pen.box(x - 0.09, -0.08, x + 0.09, 0.05, p.metal)
        pen.line((x + 0.09, -0.03), (x + 0.2, -0.05), 0.025, _DARK)
    fridge = pen.at(-0.43, 0.3)
    fridge.box(-0.14, -0.68, 0.14, 0.0, mix(p.metal, _PALE, 0.6))
    fridge.box(-0.14, -0.43, 0.14, -0.415, _DARK)
    fridge.box(0.08, -0.38, 0.105, -0.2, _DARK)


def _classroom(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    _room(pen, p)
    x = 0.16 * (where[1] - 0.5)
    pen.box(x - 0.36, -0.36, x + 0.36, 0.05, p.wood)
    pen.box(x - 0.33, -0.33, x + 0.33, 0.02, p.slate)
    for k, wide in enumerate((0.44, 0.3, 0.5, 0.36)):
        y = -0.27 + 0.07 * k
        pen.tiles((x - 0.28, y, x - 0.28 + wide, y + 0.022), (0.07, 1.0), (0.7, 1.0), _PALE)
    for side in (-0.75, 0.75):
        _window(pen, p, scene, side, -0.2)
    desks = (-0.9, -0.42, 0.42, 0.9)
    legs = [((x + dx, 0.2), (x + dx, 0.34)) for x in desks for dx in (-0.13, 0.13)]
    pen.lines(legs, 0.024, p.metal)
    pen.lines([((x - 0.15, 0.2), (x + 0.15, 0.2)) for x in desks], 0.035, shade(p.wood, 1.2))


def _library(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    pen.wash(shade(p.wood, 0.55), shade(p.wood, 0.55))
    spines = (p.cloth, p.houses[0], p.houses[1], p.houses[2])
    for k, spine in enumerate(spines):
        # Every second book of two shelves, then of the two others, one step on.
        y, x = -0.52 + 0.2 * (k % 2), -1.4 + 0.047 * (k // 2) + 0.03 * where[k]
        pen.tiles((x, y, 1.4, 0.22), (0.093, 0.4), (0.42, 0.38), spine)
    pen.tiles((-1.4, -0.38, 1.4, 0.3), (9.0, 0.2), (1.0, 0.15), p.wood)
    pen.tiles((-1.45, -0.6, 1.4, 0.25), (0.62, 2.0), (0.07, 1.0), p.wood)
    _window(pen, p, scene, 0.22 + 0.1 * where[0], -0.22)
    pen.wash(p.floor, shade(p.floor, 0.7), 0.24, 0.6)


def _theatre(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    pen.wash(shade(p.cloth, 0.35), shade(p.cloth, 0.3))
    pen.polygon([(-0.05, -0.6), (0.05, -0.6), (0.34, 0.32), (-0.34, 0.32)], shade(p.cloth, 0.55))
    pen.wash(p.wood, shade(p.wood, 0.6), 0.24, 0.6)
    pen.ellipse(0, 0.34, 0.42, 0.09, mix(p.wood, _LAMP, 0.5))
    for side in (-1, 1):
        drape = pen.at(0, 0, 1.0, side)
        drape.box(0.3, -0.7, 1.5, 0.3, p.cloth)
        drape.tiles((0.3, -0.7, 1.5, 0.3), (0.075, 2.0), (0.45, 1.0), shade(p.cloth, 0.6))
        drape.box(0.29, 0.27, 1.5, 0.3, (0.9, 0.75, 0.25))
    for first, paint in ((-4, 0.85), (-3, 0.95)):
        swags = [(0.3 * k, -0.5) for k in range(first, 5, 2)]
        pen.ellipses(swags, 0.17, 0.13, shade(p.cloth, paint))


def _bedroom(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    _room(pen, p)
    pen.tiles((-1.4, -0.6, 1.4, 0.2), (0.13, 2.0), (0.4, 1.0), shade(p.wall, 0.86))
    for x in (0.02, 1.15):
        window = pen.at(x + 0.1 * (where[0] - 0.5), -0.24)
        _window(window, p, scene, 0, 0)
        right = [(0.13, -0.24), (0.24, -0.24), (0.26, 0.26), (0.17, 0.26)]
        window.polygons([right, [(-cx, cy) for cx, cy in right]], p.cloth)
    for x in (-0.36, 0.8):
        bed = pen.at(x, 0.32)
        bed.box(-0.28, -0.4, 0.28, -0.1, p.wood)
        bed.ellipses([(-0.12, -0.22), (0.12, -0.22)], 0.12, 0.07, _PALE)
        bed.polygon([(-0.26, -0.19), (0.26, -0.19), (0.31, 0.03), (-0.31, 0.03)], p.houses[0])
        bed.box(-0.28, -0.15, 0.28, -0.11, shade(p.houses[0], 1.4))


def _spaceship(pen: Pen, p: Palette, where: list[float], scene: Scene, t: float) -> None:
    pen.wash(p.metal, shade(p.metal, 0.75), -0.6, 0.2)
    pen.tiles((-1.4, -0.6, 1.4, 0.2), (0.35, 0.4), (0.95, 0.94), shade(p.metal, 1.12))
    shift = 0.1 * (where[0] - 0.5)
    ports = [(0.43 * k + shift, -0.2) for k in range(-2, 3)]
    pen.ellipses(ports, 0.185, 0.185, shade(p.metal, 0.5))
    pen.ellipses(ports, 0.145, 0.145, (0.03, 0.03, 0.10))
    stars = [(x + dx, y + dy) for x, y in ports for dx, dy in ((0.05, -0.05), (-0.07, 0.04))]
    pen.ellipses(stars, 0.02, 0.02, _PALE)
    pen.ellipse(0.43 + shift, -0.16, 0.085, 0.085, p.houses[0])
    pen.polygon([(-1.4, 0.08), (1.4, 0.08), (1.4, 0.24), (-1.4, 0.24)], p.slate)
    blink = 0.065 * (int(2 * t) % 2)
    pen.tiles((-1.4 + blink, 0.11, 1.4, 0.15), (0.13, 1.0), (0.4, 1.0), (0.95, 0.35, 0.25))
    pen.tiles((-1.35, 0.17, 1.4, 0.21), (0.13, 1.0), (0.5, 1.0), (0.3, 0.9, 0.85))
    pen.wash(shade(p.metal, 0.6), shade(p.metal, 0.4), 0.24, 0.6)
    pen.tiles((-1.4, 0.24, 1.4, 0.7), (0.2, 0.09), (1.0, 0.12), shade(p.metal, 0.3))


_TREES = (-0.72, -0.42, -0.13, 0.24, 0.53, 0.86)
_CACTUS_ARMS = (
    *(((0.0, -0.16), (0.14, -0.18)), ((0.14, -0.18), (0.14, -0.34))),
    *(((0.0, -0.22), (-0.14, -0.25)), ((-0.14, -0.25), (-0.14, -0.38))),
)

PAINTERS: dict[str, Paint] = {
    "harbour": _harbour,
    "forest": _forest,
    "desert": _desert,
    "mountain": _mountain,
    "farm": _farm,
    "street": _street,
    "kitchen": _kitchen,
    "classroom": _classroom,
    "library": _library,
    "theatre": _theatre,
    "bedroom": _bedroom,
    "spaceship": _spaceship,
}
