"""A series: episodes that share their cast, places, opening and credits.

An episode tells scenes, half of which return to a setting, the same place and cast, of an earlier
scene of this or an earlier episode, mostly at the same hour; the events are new. Before or after
its first scene comes the opening, in all episodes the same shots and the title. From the second
episode on it starts with a recap: pieces of shots of earlier episodes, in their order. It closes
with an image and cards; one of them names other people every time.

Everything is a pure function of (seed, split, rate, length, number of the episode).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import count

from vujax.data.synthetic.editing import (
    MIN_SCENES,
    MIN_SHOT_FRAMES,
    NUM_PAPERS,
    Card,
    Edit,
    Excerpt,
    Part,
    assemble_edit,
    generate_takes,
    make_cast_card,
)
from vujax.data.synthetic.random import Dice
from vujax.data.synthetic.script import Role, Scene, Shot, make_scene
from vujax.data.synthetic.story import NAMES, STUDIOS, choose_studio, make_title
from vujax.data.synthetic.world import EVENTS, PLACES, Film, make_film

MAX_EPISODES = 100
NUM_PLACES = 7  # places of a series
RETURN_PROBABILITY = 0.5  # that a scene returns to an earlier setting
SAME_HOUR_PROBABILITY = 0.6  # that it does so at the same hour, in the same weather
MAX_SETTINGS = 40  # of a series: beyond that scenes only return
COLD_OPEN_PROBABILITY = 0.5  # that the first scene comes before the opening
OPENING_SHOTS = (4, 6)
OPENING_S = (1.2, 2.4)  # of each of them
RECAP_SHOTS = (4, 7)
RECAP_S = (1.2, 2.5)
MAX_DRAWS = 10_000  # numbers of scenes that an episode may draw from

Setting = tuple[str, frozenset[str]]


@dataclass(frozen=True)
class Quote:
    """Shot `shot` is a piece of shot `source` of the earlier episode `episode`."""

    shot: int
    episode: int
    source: int


@dataclass(frozen=True)
class Episode:
    """An edited episode.

    Attributes:
      edit: its parts have the roles 'recap', 'opening', 'story' and 'closing'.
      groups: for each part, the number of its setting in the series; None outside the story.
      quotes: the sources of the recap's shots.
    """

    edit: Edit
    groups: tuple[int | None, ...]
    quotes: tuple[Quote, ...]


def get_setting(scene: Scene) -> Setting:
    """Return the place and the kinds of the cast, which scenes of one setting share."""
    return scene.place, frozenset(role.character.kind for role in scene.roles)


@lru_cache(maxsize=8)
def make_series(seed: int, split: str) -> Film:
    """Make the world of a series: as a film's, with more places."""
    film = make_film(seed, f"{split} series", 0)
    places = Dice((*film.key, "standing sets")).sample(PLACES, NUM_PLACES)
    return replace(film, places=tuple(places))


@lru_cache(maxsize=2 * MAX_EPISODES)
def make_episode(seed: int, split: str, fps: Fraction, minutes: float, number: int) -> Episode:
    """Edit episode `number` of a series, its story about `minutes` long.

    Raises:
      ValueError: `number` is outside 0..MAX_EPISODES - 1.
    """
    if not 0 <= number < MAX_EPISODES:
        raise ValueError(f"episode must be in 0..{MAX_EPISODES - 1}, got {number}")
    film = make_series(seed, split)
    before = [make_episode(seed, split, fps, minutes, n) for n in range(number)]
    told = [scene for episode in before for scene in episode.edit.scenes]
    dice = Dice((*film.key, "episode", number))
    scenes = _story(film, number, 60 * minutes * dice.uniform(2 / 3, 4 / 3), told, dice)
    excerpts = _excerpts(before, dice)
    parts = tuple(_parts(film, number, scenes, [excerpt for _, excerpt in excerpts], dice))
    edit = assemble_edit(film, fps, parts, Dice((*film.key, "edit", number)))
    quotes = tuple(Quote(k, n, shot) for k, ((n, shot), _) in enumerate(excerpts))
    return Episode(edit, _groups(parts, [*told, *scenes]), quotes)


def _parts(
    film: Film, number: int, scenes: list[Scene], recap: list[Excerpt], dice: Dice
) -> Iterator[Part]:
    if recap:
        yield Part("recap", None, tuple(recap), hard=True)
    story = [Part("story", scene, tuple(generate_takes(scene))) for scene in scenes]
    cold = int(dice.chance(COLD_OPEN_PROBABILITY))
    yield from story[:cold]
    yield _opening(film)
    yield from story[cold:]
    yield _closing(film, number)


def _opening(film: Film) -> Part:
    """Make the opening, the same in all episodes, cuts included."""
    dice = Dice((*film.key, "opening"))
    shots = OPENING_SHOTS[0] + dice.below(OPENING_SHOTS[1] - OPENING_SHOTS[0] + 1)
    shots_of_opening = [
        _make_extra_shot(film, -1 - k, dice.uniform_in(OPENING_S)) for k in range(shots)
    ]
    name = Card((make_title(film),), dice.below(NUM_PAPERS), dice.uniform(2, 3))
    return Part("opening", None, (*shots_of_opening, name), hard=True)


def _closing(film: Film, number: int) -> Part:
    """Make the closing, the same in all episodes but for the names on one card."""
    dice, crew = Dice((*film.key, "closing")), Dice((*film.key, "crew", number)).sample(NAMES, 3)
    deeds = ("Written", "Directed", "Music")
    people = tuple(f"{deed} by {name}" for deed, name in zip(deeds, crew, strict=True))
    last_shot = _make_extra_shot(film, -1 - OPENING_SHOTS[1], dice.uniform_in(OPENING_S))
    cards = (Card(people, 0, 2.5), make_cast_card(film, dice.uniform(2, 4)))
    logo = Card((choose_studio(film),), STUDIOS.index(choose_studio(film)) % NUM_PAPERS, 2.0)
    return Part("closing", None, (last_shot, *cards, logo), hard=True)


def _make_extra_shot(film: Film, number: int, length_s: float) -> Shot:
    """Make a shot that belongs to no story."""
    return replace(next(generate_takes(make_scene(film, number))), length_s=length_s)


def _story(film: Film, number: int, length_s: float, told: list[Scene], dice: Dice) -> list[Scene]:
    draws = (make_scene(film, k) for k in count(MAX_DRAWS * number))
    scenes: list[Scene] = []
    told_s = 0.0
    while told_s < length_s or len(scenes) < MIN_SCENES:
        known = [*told, *scenes]
        others = [s for s in known if not scenes or get_setting(s) != get_setting(scenes[-1])]
        settings = {get_setting(scene) for scene in known}
        if others and (dice.chance(RETURN_PROBABILITY) or len(settings) >= MAX_SETTINGS):
            scene = _again(dice.pick(others), draws, dice)
        else:
            scene = next(scene for scene in draws if get_setting(scene) not in settings)
        scenes.append(scene)
        told_s += sum(shot.length_s for shot in generate_takes(scene))
    return scenes


def _again(old: Scene, draws: Iterator[Scene], dice: Dice) -> Scene:
    """Draw a scene in the setting of an old one."""
    scene = next(scene for scene in draws if scene.place == old.place)
    if dice.chance(SAME_HOUR_PROBABILITY):
        scene = replace(scene, time=old.time, weather=old.weather)
    events = dice.sample(EVENTS, len(old.roles))
    people = [role.character for role in old.roles]
    return replace(scene, roles=tuple(map(Role, people, events)))


def _excerpts(before: list[Episode], dice: Dice) -> list[tuple[tuple[int, int], Excerpt]]:
    """Draw pieces of earlier episodes, each with its (episode, shot), in that order."""
    sources = [
        (number, shot)
        for number, episode in enumerate(before)
        for shot in range(len(episode.edit.clips))
        if _is_quotable(episode.edit, shot)
    ]
    num_shots = RECAP_SHOTS[0] + dice.below(RECAP_SHOTS[1] - RECAP_SHOTS[0] + 1)
    chosen = sorted(dice.sample(sources, min(num_shots, len(sources))))
    return [((e, shot), _excerpt(before[e].edit, shot, dice)) for e, shot in chosen]


def _is_quotable(edit: Edit, shot: int) -> bool:
    clip = edit.clips[shot]
    least = max(MIN_SHOT_FRAMES, round(RECAP_S[0] * edit.fps))
    return edit.parts[clip.part].role == "story" and len(clip.alone) >= least


def _excerpt(edit: Edit, shot: int, dice: Dice) -> Excerpt:
    """Draw a range of the frames that show nothing but the shot."""
    clip = edit.clips[shot]
    frames = min(len(clip.alone), max(MIN_SHOT_FRAMES, round(dice.uniform_in(RECAP_S) * edit.fps)))
    first = clip.alone.start + dice.below(len(clip.alone) - frames + 1)
    return Excerpt(clip.take, edit.time_s(shot, first), float(frames / edit.fps))


def _groups(parts: tuple[Part, ...], told: list[Scene]) -> tuple[int | None, ...]:
    """Number the settings of the parts in order of first appearance in the series."""
    numbers = {known: k for k, known in enumerate(dict.fromkeys(map(get_setting, told)))}
    return tuple(part.scene and numbers[get_setting(part.scene)] for part in parts)
