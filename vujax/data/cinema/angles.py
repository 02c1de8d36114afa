"""Angles: the two sides of a place, and the light of each shot.

Shot and reverse-shot look at opposite walls, which have paint of their own, the same in every scene
there; and no two shots are lit and printed alike. So colours change within a scene nearly as they
do from one scene to the next, and a scene is told by what is in it and by what comes back.
"""

from dataclasses import fields, replace

from vujax.data.cinema.colour import RGB, mix
from vujax.data.cinema.dice import Dice
from vujax.data.cinema.script import Shot
from vujax.data.cinema.world import Film, Palette, make_film

OTHER = (0.15, 0.65)  # how far the other side's paint is from this side's, of 1
LIGHT = (0.88, 1.12)  # of a set-up: one side in one scene
TINT = (0.95, 1.05)  # of a set-up, to each channel
MATCH = (0.82, 1.18)  # of a single shot


def at_angle(shot: Shot) -> Shot:
    """The shot with the paint of the wall that it looks at and the light of its set-up."""
    scene = shot.scene
    film = scene.film
    setup = Dice(*scene.key, "setup", shot.side)
    light = setup.uniform(*LIGHT) * Dice(*shot.key, "match").uniform(*MATCH)
    exposure = tuple(light * setup.uniform(*TINT) * gain for gain in film.exposure)
    palette = film.palette if shot.side > 0 else _other_side(film, scene.place)
    film = replace(film, palette=palette, exposure=exposure)
    return replace(shot, scene=replace(scene, film=film))


def _other_side(film: Film, place: str) -> Palette:
    """The paint of a place's other wall: on the way to the paint of another film."""
    dice = Dice(*film.key, "other side", place)
    other = make_film(dice.below(1 << 32), "other side", film.number).palette
    share = dice.uniform(*OTHER)

    def paint(name: str) -> RGB | tuple[RGB, ...]:
        a, b = getattr(film.palette, name), getattr(other, name)
        if name == "houses":
            return tuple(mix(x, y, share) for x, y in zip(a, b, strict=True))
        return mix(a, b, share)

    return Palette(**{field.name: paint(field.name) for field in fields(Palette)})
