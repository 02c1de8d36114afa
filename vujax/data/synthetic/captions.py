"""Captions: some of a frame's facts, in varied words.

A caption states some facts of a frame and leaves the rest out, so several captions fit several
frames. It carries the facts that it states: a caption fits a frame exactly if its facts are among
the frame's.
"""

from dataclasses import dataclass

from vujax.data.synthetic.random import Dice, Key
from vujax.data.synthetic.world import COLORS, KINDS

Facts = dict[str, str]


@dataclass(frozen=True)
class Caption:
    """A sentence and the facts that it states; a generic caption states none."""

    text: str
    facts: tuple[tuple[str, str], ...]

    def fits(self, facts: Facts) -> bool:
        """Return True if all facts of the caption are true of a frame with these facts."""
        return all(facts.get(name) == value for name, value in self.facts)


# Probability that a caption mentions a fact of the frame.
MENTION = {
    "kind": 0.75,
    "colour": 0.45,
    "event": 0.5,
    "place": 0.6,
    "time": 0.25,
    "weather": 0.25,
    "framing": 0.15,
    "companion": 0.4,
}
MAIN = ("kind", "event", "place")  # a caption states at least one of these

GENERIC = (
    *("a scene from a film", "a still", "a film still", "a frame of a movie", "a moment in a film"),
    *("a picture", "an image from a movie", "a shot", "someone in a film", "a cartoon"),
)

COLORED = (
    *("a {kind} in {colour}", "a {kind} dressed in {colour}", "a {kind} wearing {colour}"),
    *("a {kind} in a {colour} coat", "the {kind} in {colour}"),
)
PLAIN = ("a {kind}", "a {kind}", "the {kind}", "one {kind}")
SOMEONE = ("someone", "somebody", "a figure")

EVENT_PHRASES = {
    "balloon": ("holding a balloon", "with a balloon"),
    "bicycle": ("riding a bicycle", "on a bike", "cycling"),
    "book": ("reading a book", "with an open book", "reading"),
    "umbrella": ("under an umbrella", "holding an umbrella"),
    "guitar": ("playing a guitar", "with a guitar", "strumming a guitar"),
    "flag": ("waving a flag", "with a flag"),
    "juggling": ("juggling", "juggling balls", "throwing balls in the air"),
    "lantern": ("carrying a lantern", "with a lantern"),
    "telescope": ("looking through a telescope", "with a telescope"),
    "gift": ("carrying a gift", "with a present", "bringing a present"),
}
PLACE_PHRASES = {
    "harbour": ("in the harbour", "on the pier", "by the sailing boats"),
    "forest": ("in the forest", "among the trees", "in the woods"),
    "desert": ("in the desert", "among the cactuses"),
    "mountain": ("in the mountains", "below the snowy peaks"),
    "farm": ("on a farm", "by the barn", "in front of a barn"),
    "street": ("in the street", "in the city", "on a city street"),
    "kitchen": ("in the kitchen", "by the stove"),
    "classroom": ("in a classroom", "in front of the blackboard", "at school"),
    "library": ("in the library", "among the bookshelves"),
    "theatre": ("on a theatre stage", "in the theatre", "between the curtains"),
    "bedroom": ("in the bedroom", "by the bed"),
    "spaceship": ("in a spaceship", "on board the spaceship"),
}
TIME_PHRASES = {
    "day": ("by day", "in daylight", "in the daytime"),
    "sunset": ("at sunset", "in the evening sun", "at dusk"),
    "night": ("at night", "by night", "in the dark"),
}
WEATHER_PHRASES = {
    "clear": ("in clear weather", "under a clear sky"),
    "rain": ("in the rain", "while it rains"),
    "snow": ("in the snow", "while it snows"),
    "fog": ("in the fog", "in the mist"),
}
FRAMING_PHRASES = {
    "wide": ("a wide shot of {}", "{}, seen from afar", "wide shot: {}"),
    "medium": ("a medium shot of {}", "medium shot: {}"),
    "close": ("a close-up of {}", "{}, in close-up", "close-up: {}"),
}


def make_caption(facts: Facts, key: Key) -> Caption:
    """Make a true caption of a frame with these facts; the key draws facts and words."""
    dice = Dice(key)
    stated = {name: value for name, value in facts.items() if dice.chance(MENTION[name])}
    if not any(name in stated for name in MAIN):
        name = dice.pick(MAIN)
        stated[name] = facts[name]
    return Caption(_sentence(stated, dice), tuple(sorted(stated.items())))


def make_generic_caption(key: Key) -> Caption:
    """Make a caption that fits any frame."""
    return Caption(Dice(key).pick(GENERIC), ())


def _sentence(stated: Facts, dice: Dice) -> str:
    parts = [_who(stated, dice)]
    if "event" in stated:
        parts.append(dice.pick(EVENT_PHRASES[stated["event"]]))
    if "companion" in stated:
        parts.append(f"{dice.pick(('beside', 'next to', 'in front of'))} a {stated['companion']}")
    if "place" in stated:
        parts.append(dice.pick(PLACE_PHRASES[stated["place"]]))
    sentence = _with_setting(" ".join(parts), stated, dice)
    if "framing" in stated:
        sentence = dice.pick(FRAMING_PHRASES[stated["framing"]]).format(sentence)
    return _article(sentence)


def _who(stated: Facts, dice: Dice) -> str:
    colour, kind = stated.get("colour"), stated.get("kind")
    if kind:
        return dice.pick(COLORED if colour else PLAIN).format(kind=kind, colour=colour)
    return dice.pick(SOMEONE) + (f" in {colour}" if colour else "")


def _article(sentence: str) -> str:
    return sentence.replace("a orange", "an orange").replace("a astronaut", "an astronaut")


def _with_setting(sentence: str, stated: Facts, dice: Dice) -> str:
    """Add the hour and the weather, before or after."""
    setting = [
        dice.pick(phrases[stated[name]])
        for name, phrases in (("time", TIME_PHRASES), ("weather", WEATHER_PHRASES))
        if name in stated
    ]
    if not setting:
        return sentence
    if dice.chance(0.3):
        return f"{' '.join(setting)}, {sentence}"
    return f"{sentence} {' '.join(setting)}"


# Classes for zero-shot classification of a frame. Each class name reads like a caption.
CLASSES: dict[str, Facts] = {
    "place": {place: f"someone {phrases[0]}" for place, phrases in PLACE_PHRASES.items()},
    "event": {event: f"someone {phrases[0]}" for event, phrases in EVENT_PHRASES.items()},
    "kind": {kind: _article(f"a {kind}") for kind in KINDS},
    "colour": {colour: f"someone in {colour}" for colour in COLORS},
    "character": {f"{k} in {c}": _article(f"a {k} in {c}") for k in KINDS for c in COLORS},
    "framing": {
        framing: phrases[0].format("someone") for framing, phrases in FRAMING_PHRASES.items()
    },
}


def find_class(facts: Facts, label: str) -> str:
    """Return the class of a frame: a key of CLASSES[label]."""
    return f"{facts['kind']} in {facts['colour']}" if label == "character" else facts[label]
