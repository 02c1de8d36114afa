"""The world: the vocabulary of all films, and the palette, cast and places of one.

A film is a pure function of (seed, split, number). Films differ in light and color on purpose:
a place is recognized by its shapes, not by its colors.

In themed films, those of THEMED_SPLITS, meaning is not the palette: a genre has no look, each film
has a grade and a pace of its own, and a genre tells of two themes, each shared with another genre.
A theme is two places that do not look similar, and what people do there.
"""

import colorsys
import functools
from dataclasses import dataclass, replace

from vujax.data.synthetic.canvas import RGB
from vujax.data.synthetic.random import Dice

KINDS = (
    *("cat", "rabbit", "bear", "robot", "wizard"),
    *("chef", "knight", "astronaut", "clown", "king"),
)
EVENTS = (
    *("balloon", "bicycle", "book", "umbrella", "guitar"),
    *("flag", "juggling", "lantern", "telescope", "gift"),
)
OUTDOORS = ("harbour", "forest", "desert", "mountain", "farm", "street")
INDOORS = ("kitchen", "classroom", "library", "theatre", "bedroom", "spaceship")
PLACES = OUTDOORS + INDOORS
# Rooms without a view of the sky, and so without a time of day.
WINDOWLESS = ("theatre", "spaceship")
TIMES = ("day", "sunset", "night")
WEATHERS = ("clear", "rain", "snow", "fog")
FRAMINGS = ("wide", "medium", "close")
THEMED_SPLITS = ("themed-train", "themed-validation")
THEMES: dict[str, tuple[str, ...]] = {  # places and events of each
    "voyage": ("harbour", "spaceship", "telescope", "flag", "lantern"),
    "home": ("farm", "bedroom", "book", "lantern", "gift"),
    "show": ("street", "theatre", "juggling", "guitar", "balloon"),
    "study": ("mountain", "library", "book", "telescope", "umbrella"),
    "feast": ("forest", "kitchen", "gift", "balloon", "guitar"),
    "lesson": ("desert", "classroom", "flag", "bicycle", "juggling"),
}
THEME_BY_PLACE = {name: theme for theme, words in THEMES.items() for name in words[:2]}

COATS: dict[str, RGB] = {
    "red": (0.82, 0.12, 0.12),
    "orange": (0.96, 0.52, 0.08),
    "yellow": (0.97, 0.86, 0.16),
    "green": (0.14, 0.58, 0.22),
    "blue": (0.14, 0.32, 0.85),
    "purple": (0.50, 0.16, 0.66),
    "white": (0.95, 0.95, 0.93),
    "black": (0.10, 0.10, 0.12),
}
COLORS = tuple(COATS)


@dataclass(frozen=True)
class Genre:
    """The look and pace of a film.

    Attributes:
      name: such as 'noir'.
      saturation: factor of chroma.
      gain: factor of each channel.
      lift: raises the blacks.
      grain: standard deviation of the film grain (0..1 scale).
      pace_s: mean length of a shot.
    """

    name: str
    saturation: float
    gain: RGB
    lift: float
    grain: float
    pace_s: float


GENRES = (
    Genre("comedy", 1.15, (1.06, 1.02, 0.95), 0.03, 0.006, 3.5),
    Genre("noir", 0.55, (0.94, 0.97, 1.02), 0.00, 0.022, 5.0),
    Genre("western", 0.90, (1.08, 0.99, 0.82), 0.04, 0.016, 6.0),
    Genre("science fiction", 1.05, (0.94, 1.02, 1.10), 0.02, 0.006, 3.0),
    Genre("fairy tale", 1.00, (1.04, 1.00, 1.05), 0.08, 0.008, 4.5),
    Genre("thriller", 0.85, (0.94, 1.05, 0.94), 0.00, 0.014, 2.2),
)


@dataclass(frozen=True)
class Character:
    """A recurring figure: its kind, the color of its coat, its fur or skin, its build."""

    kind: str
    color: str
    coat: RGB
    skin: RGB
    height: float  # of 1


@dataclass(frozen=True)
class Palette:
    """The colors of a film's art department; any place takes its paint from here."""

    sky: RGB
    haze: RGB
    ground: RGB
    foliage: RGB
    water: RGB
    rock: RGB
    wall: RGB
    floor: RGB
    wood: RGB
    metal: RGB
    cloth: RGB
    slate: RGB
    houses: tuple[RGB, RGB, RGB]


@dataclass(frozen=True)
class Film:
    """One film of a split: all that stays the same from its first shot to its last.

    Attributes:
      exposure: factor of each channel: the film's light, exposure and print.
      themes: of most of its scenes, in themed films.
    """

    seed: int
    split: str
    number: int
    genre: Genre
    exposure: RGB
    palette: Palette
    cast: tuple[Character, ...]
    places: tuple[str, ...]
    themes: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int, str, int]:
        """The key from which every draw inside this film starts."""
        return ("film", self.seed, self.split, self.number)


@functools.lru_cache(maxsize=4096)
def make_film(seed: int, split: str, number: int) -> Film:
    """Make film `number` of a split, with four figures of four kinds and five places."""
    dice = Dice(("film", seed, split, number))
    genre = dice.pick(GENRES)
    light = dice.uniform(0.88, 1.15)
    exposure = tuple(light * dice.uniform(0.88, 1.08) for _ in range(3))
    palette = _palette(dice)
    cast = tuple(_character(dice, kind) for kind in dice.sample(KINDS, 4))
    places = tuple(dice.sample(PLACES, 5))
    film = Film(seed, split, number, genre, exposure, palette, cast, places)
    return _give_themes(film, dice) if split in THEMED_SPLITS else film


def _give_themes(film: Film, dice: Dice) -> Film:
    """Replace the look of the film's genre by one of its own, and its places by its themes'."""
    first = GENRES.index(film.genre)
    names = list(THEMES)
    themes = (names[first % len(names)], names[(first + 1) % len(names)])
    look = replace(
        film.genre,
        saturation=dice.uniform(0.4, 1.3),
        gain=(dice.uniform(0.8, 1.1), dice.uniform(0.8, 1.1), dice.uniform(0.8, 1.1)),
        lift=dice.uniform(0.0, 0.1),
        grain=dice.uniform(0.004, 0.022),
        pace_s=dice.uniform(4.0, 6.0),
    )
    return replace(film, genre=look, themes=themes, places=PLACES)


def _character(dice: Dice, kind: str) -> Character:
    color = dice.pick(COLORS)
    coat = tuple(min(1.0, max(0.0, c + dice.uniform(-0.06, 0.06))) for c in COATS[color])
    skin = dice.pick(_FURS if kind in ("cat", "rabbit", "bear") else _SKINS)
    return Character(kind, color, coat, skin, dice.uniform(0.9, 1.1))


def _palette(dice: Dice) -> Palette:
    def paint(hue: tuple[float, float], saturation: tuple[float, float], value) -> RGB:
        h, s, v = (dice.uniform_in(bounds) for bounds in (hue, saturation, value))
        return colorsys.hsv_to_rgb(h % 1.0, s, v)

    anything = (0.0, 1.0)
    return Palette(
        sky=paint(anything, (0.1, 0.55), (0.7, 0.98)),
        haze=paint(anything, (0.05, 0.3), (0.7, 0.98)),
        ground=paint(anything, (0.15, 0.55), (0.35, 0.85)),
        foliage=paint((0.0, 0.55), (0.3, 0.75), (0.25, 0.7)),
        water=paint((0.4, 0.8), (0.2, 0.7), (0.3, 0.8)),
        rock=paint(anything, (0.03, 0.3), (0.25, 0.7)),
        wall=paint(anything, (0.1, 0.55), (0.35, 0.95)),
        floor=paint(anything, (0.1, 0.55), (0.25, 0.8)),
        wood=paint(anything, (0.15, 0.6), (0.25, 0.75)),
        metal=paint(anything, (0.03, 0.3), (0.35, 0.85)),
        cloth=paint(anything, (0.3, 0.8), (0.3, 0.85)),
        slate=paint(anything, (0.2, 0.7), (0.08, 0.35)),
        houses=tuple(paint(anything, (0.1, 0.6), (0.3, 0.9)) for _ in range(3)),
    )


_FURS: tuple[RGB, ...] = (
    *((0.45, 0.32, 0.22), (0.72, 0.70, 0.68), (0.86, 0.72, 0.52)),
    *((0.35, 0.34, 0.36), (0.80, 0.52, 0.30), (0.94, 0.92, 0.88)),
)
_SKINS: tuple[RGB, ...] = (
    *((0.96, 0.80, 0.68), (0.88, 0.68, 0.52), (0.70, 0.48, 0.34)),
    *((0.52, 0.34, 0.24), (0.36, 0.23, 0.17)),
)
