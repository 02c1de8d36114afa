"""The edit and the ground truth of films and sets, from their settings.

Nothing is drawn here. Users watch films by latent tastes: a user has two favorite genres and likes
nights or days; a film has a genre, its share of nights (which no label states) and some popularity.
Each (user, film) pair is one independent draw, so a larger set only adds to a smaller one.
"""

from dataclasses import dataclass
from itertools import accumulate
from math import exp
from typing import Any

from vujax.data.synthetic import ground_truth as t
from vujax.data.synthetic.captions import make_caption
from vujax.data.synthetic.editing import Card, Clip, Edit, Part, compute_night_preference, make_edit
from vujax.data.synthetic.random import Dice
from vujax.data.synthetic.script import Shot
from vujax.data.synthetic.series import Episode, make_episode
from vujax.data.synthetic.story import (
    choose_names,
    choose_studio,
    find_name,
    make_title,
    summarize_scene,
    write_synopsis,
)
from vujax.data.synthetic.world import GENRES, Film, make_film

# Weights of the log-odds that a user watches a film.
BASE, FAVOURITE, NIGHTS, POPULARITY = -1.9, 2.2, 1.4, 0.7


@dataclass(frozen=True)
class Taste:
    """The taste of a user; `nights` is -1 (days only) to 1 (nights only)."""

    key: tuple[str | int, ...]
    favourites: tuple[str, ...]
    nights: float


def make_taste(seed: int, split: str, user: int) -> Taste:
    """Draw the taste of one user of a set."""
    key = ("user", seed, split, user)
    dice = Dice(key)
    favourites = dice.sample([genre.name for genre in GENRES], 2)
    return Taste(key, tuple(favourites), dice.uniform(-1, 1))


def has_watched(taste: Taste, film: int, genre: str, night: float) -> bool:
    """Return True if the user watches film number `film` of the set."""
    _, seed, split, _ = taste.key
    popular = POPULARITY * Dice(("popularity", seed, split, film)).uniform(-1, 1)
    liked = FAVOURITE * (genre in taste.favourites) + NIGHTS * taste.nights * (2 * night - 1)
    odds = BASE + popular + liked
    return Dice((*taste.key, "watches", film)).chance(1 / (1 + exp(-odds)))


NUM_CAPTIONS = 2  # of each shot

NUM_USERS = 200


def format_film_name(number: int) -> str:
    """Return the file name of a film, without its suffix."""
    return f"film-{number:04d}"


def format_episode_name(number: int) -> str:
    """Return the file name of an episode, without its suffix."""
    return f"episode-{number:04d}"


def make_film_edit(settings: t.Settings, number: int) -> Edit:
    """Edit film `number` of a set."""
    film = make_film(settings.seed, settings.split, number)
    return make_edit(film, settings.fps, settings.minutes)


def make_set_episode(settings: t.Settings, number: int) -> Episode:
    """Edit episode `number` of a series."""
    return make_episode(settings.seed, settings.split, settings.fps, settings.minutes, number)


def build_film_truth(settings: t.Settings, number: int) -> t.FilmTruth:
    """Build the ground truth of film `number` of a set."""
    facts = _facts(settings, make_film_edit(settings, number))
    return t.FilmTruth(t.FILM, number=number, name=format_film_name(number), **facts)


def build_episode_truth(settings: t.Settings, number: int) -> t.EpisodeTruth:
    """Build the ground truth of episode `number` of a series."""
    episode = make_set_episode(settings, number)
    sources = (
        t.QuoteTruth(q.shot, format_episode_name(q.episode), q.source) for q in episode.quotes
    )
    return t.EpisodeTruth(
        t.EPISODE,
        number=number,
        name=format_episode_name(number),
        **_facts(settings, episode.edit),
        groups=episode.groups,
        quotes=tuple(sources),
    )


def _facts(settings: t.Settings, edit: Edit) -> dict[str, Any]:
    """Return the fields that the truth of a film and of an episode share."""
    film = edit.film
    people = zip(choose_names(film), film.cast, strict=True)
    return dict(
        version=t.VERSION,
        settings=settings,
        title=make_title(film),
        studio=choose_studio(film),
        genre=film.genre.name,
        night=compute_night_preference(film),
        synopsis=write_synopsis(film, edit.scenes),
        frames=edit.frames,
        cast=tuple(t.CastTruth(called, who.kind, who.color) for called, who in people),
        scenes=_scenes(edit),
        shots=tuple(_shot(film, clip) for clip in edit.clips),
        flashes=edit.flashes,
    )


def build_set_truth(settings: t.Settings, films: int) -> t.SetTruth:
    """Build the ground truth of a set: its films and their viewers."""
    truths = [build_film_truth(settings, number) for number in range(films)]
    rows = tuple(map(_row, truths))
    tastes = [make_taste(settings.seed, settings.split, user) for user in range(NUM_USERS)]
    users = tuple(_user(taste, truths) for taste in tastes)
    return t.SetTruth(t.SET, t.VERSION, settings, rows, users)


def build_series_truth(settings: t.Settings, episodes: int) -> t.SetTruth:
    """Build the ground truth of a series: a set of episodes without viewers."""
    truths = [build_episode_truth(settings, number) for number in range(episodes)]
    return t.SetTruth(t.SET, t.VERSION, settings, tuple(map(_row, truths)), ())


def _row(film: t.FilmTruth) -> t.FilmRow:
    times = float(film.duration_s)
    return t.FilmRow(film.name, film.title, film.studio, (film.genre,), film.synopsis, times)


def _user(taste: Taste, films: list[t.FilmTruth]) -> t.UserTruth:
    watched = [
        film.name for film in films if has_watched(taste, film.number, film.genre, film.night)
    ]
    return t.UserTruth(taste.favourites, taste.nights, tuple(watched))


def _shot(film: Film, clip: Clip) -> t.ShotTruth:
    frames = dict(first=clip.start, last=clip.end - 1, into=clip.into, scene=clip.part)
    if isinstance(clip.take, Card):
        text = "\n".join(clip.take.lines)
        nothing = dict(place=None, framing=None, move=None, event=None, cast=(), captions=())
        return t.ShotTruth(**frames, **nothing, text=text)
    shot: Shot = clip.take
    figures = [shot.lead.character] + ([shot.companion.character] if shot.companion else [])
    return t.ShotTruth(
        **frames,
        place=shot.scene.place,
        framing=shot.framing,
        move=shot.move,
        event=shot.lead.event,
        cast=tuple(find_name(film, figure.kind) for figure in figures),
        captions=tuple(
            make_caption(shot.facts, (*shot.key, "said", k)).text for k in range(NUM_CAPTIONS)
        ),
        text=None,
    )


def _scenes(edit: Edit) -> tuple[t.SceneTruth, ...]:
    ends = list(accumulate(len(part.takes) for part in edit.parts))
    return tuple(
        _scene(edit, part, end - len(part.takes), end - 1)
        for part, end in zip(edit.parts, ends, strict=True)
    )


def _scene(edit: Edit, part: Part, first_shot: int, last_shot: int) -> t.SceneTruth:
    extent = dict(
        role=part.role,
        first=edit.clips[first_shot].start,
        last=edit.clips[last_shot].end - 1,
        first_shot=first_shot,
        last_shot=last_shot,
    )
    scene = part.scene
    if scene is None:
        nothing = dict(place=None, time=None, weather=None, cast=(), events=(), summary=None)
        return t.SceneTruth(**extent, **nothing)
    return t.SceneTruth(
        **extent,
        place=scene.place,
        time=scene.time,
        weather=scene.weather,
        cast=tuple(find_name(edit.film, role.character.kind) for role in scene.roles),
        events=tuple(role.event for role in scene.roles),
        summary=summarize_scene(scene),
    )
