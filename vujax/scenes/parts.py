"""Recap, intro and credits of an episode, and the chapters that show them to players.

Players know such a part by the name of its chapter. A part need not start at a scene boundary, so
it divides the scene in which it lies: chapters are the parts, and what is left of the scenes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from vujax.scenes.series import EpisodeStructure
from vujax.scenes.types import MIN_SCENE_S, PART_TITLES, DetectedScenes, Part


@dataclass(frozen=True)
class Chapter:
    """A chapter. It ends where the next one starts.

    Attributes:
      title: 'Recap', 'Intro', 'Credits', or that of a scene.
      start_s: seconds since the start of the film.
      end_s: seconds.
      is_part: whether it is a part, not a scene.
    """

    title: str
    start_s: float
    end_s: float
    is_part: bool = False


def find_parts(episode: EpisodeStructure) -> tuple[Part, ...]:
    """Return the recap, the intro and the credits of an episode, those that were found, by time."""
    spans = {kind: getattr(episode, kind) for kind in PART_TITLES}
    parts = [Part(kind, span.start_s, span.end_s) for kind, span in spans.items() if span]
    return tuple(sorted(parts, key=lambda part: part.start_s))


def require_parts(scenes: DetectedScenes) -> tuple[Part, ...]:
    """Return the parts of an episode.

    Raises:
      ValueError: the film was not analyzed as an episode of a series.
    """
    if scenes.parts is None:
        raise ValueError("it holds recap, intro and credits, which need the option --series")
    return scenes.parts


def list_chapters_from_zero(scenes: DetectedScenes) -> list[Chapter]:
    """Return the chapters of a film, the first of which starts at 0, as many programs require."""
    first, *others = list_chapters(scenes)
    return [replace(first, start_s=0.0), *others]


def list_chapters(scenes: DetectedScenes) -> list[Chapter]:
    """Return the chapters of a film: its scenes, and its parts in their places.

    What a part leaves of a scene is a chapter with the title of the scene; below MIN_SCENE_S it
    joins the chapter beside it.
    """
    whole = [Chapter(scene.title, scene.start_s, scene.end_s) for scene in scenes.scenes]
    if not scenes.parts:
        return whole
    left = whole
    for part in scenes.parts:
        left = [piece for chapter in left for piece in _cut(chapter, part)]
    left = [c for c in left if c in whole or c.end_s - c.start_s >= MIN_SCENE_S]
    parts = [Chapter(part.title, part.start_s, part.end_s, True) for part in scenes.parts]
    ordered = sorted([*left, *parts], key=lambda chapter: chapter.start_s)
    ordered[0] = replace(ordered[0], start_s=scenes.start_s)
    ordered[-1] = replace(ordered[-1], end_s=scenes.end_s)
    return _close_gaps(ordered)


def _cut(chapter: Chapter, part: Part) -> Iterable[Chapter]:
    """Yield what a part leaves of a chapter."""
    if part.end_s <= chapter.start_s or part.start_s >= chapter.end_s:
        yield chapter
        return
    if chapter.start_s < part.start_s:
        yield replace(chapter, end_s=part.start_s)
    if part.end_s < chapter.end_s:
        yield replace(chapter, start_s=part.end_s)


def _close_gaps(chapters: list[Chapter]) -> list[Chapter]:
    """Move the edges of scenes to their neighbors; those of parts only between two parts."""
    for number, (first, second) in enumerate(pairwise(list(chapters))):
        if first.is_part:
            chapters[number + 1] = replace(chapters[number + 1], start_s=chapters[number].end_s)
        else:
            chapters[number] = replace(chapters[number], end_s=second.start_s)
    return chapters
