"""A film's texts: its title, its studio, the names of its cast, and its synopsis.

No word here names the genre, so that a text reveals no more of it than a real synopsis would.
"""

from vujax.data.synthetic.captions import (
    EVENT_PHRASES,
    PLACE_PHRASES,
    TIME_PHRASES,
    WEATHER_PHRASES,
)
from vujax.data.synthetic.random import Dice
from vujax.data.synthetic.script import Scene
from vujax.data.synthetic.world import Film

STUDIOS = ("Lantern Pictures", "Harbour Light", "Paper Moon Films", "North Window")
NAMES = (
    *("Ada", "Basil", "Clara", "Dario", "Edda", "Felix", "Greta", "Hugo", "Ines", "Jonas"),
    *("Kaya", "Linus", "Mira", "Nils", "Odile", "Pavel", "Rosa", "Silas", "Tilda", "Victor"),
)
_QUALITIES = (
    *("Quiet", "Last", "Hidden", "Seventh", "Borrowed", "Distant", "Broken", "Patient"),
    *("Crooked", "Second", "Forgotten", "Painted", "Wandering", "Sleeping", "Unlikely", "Long"),
)
_THINGS = (
    *("Afternoon", "Bridge", "Clock", "Door", "Echo", "Feather", "Garden", "Letter", "Map"),
    *("Orchard", "Promise", "River", "Shadow", "Stair", "Train", "Visitor", "Winter", "Year"),
)


def make_title(film: Film) -> str:
    """Make a title such as 'The Borrowed Map'; films may share one."""
    dice = Dice((*film.key, "title"))
    return f"The {dice.pick(_QUALITIES)} {dice.pick(_THINGS)}"


def choose_studio(film: Film) -> str:
    """Choose the studio whose card opens and closes the film; films share studios."""
    return Dice((*film.key, "studio")).pick(STUDIOS)


def choose_names(film: Film) -> tuple[str, ...]:
    """Choose a name for each of the cast, all different."""
    return tuple(Dice((*film.key, "names")).sample(NAMES, len(film.cast)))


def find_name(film: Film, kind: str) -> str:
    """Return the name of the one figure of this kind in the film's cast."""
    return choose_names(film)[[who.kind for who in film.cast].index(kind)]


def summarize_scene(scene: Scene) -> str:
    """Summarize the events of a scene in one sentence."""
    dice = Dice((*scene.key, "summary"))
    where = dice.pick(PLACE_PHRASES[scene.place])
    when = [dice.pick(TIME_PHRASES[scene.time])] if scene.time else []
    if scene.weather and scene.weather != "clear":
        when.append(dice.pick(WEATHER_PHRASES[scene.weather]))
    deeds = [
        f"{find_name(scene.film, role.character.kind)} the {role.character.kind}"
        f" {dice.pick(EVENT_PHRASES[role.event])}"
        for role in scene.roles
    ]
    words = " ".join([*when, where]) + ": " + ", ".join(deeds)
    return words[0].upper() + words[1:] + "."


def write_synopsis(film: Film, scenes: list[Scene]) -> str:
    """Write a synopsis: the lead and the events of most scenes."""
    dice = Dice((*film.key, "synopsis"))
    lead = film.cast[dice.below(len(film.cast))]
    chosen = [scene for scene in scenes if dice.chance(0.7)] or scenes[:1]
    opening = dice.pick(("The days of", "The story of", "Some days with", "All about"))
    about = f"{opening} {find_name(film, lead.kind)}, a {lead.kind} in {lead.color}."
    about = about.replace("a astronaut", "an astronaut")
    return " ".join([about, *(summarize_scene(scene) for scene in chosen)])
