"""The script: a film's scenes and each scene's shots, as pure functions of the film.

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
    TIMES,
    WEATHERS,
    WINDOWLESS,
    Character,
    Film,
)

# What a close-up would cut away: the director never asks for it.
NEVER_CLOSE = ("bicycle", "flag", "juggling")
MOVES = ("still", "still", "pan", "push in")


@dataclass(frozen=True)
class Role:
    """Who is in the scene and what they do there."""

    character: Character
    event: str


@dataclass(frozen=True)
class Scene:
    """A place, a time, one or two roles; `time` and `weather` only where they can be seen."""

    film: Film
    number: int
    place: str
    time: str | None
    weather: str | None
    roles: tuple[Role, ...]
    shots: int

    @property
    def key(self) -> tuple[str | int, ...]:
        return (*self.film.key, "scene", self.number)


@dataclass(frozen=True)
class Shot:
    """One take: `lead` acts; `companion`, if any, stands behind.

    Lengths are in units of the frame's height. `side` (-1 or 1) is where the lead looks, `drift`
    how far the camera's aim is off the lead, `travel` how far `move` takes it.
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
        return (*self.scene.key, "shot", self.number)

    @property
    def facts(self) -> dict[str, str]:
        """All that is true of every frame of this shot and that a caption may say."""
        scene = self.scene
        facts = {
            "place": scene.place,
            "kind": self.lead.character.kind,
            "colour": self.lead.character.colour,
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
    """Scene `number` of a film; any number from 0 is a scene."""
    dice = Dice(*film.key, "scene", number)
    place = dice.pick(film.places)
    time = None if place in WINDOWLESS else dice.pick(TIMES)
    weather = dice.pick(WEATHERS) if place in OUTDOORS else None
    actors = dice.sample(film.cast, 2 if dice.chance(0.7) else 1)
    events = dice.sample(EVENTS, len(actors))
    roles = tuple(Role(a, e) for a, e in zip(actors, events, strict=True))
    mean = 24.0 / film.genre.pace_s  # shots: a scene lasts some 24 seconds
    shots = min(15, max(2, round(mean * dice.uniform(0.5, 1.5))))
    return Scene(film, number, place, time, weather, roles, shots)


def make_shot(scene: Scene, number: int) -> Shot:
    """Shot `number` of a scene, in range(scene.shots)."""
    dice = Dice(*scene.key, "shot", number)
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
