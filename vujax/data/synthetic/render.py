"""Rendering: one frame of a shot at a time, for any image size.

The camera is a point of aim and a zoom. The set is far behind the figures, so it moves and grows
less than they do (parallax). Then come weather, the genre's grade and the film's grain.
"""

import functools
from dataclasses import dataclass
from math import sin

import numpy as np

from vujax.data.synthetic.canvas import RGB, Canvas, Pen, mix
from vujax.data.synthetic.figures import draw_arms, draw_body, draw_head
from vujax.data.synthetic.places import LIGHT, MOVING, draw_place
from vujax.data.synthetic.props import EVENTS
from vujax.data.synthetic.random import Dice
from vujax.data.synthetic.script import Shot
from vujax.data.synthetic.world import COATS, Character, Film

GROUND_Y = 0.44  # of the feet, in stage units (frame heights below the center)
FIGURE_HEIGHT = 0.60  # of a figure
SET_DEPTH = 0.35  # share of the camera's zoom and travel that the set follows
# Zoom, and the height on the figure (in figure heights) that the camera aims at.
LENSES = {"wide": (1.0, 0.73), "medium": (1.25, 0.61), "close": (1.85, 0.65)}


# The color of fog by time of day.
FOG: dict[str | None, RGB] = {
    "day": (0.86, 0.87, 0.88),
    "sunset": (0.90, 0.84, 0.82),
    "night": (0.60, 0.65, 0.80),
}


@dataclass(frozen=True)
class Precipitation:
    """Rain or snow.

    A drop has a cell of `cell` frame heights, `length` times as high as wide, and fills `half` of
    it to each side; it moves `speed` frame heights a second, `slant` to the side for each down.
    """

    cell: float
    length: float
    half: tuple[float, float]
    speed: float
    slant: float
    strength: float


PRECIPITATION = {
    "rain": Precipitation(0.11, 2.2, (0.10, 0.32), speed=1.9, slant=0.25, strength=0.75),
    "snow": Precipitation(0.13, 1.0, (0.17, 0.17), speed=0.22, slant=0.10, strength=1.8),
}


@dataclass(frozen=True)
class Camera:
    """Aim (stage units) and zoom."""

    x: float
    y: float
    zoom: float

    def pen(self, canvas: Canvas, depth: float = 1.0) -> Pen:
        """Return a pen from stage units to pixels for a layer.

        Depth 1 is the figures' layer; a layer of depth 0 would never move.
        """
        unit = canvas.height * (1 + depth * (self.zoom - 1))
        x0 = 0.5 * canvas.width - depth * self.x * unit
        y0 = 0.5 * canvas.height - depth * self.y * unit
        return Pen(canvas, x0, y0, unit)


class Take:
    """The frames of a shot; a still set before a still camera is drawn once."""

    def __init__(self, shot: Shot, height: int, width: int):
        self._shot, self._height, self._width = shot, height, width
        self._clock_s = Dice((*shot.key, "clock")).uniform(0, 10)
        self._set: tuple[Camera, np.ndarray] | None = None

    def frame(self, time_s: float) -> np.ndarray:
        """Draw the frame `time_s` seconds after the shot's start, uint8 [height width 3].

        A function of the time alone, whatever was drawn before.
        """
        shot, scene = self._shot, self._shot.scene
        canvas = Canvas(self._height, self._width)
        camera = _camera(shot, time_s)
        clock = time_s + self._clock_s
        self._draw_set(canvas, camera, clock)
        stage = camera.pen(canvas).lit(mix(LIGHT[None], LIGHT[scene.time], 0.55))
        if shot.companion:
            behind = stage.at(-0.33 * shot.side, GROUND_Y - 0.05, 0.75 * FIGURE_HEIGHT, shot.side)
            _draw_standing(behind, shot.companion.character)
        _draw_lead(stage.at(0, GROUND_Y, FIGURE_HEIGHT, shot.side), shot, clock)
        if scene.weather in PRECIPITATION:
            _draw_fall(canvas, PRECIPITATION[scene.weather], clock)
        return _develop(canvas, scene.film, Dice((*shot.key, round(1000 * time_s))))

    def _draw_set(self, canvas: Canvas, camera: Camera, clock: float) -> None:
        scene = self._shot.scene
        if self._set and self._set[0] == camera and scene.place not in MOVING:
            canvas.planes[...] = self._set[1]
            return
        draw_place(camera.pen(canvas, SET_DEPTH), scene, clock)
        if scene.weather == "fog":
            camera.pen(canvas).tint(FOG[scene.time], 0.55)
        self._set = (camera, canvas.planes.copy())


def render_frame(shot: Shot, time_s: float, height: int, width: int) -> np.ndarray:
    """Draw the frame of `shot` at `time_s` seconds, uint8 [height width 3]."""
    return Take(shot, height, width).frame(time_s)


def _camera(shot: Shot, time_s: float) -> Camera:
    zoom, aim = LENSES[shot.framing]
    done = min(1.0, max(0.0, time_s / shot.length_s))
    x, y = shot.drift[0] / zoom, GROUND_Y - aim * FIGURE_HEIGHT + shot.drift[1] / zoom
    if shot.move == "pan":
        x += shot.travel * (done - 0.5) / zoom
    if shot.move == "push in":
        zoom *= 1.0 + 0.12 * done
    # Props are held in front: leave room there.
    return Camera(x + 0.05 * shot.side, y, zoom)


def _draw_lead(pen: Pen, shot: Shot, clock: float) -> None:
    who, event = shot.lead.character, EVENTS[shot.lead.event]
    # A prop keeps its color for the whole scene.
    colors = [rgb for name, rgb in COATS.items() if name not in (who.color, "black")]
    color = Dice((*shot.scene.key, shot.lead.event)).pick(colors)
    pen.ellipse(0, 0, 0.34, 0.05, (0.08, 0.08, 0.10), 0.45)
    body = pen.at(0, -event.lift - 0.012 * abs(sin(4 * clock)), who.height)
    event.behind(body, color, clock)
    draw_body(body, who, sin(4 * clock) if event.walks else 0.0)
    draw_head(body, who)
    event.before(body, color, clock)
    draw_arms(body, who, event.hands)


def _draw_standing(pen: Pen, who: Character) -> None:
    pen.ellipse(0, 0, 0.3, 0.045, (0.08, 0.08, 0.10), 0.45)
    body = pen.at(0, 0, who.height)
    draw_body(body, who)
    draw_arms(body, who, ((-0.24, -0.24), (0.24, -0.24)))
    draw_head(body, who)


def _draw_fall(canvas: Canvas, fall: Precipitation, clock: float) -> None:
    """Draw one drop or flake in each cell of a falling grid."""
    unit = 1.0 / (fall.cell * canvas.height)
    x = (canvas.columns - 0.5 * canvas.width + fall.slant * canvas.rows) * unit
    column = np.floor(x)
    # Every column falls by its own offset, so that no rows are visible.
    y = canvas.rows * (unit / fall.length) + column * 0.618 - fall.speed * clock / fall.cell
    dx = (x - column - 0.5) / fall.half[0]
    dy = (y - np.floor(y) - 0.5) / fall.half[1]
    share = np.minimum(np.maximum(1.0 - dx * dx - dy * dy, 0.0) * fall.strength, 0.95)
    canvas.planes += share * (np.float32(0.93) - canvas.planes)


def _develop(canvas: Canvas, film: Film, dice: Dice) -> np.ndarray:
    """Apply grade, grain and rounding: planes [3 h w] to uint8 [h w 3]."""
    planes, genre = canvas.planes, film.genre
    gray = 0.30 * planes[0] + 0.59 * planes[1] + 0.11 * planes[2]
    gain = [(1 - genre.lift) * a * b for a, b in zip(genre.gain, film.exposure, strict=True)]
    # In place: an image fits a core's cache, a few copies of it do not.
    planes -= gray
    planes *= genre.saturation
    planes += gray
    planes *= np.array(gain, np.float32)[:, None, None]
    planes += genre.lift + genre.grain * _grain(canvas, dice)
    np.minimum(np.maximum(planes, 0.0, out=planes), 1.0, out=planes)
    planes *= 255.0
    planes += 0.5
    return np.ascontiguousarray(planes.astype(np.uint8).transpose(1, 2, 0))


def _grain(canvas: Canvas, dice: Dice) -> np.ndarray:
    """Return noise of mean 0 and standard deviation 1, [h w]: a window of a field."""
    field = _grain_field(2 * canvas.height, 2 * canvas.width)
    y, x = dice.below(canvas.height), dice.below(canvas.width)
    return field[y : y + canvas.height, x : x + canvas.width]


@functools.lru_cache(maxsize=8)
def _grain_field(height: int, width: int) -> np.ndarray:
    """Return a fixed field of noise.

    Sums of the four 16-bit words of PCG64's raw output: near enough to normal, and portable.
    """
    raw = np.random.PCG64(0).random_raw(height * width)
    words = [(raw >> np.uint64(16 * k)) & np.uint64(0xFFFF) for k in range(4)]
    total = sum(word.astype(np.float32) for word in words) / np.float32(65536)
    return ((total - 2.0) * np.float32(3.0**0.5)).reshape(height, width)
