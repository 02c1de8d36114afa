"""Anti-aliasing: the painted mass of a shape equals its exact area."""

from math import pi

import numpy as np
import pytest

from vujax.data.synthetic.canvas import Canvas, Pen

WHITE = (1.0, 1.0, 1.0)


def _pen(size: int = 80) -> Pen:
    return Pen(Canvas(size, size), size / 2, size / 2, size)


def _area(pen: Pen) -> float:
    """Painted mass in local units squared."""
    return float(pen.canvas.planes[0].sum()) / pen.unit**2


def _ellipse(pen: Pen) -> float:
    pen.ellipse(0.03, -0.02, 0.3, 0.2, WHITE)
    return pi * 0.3 * 0.2


def _box(pen: Pen) -> float:
    pen.box(-0.213, -0.1, 0.3, 0.2, WHITE)
    return 0.513 * 0.3


def _line(pen: Pen) -> float:
    pen.line((-0.2, -0.1), (0.2, 0.2), 0.1, WHITE)
    return 0.5 * 0.1 + pi * 0.05**2


def _ring(pen: Pen) -> float:
    pen.ring(0.0, 0.0, 0.3, 0.1, WHITE)
    return 2 * pi * 0.3 * 0.1


def _triangle(pen: Pen) -> float:
    pen.polygon([(-0.3, 0.2), (0.3, 0.2), (0.1, -0.3)], WHITE)
    return 0.5 * 0.6 * 0.5


def _tiles(pen: Pen) -> float:
    pen.tiles((-0.4, -0.4, 0.4, 0.4), (0.2, 0.1), (0.5, 0.4), WHITE)
    return 0.8 * 0.5 * 0.8 * 0.4


def _ridge(pen: Pen) -> float:
    pen.ridge(0.2, 0.4, 0.25, 0.0, WHITE)
    return 1.0 * (0.4 / 2 + 0.3)


@pytest.mark.parametrize("draw", [_ellipse, _box, _line, _ring, _triangle, _tiles, _ridge])
def test_painted_mass_is_the_area(draw):
    pen = _pen()
    area = draw(pen)
    assert _area(pen) == pytest.approx(area, rel=0.04)
    assert pen.canvas.planes.min() >= 0.0 and pen.canvas.planes.max() <= 1.0


@pytest.mark.parametrize("y0", [-0.3, 0.1049, 0.2])
def test_a_wash_starts_between_pixels(y0: float):
    pen = _pen()
    pen.wash(WHITE, WHITE, y0)
    assert _area(pen) == pytest.approx(0.5 - y0, rel=1e-4)


def test_shapes_at_once_equal_shapes_apart():
    together, apart = _pen(), _pen()
    centres = [(-0.3, 0.0), (0.3, 0.1)]
    strokes = [((-0.3, -0.4), (0.0, -0.3)), ((0.1, -0.4), (0.4, -0.4))]
    corners = [[(x, 0.4), (x + 0.1, 0.4), (x + 0.05, 0.3)] for x in (-0.3, 0.2)]
    together.ellipses(centres, 0.1, 0.05, WHITE)
    together.lines(strokes, 0.04, WHITE)
    together.polygons(corners, WHITE)
    for k in (0, 1):
        apart.ellipse(*centres[k], 0.1, 0.05, WHITE)
        apart.line(*strokes[k], 0.04, WHITE)
        apart.polygon(corners[k], WHITE)
    np.testing.assert_allclose(together.canvas.planes, apart.canvas.planes, atol=1e-5)


def test_a_mirrored_pen_paints_the_mirror_image():
    pen, mirrored = _pen(), _pen().at(0.0, 0.0, mirror=-1)
    for p in (pen, mirrored):
        p.polygon([(-0.3, 0.2), (0.3, 0.2), (0.1, -0.3)], WHITE)
        p.box(0.2, 0.3, 0.4, 0.4, WHITE)
    np.testing.assert_allclose(pen.canvas.planes[:, :, ::-1], mirrored.canvas.planes, atol=1e-4)


def test_light_multiplies_and_outside_is_harmless():
    pen = _pen().lit((0.5, 0.25, 0.0))
    pen.box(-0.2, -0.2, 0.2, 0.2, WHITE)
    np.testing.assert_allclose(pen.canvas.planes[:, 40, 40], [0.5, 0.25, 0.0])
    before = pen.canvas.planes.copy()
    pen.ellipse(3.0, 0.0, 0.1, 0.1, WHITE)
    pen.line((0.0, 2.0), (1.0, 2.0), 0.1, WHITE)
    np.testing.assert_array_equal(before, pen.canvas.planes)
