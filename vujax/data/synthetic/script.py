"""The script: scenes and their shots, as pure functions of the film.

A scene is a place at a time of day where one or two of the cast each do one thing. Its shots
look at one of them at a time (shot / reverse-shot), wide, medium or close, and the camera may
pan or push in. Nothing is drawn here.
"""

from dataclasses import dataclass

from vujax.data.synthetic.random import Dice
from vujax.data.synthetic.world import (
    EVENTS,
    FRAMINGS,
    OUTDOORS,
    THEME_BY_PLACE,
    THEMES,
    TIMES,
    WEATHERS,
    WINDOWLESS,
    Character,
    Film,
)

# Events that a close-up would cut away: the director never chooses one.
NEVER_CLOSE = ("bicycle", "flag", "juggling")
MOVES = ("still", "still", "pan", "push in")
THEME_PROBABILITY = 0.8  # of a scene of a themed film to tell of its themes


@dataclass(frozen=True)
class Role:
    """A member of the cast in a scene, and the event that it acts."""

    character: Character
    event: str


@dataclass(frozen=True)
class Scene:
    """A place, a time, one or two roles.

    `time` and `weather` are None where they cannot be seen; `shots` is the number of shots.
    """

    film: Film
    number: int
    place: str
    time: str | None
    weather: str | None
    roles: tuple[Role, ...]
    shots: int

    @property
    def key(self) -> tuple[str | int, ...]:
        """The key from which every draw inside this scene starts."""
        return (*self.film.key, "scene", self.number)


@dataclass(frozen=True)
class Shot:
    """One take: `lead` acts; `companion`, if any, stands behind.

    Lengths are in units of the frame's height.

    Attributes:
      side: -1 or 1, the direction in which the lead looks.
      drift: offset of the camera's aim from the lead.
      travel: distance of the camera's `move`.
    """

    scene: Scene
    number: int
    lead: Role
    companion: Role | None
    framing: str
    side: int
    drift: tuple[float, float]
    move: str
    travel: float
    length_s: float

    @property
    def key(self) -> tuple[str | int, ...]:
        """The key from which every draw inside this shot starts."""
        return (*self.scene.key, "shot", self.number)

    @property
    def facts(self) -> dict[str, str]:
        """All that is true of every frame of this shot and that a caption may state."""
        scene = self.scene
        facts = {
            "place": scene.place,
            "kind": self.lead.character.kind,
            "colour": self.lead.character.color,
            "event": self.lead.event,
            "framing": self.framing,
        }
        optional = {
            "time": scene.time,
            "weather": scene.weather,
            "companion": self.companion and self.companion.character.kind,
        }
        return facts | {name: value for name, value in optional.items() if value}


def make_scene(film: Film, number: int) -> Scene:
    """Make scene `number` of a film; any number from 0 is a scene."""
    dice = Dice((*film.key, "scene", number))
    place = dice.pick(_choose_places(film, dice))
    time = None if place in WINDOWLESS else dice.pick(TIMES)
    weather = dice.pick(WEATHERS) if place in OUTDOORS else None
    actors = dice.sample(film.cast, 2 if dice.chance(0.7) else 1)
    told = THEMES[THEME_BY_PLACE[place]][2:] if film.themes else EVENTS
    events = dice.sample(told, len(actors))
    roles = tuple(Role(a, e) for a, e in zip(actors, events, strict=True))
    mean = 24.0 / film.genre.pace_s  # shots: a scene lasts some 24 seconds
    shots = min(15, max(2, round(mean * dice.uniform(0.5, 1.5))))
    return Scene(film, number, place, time, weather, roles, shots)


def _choose_places(film: Film, dice: Dice) -> tuple[str, ...]:
    """Return the places of a scene: any of the film's, or those of one of its themes."""
    if not film.themes or not dice.chance(THEME_PROBABILITY):
        return film.places
    return THEMES[dice.pick(film.themes)][:2]


def make_shot(scene: Scene, number: int) -> Shot:
    """Make shot `number` of a scene, in range(scene.shots)."""
    dice = Dice((*scene.key, "shot", number))
    # Reverse shots look at the next actor, from the other side.
    lead = scene.roles[number % len(scene.roles)]
    other = scene.roles[1 - number % 2] if len(scene.roles) == 2 else None
    framings = FRAMINGS[:2] if lead.event in NEVER_CLOSE else FRAMINGS
    framing = dice.pick(framings)
    companion = other if framing != "close" and dice.chance(0.5) else None
    side = 1 if (number + dice.below(2) * (len(scene.roles) == 1)) % 2 == 0 else -1
    return Shot(
        scene=scene,
        number=number,
        lead=lead,
        companion=companion,
        framing=framing,
        side=side,
        drift=(dice.uniform(-0.12, 0.12), dice.uniform(-0.03, 0.03)),
        move=dice.pick(MOVES),
        travel=dice.uniform(-0.15, 0.15),
        length_s=scene.film.genre.pace_s * dice.uniform(0.4, 1.8),
    )
