"""The ground truth of films and sets, and its files: NAME.truth.json, set.json.

    truth = read_truth("films/film-0003.truth.json")     # a FilmTruth
    truth.transitions                                    # as those of vujax.video.shots.base
    read_truth("films/set.json").watched()               # bool [users films]
    read_truth("series/episode-0001.truth.json").quotes  # an EpisodeTruth: sources of its recap

Frames count from 0 and `last` is the last one of a range. A frame that shows two shots counts to
one of them, by the middle of their transition. A null value means that the property does not
apply: a card has no place, a spaceship no time of day.

Dataclasses become JSON values and back, checked by their annotations. Files are untrusted: whatever
they hold, `from_json_value` returns an object of the right types or raises one ValueError that
names the key.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vujax.data.synthetic.editing import KINDS, Flash, Join
from vujax.data.synthetic.json_values import from_json_value, to_json_value
from vujax.utils.io import write_text
from vujax.video.probe import quote_path
from vujax.video.shots.base import Transition

VERSION = 1

FILM, SET, EPISODE = "vujax cinema film", "vujax cinema set", "vujax cinema episode"

MAX_BYTES = 1 << 28  # of a truth file; no set that can be written has a larger one

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

SUFFIX = ".truth.json"


@dataclass(frozen=True)
class Settings:
    """The settings of a set's films. `minutes` is the mean length of their stories."""

    seed: int
    split: str
    minutes: float
    fps: Fraction
    height: int
    width: int
    sound_rate: int
    channels: int


@dataclass(frozen=True)
class CastTruth:
    """One of the film's figures: the same name, kind and color in all of its scenes."""

    name: str
    kind: str
    colour: str


@dataclass(frozen=True)
class ShotTruth:
    """Frames `first` to `last`.

    A card has `text` and no other content.

    Attributes:
      into: the transition at its start (null for the first shot).
      scene: number of its scene.
      cast: names of the visible figures.
      event: of the first of them.
    """

    first: int
    last: int
    into: Join | None
    scene: int
    place: str | None
    framing: str | None
    move: str | None
    event: str | None
    cast: tuple[str, ...]
    captions: tuple[str, ...]
    text: str | None


@dataclass(frozen=True)
class SceneTruth:
    """Frames `first` to `last`, shots `first_shot` to `last_shot`.

    Attributes:
      role: 'opening' or 'closing' (cards) or 'story'; in an episode also 'recap', and its opening
        and closing have images too.
      events: of each of `cast`.
    """

    role: str
    first: int
    last: int
    first_shot: int
    last_shot: int
    place: str | None
    time: str | None
    weather: str | None
    cast: tuple[str, ...]
    events: tuple[str, ...]
    summary: str | None


@dataclass(frozen=True)
class FilmTruth:
    """The ground truth of a film.

    Attributes:
      night: the film's preference of night over day, 0..1, which no label states.
    """

    kind: str
    version: int
    settings: Settings
    number: int
    name: str
    title: str
    studio: str
    genre: str
    night: float
    synopsis: str
    frames: int
    cast: tuple[CastTruth, ...]
    scenes: tuple[SceneTruth, ...]
    shots: tuple[ShotTruth, ...]
    flashes: tuple[Flash, ...]

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self.settings.fps

    @property
    def duration_s(self) -> Fraction:
        """The duration in seconds."""
        return self.frames / self.fps

    @property
    def transitions(self) -> list[Transition]:
        """The transitions between its shots, in order.

        `vujax.video.shots.base.shots` converts them to shots.
        """
        return [shot.into.transition for shot in self.shots if shot.into]

    @property
    def scene_starts(self) -> list[int]:
        """For each shot but the first, 1 where a scene starts with it, else 0."""
        return [int(a.scene != b.scene) for a, b in pairwise(self.shots)]


@dataclass(frozen=True)
class QuoteTruth:
    """Shot `shot` of the recap is a piece of shot `source` of the episode `episode`."""

    shot: int
    episode: str
    source: int


@dataclass(frozen=True)
class EpisodeTruth(FilmTruth):
    """The ground truth of an episode of a series.

    Attributes:
      groups: a number for each scene: equal ones, here and in the other episodes, mark scenes
        that return to the same place and cast; null outside the story.
      quotes: the sources of the recap's shots.
    """

    groups: tuple[int | None, ...]
    quotes: tuple[QuoteTruth, ...]


@dataclass(frozen=True)
class FilmRow:
    """A film's metadata, as in a catalog of films."""

    name: str
    title: str
    studio: str
    genres: tuple[str, ...]
    synopsis: str
    duration_s: float


@dataclass(frozen=True)
class UserTruth:
    """The taste and history of one user.

    Attributes:
      favourites: two genres.
      nights: preference of nights (1) or days (-1).
      watched: names of films.
    """

    favourites: tuple[str, ...]
    nights: float
    watched: tuple[str, ...]


@dataclass(frozen=True)
class SetTruth:
    """A set of films and their viewers."""

    kind: str
    version: int
    settings: Settings
    films: tuple[FilmRow, ...]
    users: tuple[UserTruth, ...]

    def watched(self) -> np.ndarray:
        """Return the co-watch table, bool [users films]."""
        column = {film.name: k for k, film in enumerate(self.films)}
        table = np.zeros((len(self.users), len(self.films)), bool)
        for row, user in zip(table, self.users, strict=True):
            row[[column[name] for name in user.watched]] = True
        return table


TRUTH_CLASSES = {FILM: FilmTruth, SET: SetTruth, EPISODE: EpisodeTruth}


def write_truth(path: Path, truth: FilmTruth | SetTruth) -> Path:
    """Write a truth file, atomically; the same truth gives the same bytes."""
    return write_text(path, json.dumps(to_json_value(truth), indent=1) + "\n")


def read_truth(path: str | Path) -> FilmTruth | SetTruth:
    """Read NAME.truth.json or set.json; the result is consistent in itself.

    Raises:
      ValueError: the file is not a truth of this version; names the file and the key.
      FileNotFoundError, PermissionError: the file cannot be read.
    """
    path = Path(path)
    try:
        value = _load(path)
        kind = value.get("kind") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in TRUTH_CLASSES:
            raise ValueError(f"'kind' is neither {FILM!r} nor {EPISODE!r} nor {SET!r}")
        if value.get("version") != VERSION:
            raise ValueError(f"'version' is not {VERSION}, the one that this vujax reads")
        truth = from_json_value(TRUTH_CLASSES[kind], value)
        problems = _set_problems(truth) if kind == SET else _film_problems(truth)
        if problem := next(problems, None):
            raise ValueError(problem)
    except ValueError as error:
        raise ValueError(
            f"{quote_path(path)} is not a ground truth of synthetic films: {error}; "
            "write the films again"
        ) from None
    return truth


def _load(path: Path) -> Any:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from None


def _settings_problems(settings: Settings) -> Iterator[str]:
    for key, low, high in (
        ("fps", 1, 1000),
        ("height", 1, 1 << 14),
        ("width", 1, 1 << 14),
        ("sound_rate", 1000, 768_000),
        ("channels", 1, 2),
        ("minutes", 0, 1 << 20),
    ):
        if not low <= getattr(settings, key) <= high:
            yield f"'settings.{key}' is not within {low}..{high}"


def _film_problems(truth: FilmTruth) -> Iterator[str]:
    """Yield inconsistencies, starting with those on which later checks rely."""
    yield from _settings_problems(truth.settings)
    yield from _name_problems("name", truth.name)
    people = [who.name for who in truth.cast]
    if len(set(people)) < len(people):
        yield "'cast' has two figures of one name"
    if not truth.shots or not truth.scenes:
        yield "'shots' or 'scenes' is empty"
        return
    yield from _shot_problems(truth)
    yield from _scene_problems(truth)
    parts: list[ShotTruth | SceneTruth] = [*truth.shots, *truth.scenes]
    for k, part in enumerate(parts):
        key = f"shots[{k}]" if k < len(truth.shots) else f"scenes[{k - len(truth.shots)}]"
        if not set(part.cast) <= set(people):
            yield f"'{key}.cast' has a name that is not in 'cast'"
    for k, flash in enumerate(truth.flashes):
        if not 0 <= flash.first <= flash.last < truth.frames or not 0 <= flash.share <= 1:
            yield f"'flashes[{k}]' lies outside the film, or its share outside 0..1"
    if isinstance(truth, EpisodeTruth):
        yield from _episode_problems(truth)


def _episode_problems(truth: EpisodeTruth) -> Iterator[str]:
    if len(truth.groups) != len(truth.scenes):
        yield "'groups' has another length than 'scenes'"
    for k, (group, scene) in enumerate(zip(truth.groups, truth.scenes, strict=False)):
        if (group is None) != (scene.role != "story"):
            yield f"'groups[{k}]' must be null outside the story, and only there"
    recap = [k for k, shot in enumerate(truth.shots) if truth.scenes[shot.scene].role == "recap"]
    if [quote.shot for quote in truth.quotes] != recap:
        yield "'quotes' are not of the shots of the recap, in order"
    for k, quote in enumerate(truth.quotes):
        yield from _name_problems(f"quotes[{k}].episode", quote.episode)
        if quote.source < 0:
            yield f"'quotes[{k}].source' is not a shot"


def _shot_problems(truth: FilmTruth) -> Iterator[str]:
    start = 0
    for k, shot in enumerate(truth.shots):
        if shot.first != start or shot.last < shot.first:
            yield f"'shots[{k}]' does not follow the shot before it"
        if (shot.into is None) != (k == 0):
            yield f"'shots[{k}].into' must be null for the first shot, and for no other"
        if not 0 <= shot.scene < len(truth.scenes):
            yield f"'shots[{k}].scene' is not a scene"
        start = shot.last + 1
    if start != truth.frames:
        yield f"'shots' end at frame {start}, 'frames' is {truth.frames}"
    alone = 0  # first frame that shows the old shot alone
    for k, (old, shot) in enumerate(pairwise(truth.shots), 1):
        join = shot.into
        between = join.first - join.last - 1
        if join.kind not in KINDS:
            yield f"'shots[{k}].into.kind' is none of {', '.join(KINDS)}"
        if not max(alone, old.first) <= join.last < join.first <= shot.last:
            yield f"'shots[{k}].into' reaches past its two shots"
        if join.transition.boundary != shot.first:
            yield f"'shots[{k}].into' has another middle than the first frame of the shot"
        if not (0 <= join.leaving <= between and 0 <= join.coming <= between):
            yield f"'shots[{k}].into' mixes more frames than lie between its shots"
        alone = join.first


def _scene_problems(truth: FilmTruth) -> Iterator[str]:
    start = 0
    for k, scene in enumerate(truth.scenes):
        if scene.first_shot != start or not start <= scene.last_shot < len(truth.shots):
            yield f"'scenes[{k}]' does not follow the scene before it"
            return
        shots = truth.shots[scene.first_shot : scene.last_shot + 1]
        if any(shot.scene != k for shot in shots):
            yield f"'scenes[{k}]' and its shots disagree about 'scene'"
        if (scene.first, scene.last) != (shots[0].first, shots[-1].last):
            yield f"'scenes[{k}]' has other frames than its shots"
        if len(scene.events) != len(scene.cast):
            yield f"'scenes[{k}].events' has another length than its cast"
        start = scene.last_shot + 1
    if start != len(truth.shots):
        yield "'scenes' leave shots out"


def _set_problems(truth: SetTruth) -> Iterator[str]:
    yield from _settings_problems(truth.settings)
    for k, film in enumerate(truth.films):
        yield from _name_problems(f"films[{k}].name", film.name)
    films = {film.name for film in truth.films}
    if len(films) < len(truth.films):
        yield "'films' has a name twice"
    for k, user in enumerate(truth.users):
        if not set(user.watched) <= films or len(set(user.watched)) < len(user.watched):
            yield f"'users[{k}].watched' names a film twice, or one that is not in 'films'"


def _name_problems(key: str, name: str) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield f"'{key}' is not a plain file name"
