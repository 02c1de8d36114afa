"""Anti-aliased shapes on a small canvas, in numpy.

A shape's signed distance to its edge, in pixels, gives each pixel's coverage (0..1), and only the
pixels inside the shape's box are changed: some 20 us a shape at 64x64, mostly numpy's cost per
call, which shapes painted together share. The planes are [3 h w] so that numpy's inner loops run
along rows. Arrays meet only + - * / and square roots, which round equally on every machine.

Colors are red, green and blue in 0..1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, hypot

import numpy as np

RGB = tuple[float, float, float]


def shade(color: RGB, factor: float) -> RGB:
    """Darken (factor < 1) or lighten a color."""
    r, g, b = color
    return (min(1.0, r * factor), min(1.0, g * factor), min(1.0, b * factor))


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """Mix `share` of b into a."""
    return tuple(x + share * (y - x) for x, y in zip(a, b, strict=True))


Point = tuple[float, float]
Area = tuple[float, float, float, float]


class Canvas:
    """An image being painted: float32 planes [3 h w], 0..1."""

    def __init__(self, height: int, width: int):
        self.height, self.width = height, width
        self.planes = np.zeros((3, height, width), np.float32)
        self.columns = np.arange(width, dtype=np.float32) + 0.5
        self.rows = (np.arange(height, dtype=np.float32) + 0.5)[:, None]


@dataclass(frozen=True, slots=True)
class Pen:
    """A painter on a canvas in local units: x to the right, y down.

    Attributes:
      x0, y0: the local origin in pixels.
      unit: pixels of one local unit.
      mirror: -1 flips x.
      light: factor of every color.
    """

    canvas: Canvas
    x0: float
    y0: float
    unit: float
    mirror: int = 1
    light: RGB = (1.0, 1.0, 1.0)

    def at(self, x: float, y: float, scale: float = 1.0, mirror: int = 1) -> "Pen":
        """Return a pen whose origin is at (x, y) of this one."""
        px, py = self._point((x, y))
        return Pen(self.canvas, px, py, self.unit * scale, self.mirror * mirror, self.light)

    def lit(self, light: RGB) -> "Pen":
        """Return a pen with another light."""
        return replace(self, light=light)

    # Shapes

    def wash(self, top: RGB, bottom: RGB, y0: float = -9.0, y1: float = 9.0) -> None:
        """Fill everything from y0 down; the color runs from `top` at y0 to `bottom` at y1."""
        top_px, length = self.y0 + y0 * self.unit, (y1 - y0) * self.unit
        first = min(self.canvas.height, max(0, floor(top_px)))
        share = _clip((self.canvas.rows[first:] - top_px) / length)
        planes = self.canvas.planes[:, first:]
        bare = planes[:, :1] * max(0.0, top_px - first)  # the rest of a partly covered row
        planes[...] = self._paint(top) * (1 - share) + self._paint(bottom) * share
        planes[:, :1] *= 1.0 - max(0.0, top_px - first)
        planes[:, :1] += bare

    def tint(self, color: RGB, alpha: float) -> None:
        """Mix the whole image with a color."""
        planes = self.canvas.planes
        planes += alpha * (self._paint(color) - planes)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, color: RGB, alpha: float = 1.0
    ) -> None:
        """Paint a filled ellipse; its edge distance is exact along the shorter axis."""
        self.ellipses([(x, y)], rx, ry, color, alpha)

    def ellipses(
        self, centers: Sequence[Point], rx: float, ry: float, color: RGB, alpha: float = 1.0
    ) -> None:
        """Paint equal ellipses together, for little more than the cost of one."""
        points = [self._point(center) for center in centers]
        rx, ry = rx * self.unit, ry * self.unit
        box = self._box_around(points, rx, ry)
        if box:
            (xs, ys), (cx, cy) = self._pixels(box), _stacked(points)
            short = min(rx, ry)
            dx, dy = (xs - cx) * (short / rx), (ys - cy) * (short / ry)
            self._blend(box, short - np.sqrt(dx * dx + dy * dy), color, alpha)

    def ring(self, x: float, y: float, radius: float, width: float, color: RGB) -> None:
        """Paint the line of a circle."""
        cx, cy = self._point((x, y))
        r, half = radius * self.unit, max(0.4, 0.5 * width * self.unit)
        box = self._box(cx - r - half, cy - r - half, cx + r + half, cy + r + half)
        if box:
            xs, ys = self._pixels(box)
            dx, dy = xs - cx, ys - cy
            self._blend(box, half - abs(np.sqrt(dx * dx + dy * dy) - r), color)

    def glow(self, x: float, y: float, radius: float, color: RGB, alpha: float) -> None:
        """Paint light that fades to nothing at `radius`."""
        cx, cy = self._point((x, y))
        r = radius * self.unit
        box = self._box(cx - r, cy - r, cx + r, cy + r)
        if box:
            xs, ys = self._pixels(box)
            dx, dy = (xs - cx) / r, (ys - cy) / r
            share = np.maximum(1.0 - dx * dx - dy * dy, 0.0)
            self._lay(box, share * share, color, alpha)

    def line(self, a: Point, b: Point, width: float, color: RGB) -> None:
        """Paint a stroke with round ends, never thinner than 0.8 pixels."""
        self.lines([(a, b)], width, color)

    def lines(self, strokes: Sequence[tuple[Point, Point]], width: float, color: RGB) -> None:
        """Paint strokes of one width and color together."""
        ends = [(self._point(a), self._point(b)) for a, b in strokes]
        half = max(0.4, 0.5 * width * self.unit)
        box = self._box_around([point for pair in ends for point in pair], half, half)
        if box:
            (xs, ys), (mx, my, ux, uy, reach) = self._pixels(box), _stacked(map(_stroke, ends))
            dx, dy = xs - mx, ys - my
            beyond = np.maximum(abs(dx * ux + dy * uy) - reach, 0.0)
            across = dx * uy - dy * ux
            self._blend(box, half - np.sqrt(beyond * beyond + across * across), color)

    def box(self, left: float, top: float, right: float, bottom: float, color: RGB) -> None:
        """Paint an upright rectangle."""
        x0, y0, x1, y1 = self._corners((left, top, right, bottom))
        box = self._box(x0, y0, x1, y1)
        if box:
            xs, ys = self._pixels(box)
            across, down = _within(xs, x0, x1), _within(ys, y0, y1)
            self._lay(box, across * down, color)

    def polygon(self, corners: Sequence[Point], color: RGB) -> None:
        """Paint a filled convex polygon, its corners in either order around it."""
        self.polygons([corners], color)

    def polygons(self, shapes: Sequence[Sequence[Point]], color: RGB) -> None:
        """Paint convex polygons of one color and number of corners together."""
        shapes = [[self._point(corner) for corner in corners] for corners in shapes]
        box = self._box_around([point for corners in shapes for point in corners], 0.0, 0.0)
        if box:
            xs, ys = self._pixels(box)
            edges = np.array([_inward_edges(corners) for corners in shapes], np.float32)
            a, b, c = np.moveaxis(edges, -1, 0)[..., None, None]  # each [shapes edges 1 1]
            self._blend(box, ((a * xs + c) + b * ys).min(axis=1), color)

    def tiles(
        self,
        area: Area,
        period: Point,
        share: Point,
        color: RGB,
    ) -> None:
        """Paint a grid of rectangles: windows, books, planks.

        Args:
          area: left, top, right, bottom.
          period: spacing along x and y.
          share: filled part of the spacing along x and y; 1 makes stripes.
          color: of the rectangles.
        """
        x0, y0, x1, y1 = self._corners(area)
        box = self._box(x0, y0, x1, y1)
        if box:
            xs, ys = self._pixels(box)
            across = _comb(xs, x0, x1, period[0] * self.unit, share[0])
            down = _comb(ys, y0, y1, period[1] * self.unit, share[1])
            self._lay(box, across * down, color)

    def ridge(
        self,
        y: float,
        height: float,
        period: float,
        phase: float,
        color: RGB,
        *,
        round_: bool = False,
        keep: float = 1.0,
    ) -> None:
        """Paint a row of equal peaks, filled down to the frame's end.

        Args:
          y: foot of the peaks.
          height: of the peaks above y.
          period: spacing of the peaks.
          phase: of the first peak, in periods.
          color: of the peaks.
          round_: dunes and crowns; else pointed mountains and firs.
          keep: upper part of each peak that is painted, such as snow caps.
        """
        top, base = self.y0 + (y - height) * self.unit, self.y0 + y * self.unit
        low = self.canvas.height + 1.0 if keep == 1.0 else top + keep * (base - top)
        box = self._box(0.0, top, float(self.canvas.width), low)
        if box:
            xs, ys = self._pixels(box)
            turns = (xs - self.x0) / (period * self.unit) + phase
            fall = abs(turns - np.floor(turns) - 0.5) * 2.0  # 0 at a peak, 1 in a valley
            steep = 2.0 * (base - top) / (period * self.unit)
            edge = top + (base - top) * (fall * fall if round_ else fall)
            inside = (ys - edge) / hypot(1.0, steep * (1.0 if not round_ else 0.8))
            self._blend(box, np.minimum(inside, low - ys), color)

    # From local units to pixels

    def _point(self, point: Point) -> Point:
        x, y = point
        return self.x0 + self.mirror * x * self.unit, self.y0 + y * self.unit

    def _corners(self, area: Area) -> Area:
        left, top, right, bottom = area
        (x0, y0), (x1, y1) = self._point((left, top)), self._point((right, bottom))
        return min(x0, x1), y0, max(x0, x1), y1

    def _box(self, left: float, top: float, right: float, bottom: float):
        """Return the covered pixels as (rows, columns) slices; None if they lie outside."""
        x0, x1 = max(0, floor(left - 0.5)), min(self.canvas.width, ceil(right + 0.5))
        y0, y1 = max(0, floor(top - 0.5)), min(self.canvas.height, ceil(bottom + 0.5))
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None

    def _box_around(self, points: Sequence[Point], dx: float, dy: float):
        xs, ys = [x for x, _ in points], [y for _, y in points]
        return self._box(min(xs) - dx, min(ys) - dy, max(xs) + dx, max(ys) + dy)

    def _pixels(self, box: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        return self.canvas.columns[box[1]], self.canvas.rows[box[0]]

    def _paint(self, color: RGB) -> np.ndarray:
        (r, g, b), (x, y, z) = color, self.light
        return np.array((r * x, g * y, b * z), np.float32).reshape(3, 1, 1)

    def _blend(
        self, box: tuple[slice, slice], inside: np.ndarray, color: RGB, alpha: float = 1.0
    ) -> None:
        """Paint over the box.

        Args:
          box: rows and columns.
          inside: distance to the edge in pixels, positive inside: [h w], or [n h w] for the union
            of n shapes.
          color: of the shape.
          alpha: of the shape.
        """
        if inside.ndim == 3:
            inside = inside.max(axis=0)
        self._lay(box, _clip(inside + 0.5), color, alpha)

    def _lay(
        self, box: tuple[slice, slice], coverage: np.ndarray, color: RGB, alpha: float = 1.0
    ) -> None:
        if alpha != 1.0:
            coverage *= alpha
        region = self.canvas.planes[:, box[0], box[1]]
        change = self._paint(color) - region
        change *= coverage
        region += change


def _clip(x: np.ndarray) -> np.ndarray:
    """Clip into 0..1, in place."""
    return np.minimum(np.maximum(x, 0.0, out=x), 1.0, out=x)


def _within(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the coverage of the span [low, high]."""
    return _clip(0.5 * (high - low + 1.0) - abs(x - 0.5 * (low + high)))


def _comb(x: np.ndarray, low: float, high: float, period: float, share: float) -> np.ndarray:
    """Return the coverage of teeth of width share * period within [low, high]."""
    span = _within(x, low, high)
    if share >= 1.0:
        return span
    turns = (x - low) / period
    tooth = 0.5 * period * share + 0.5 - period * abs(turns - np.floor(turns) - 0.5)
    return np.minimum(span, _clip(tooth))


def _stacked(rows: Iterable[tuple[float, ...]]) -> Sequence:
    """Return the columns of the rows: numbers for one row, arrays [n 1 1] for more."""
    rows = list(rows)
    if len(rows) == 1:
        return rows[0]
    return np.array(rows, np.float32).T[:, :, None, None]


def _stroke(ends: tuple[Point, Point]) -> tuple[float, ...]:
    """Return a stroke's middle (x, y), unit direction (x, y) and half length."""
    (ax, ay), (bx, by) = ends
    length = max(hypot(bx - ax, by - ay), 1e-6)
    return (ax + bx) / 2, (ay + by) / 2, (bx - ax) / length, (by - ay) / length, length / 2


def _inward_edges(points: list[Point]) -> list[tuple[float, float, float]]:
    """Return lines (a, b, c) with a x + b y + c = distance, positive inside."""
    pairs = list(zip(points, points[1:] + points[:1], strict=True))
    turn = 1.0 if sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs) > 0 else -1.0
    edges = []
    for (ax, ay), (bx, by) in pairs:
        length = turn * max(hypot(bx - ax, by - ay), 1e-6)
        a, b = (ay - by) / length, (bx - ax) / length
        edges.append((a, b, -a * ax - b * ay))
    return edges
