"""What the episodes of a series have in common, from the vectors of their shots alone.

    found = repeats([EpisodeShots(film, vectors, seconds, borders), ...])    # in order of showing
    found.episodes[1].recap                 # Stretch(first=0, last=5, begin_s=0.0, end_s=11.2)
    found.returning()                       # {3: [("episode-1", 4), ("episode-2", 0)], ...}

Vectors are centred on the mean of the series and compared by their cosines. What counts as alike is
learned from the series itself:

- Near-duplicates, the same shot shown again: see `duplicates`.
- Scenes that return, at the same place with the same people: see `returns`.

An opening is a run of near-duplicates, in the same order, near the beginning of more than half of
the episodes, and end credits are one near their ends. A recap are shots at the beginning or beside
the opening that repeat shots of earlier episodes which are not themselves any of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vujax.scenes.recurrence import centred, duplicate_cosine, group_settings, repeated

HEAD = (0.4, 900.0)  # share of the film and seconds in which openings and recaps are looked for
TAIL = (0.25, 600.0)  # likewise end credits
LEAST = 3  # shots of an opening and of a recap
LEAST_CREDITS = 1  # of end credits, which often are one long shot with text that runs
SKIP = 2  # shots that a run may skip, for a detector may miss or add one
BESIDE = 3  # shots between a recap and the film's begin or the opening


@dataclass(frozen=True, eq=False)
class EpisodeShots:
    """The shots of an episode.

    Attributes:
      film: its id, unique in the series.
      vectors: float `[n d]`, one per shot, of any length.
      seconds: float `[n 2]`, begin and end of each shot.
      borders: int `[k]`, increasing: a scene begins with shot border + 1.
    """

    film: str
    vectors: np.ndarray
    seconds: np.ndarray
    borders: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """The first shot of each scene."""
        return np.concatenate([[0], np.asarray(self.borders, np.int64) + 1])


@dataclass(frozen=True)
class Stretch:
    """Shots `first` to `last`, both inclusive, and when they begin and end."""

    first: int
    last: int
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Quote:
    """Shot `shot` of a recap repeats shot `source` of the earlier episode `film`."""

    shot: int
    film: str
    source: int


@dataclass(frozen=True)
class EpisodeFound:
    """What an episode has in common with the others; None for what it has not.

    `groups` has a number for each scene: scenes of one number, here and in the other episodes,
    return to the same place and people. It is None where a scene is opening, recap or closing.
    """

    film: str
    groups: tuple[int | None, ...]
    recap: Stretch | None
    opening: Stretch | None
    closing: Stretch | None
    quotes: tuple[Quote, ...]


@dataclass(frozen=True)
class SeriesFound:
    """What the episodes have in common.

    Attributes:
      episodes: as they were given.
      duplicate: the cosine from which on shots were near-duplicates; None for one episode.
      same: the similarity from which on scenes were of one setting; None for one scene.
    """

    episodes: tuple[EpisodeFound, ...]
    duplicate: float | None
    same: float | None

    def returning(self) -> dict[int, list[tuple[str, int]]]:
        """The groups of at least two scenes: (film, number of the scene) of each."""
        groups: dict[int, list[tuple[str, int]]] = {}
        for episode in self.episodes:
            for scene, group in enumerate(episode.groups):
                if group is not None:
                    groups.setdefault(group, []).append((episode.film, scene))
        return {group: scenes for group, scenes in groups.items() if len(scenes) > 1}


def repeats(episodes: Sequence[EpisodeShots]) -> SeriesFound:
    """Finds what episodes have in common.

    Memory grows with the episodes' vectors and the square of the number of scenes, not of shots:
    two episodes are compared at a time.

    Args:
      episodes: in the order in which they are shown; of one, only scenes that return are found.

    Raises:
      ValueError: an episode's arrays do not fit together, have numbers that are not finite, or two
        episodes are named alike.
    """
    _check(episodes)
    unit = centred([episode.vectors for episode in episodes])
    duplicate = duplicate_cosine(unit) if len(episodes) > 1 else None
    roles = [_Roles() for _ in episodes]
    if duplicate is not None and duplicate > 0:  # else all that there is looks the same
        roles = _roles(episodes, unit, duplicate)
    scenes = [_scenes(e, u, r) for e, u, r in zip(episodes, unit, roles, strict=True)]
    groups, same = group_settings(scenes)
    found = [
        EpisodeFound(e.film, tuple(g), r.recap, r.opening, r.closing, r.quotes)
        for e, g, r in zip(episodes, groups, roles, strict=True)
    ]
    return SeriesFound(tuple(found), duplicate, same)


def _scenes(episode: EpisodeShots, unit: np.ndarray, roles: "_Roles") -> list[np.ndarray]:
    """Vectors of each scene's shots of the story; none where they are its lesser part."""
    free = roles.free(len(unit))
    length = episode.seconds[:, 1] - episode.seconds[:, 0]
    scenes = []
    for shots in np.split(np.arange(len(unit)), episode.starts[1:]):
        told = shots[free[shots]]
        scenes.append(unit[told if 2 * length[told].sum() >= length[shots].sum() else told[:0]])
    return scenes


def _check(episodes: Sequence[EpisodeShots]) -> None:
    if not episodes:
        raise ValueError("a series needs at least one episode")
    dims = {np.shape(e.vectors)[1:] for e in episodes}
    if len(dims) > 1 or len(next(iter(dims))) != 1:
        raise ValueError(f"the episodes' vectors must be [shots d] with one d, not {dims}")
    films = [e.film for e in episodes]
    for e in episodes:
        shots, borders = len(e.vectors), np.asarray(e.borders)
        if films.count(e.film) > 1:
            raise ValueError(f"two episodes are named {e.film}: each needs an id of its own")
        if shots == 0 or np.shape(e.seconds) != (shots, 2):
            raise ValueError(
                f"{e.film} has {shots} vectors and seconds {np.shape(e.seconds)}: it needs at "
                "least one shot, and begin and end of each"
            )
        if len(borders) and not (
            borders[0] >= 0 and borders[-1] < shots - 1 and (np.diff(borders) > 0).all()
        ):
            raise ValueError(f"{e.film}: its borders must increase within 0..{shots - 2}")
        if not (np.isfinite(e.vectors).all() and np.isfinite(e.seconds).all()):
            raise ValueError(f"{e.film} has numbers that are not finite: compute its vectors again")


# Openings, end credits, recaps


@dataclass
class _Roles:
    recap: Stretch | None = None
    opening: Stretch | None = None
    closing: Stretch | None = None
    quotes: tuple[Quote, ...] = ()

    def free(self, shots: int) -> np.ndarray:
        """The shots that are none of these, bool `[shots]`."""
        free = np.ones(shots, bool)
        for stretch in (self.recap, self.opening, self.closing):
            if stretch:
                free[stretch.first : stretch.last + 1] = False
        return free


def _roles(
    episodes: Sequence[EpisodeShots], unit: Sequence[np.ndarray], duplicate: float
) -> list[_Roles]:
    heads = [_window(e.seconds, *HEAD) for e in episodes]
    tails = [_window(-e.seconds[::-1, ::-1], *TAIL) for e in episodes]
    openings = _common_runs([u[:n] for u, n in zip(unit, heads, strict=True)], duplicate, LEAST)
    # Backwards, end credits are an opening.
    ends = [u[::-1][:n] for u, n in zip(unit, tails, strict=True)]
    closings = _common_runs(ends, duplicate, LEAST_CREDITS)
    roles = []
    for e, opening, closing in zip(episodes, openings, closings, strict=True):
        last = len(e.seconds) - 1
        shots = closing and (last - closing[1], last if closing[0] <= SKIP else last - closing[0])
        if shots and shots[0] <= (opening[1] if opening else 0):
            shots = None  # films so short that they are nothing else
        roles.append(_Roles(opening=_stretch(e, opening), closing=_stretch(e, shots)))
    for k in range(1, len(episodes)):
        _find_recap(k, episodes, unit, roles, heads[k], duplicate)
    return roles


def _window(seconds: np.ndarray, share: float, most_s: float) -> int:
    """How many shots begin in the first part of a film."""
    begin, end = seconds[0, 0], seconds[-1, 1]
    return int(np.searchsorted(seconds[:, 0], begin + min(share * (end - begin), most_s)))


def _stretch(episode: EpisodeShots, shots: tuple[int, int] | None) -> Stretch | None:
    if shots is None:
        return None
    first, last = shots
    return Stretch(first, last, float(episode.seconds[first, 0]), float(episode.seconds[last, 1]))


def _common_runs(
    unit: Sequence[np.ndarray], duplicate: float, least: int
) -> list[tuple[int, int] | None]:
    """The first and last shot of the run that an episode and most others share."""
    votes = [np.zeros(len(u), int) for u in unit]
    for i, a in enumerate(unit):
        for j in range(i):
            for shot, other in _longest_run(repeated(a @ unit[j].T, duplicate), least):
                votes[i][shot] += 1
                votes[j][other] += 1
    needed = max(1, len(unit) // 2)  # so that it is in more than half, this one included
    return [_densest(v >= needed, least) for v in votes]


def _longest_run(same: np.ndarray, least: int) -> list[tuple[int, int]]:
    """The longest chain of true cells of `[a b]`, both numbers growing by 1 to 1 + SKIP."""
    steps = [(i, j) for i in range(1, SKIP + 2) for j in range(1, SKIP + 2)]
    chains: dict[tuple[int, int], tuple[int, tuple[int, int] | None]] = {}
    for i, j in np.argwhere(same).tolist():
        before = [(i - a, j - b) for a, b in steps if (i - a, j - b) in chains]
        best = max(before, key=lambda cell: chains[cell][0], default=None)
        chains[i, j] = (1 + (chains[best][0] if best else 0), best)
    cell = max(chains, key=lambda cell: chains[cell][0], default=None)
    run = []
    while cell:
        run.append(cell)
        cell = chains[cell][1]
    return run[::-1] if len(run) >= least else []


def _densest(
    hits: np.ndarray, least: int, barred: np.ndarray | None = None
) -> tuple[int, int] | None:
    """First and last of the stretch with the most hits over misses; None below `least` hits.

    No stretch crosses what is barred. (Kadane's algorithm.)
    """
    worth = np.where(hits, 1, -1)
    best, run, first = (0, 0, 0), 0, 0
    for k, value in enumerate(worth.tolist()):
        if run <= 0:
            run, first = 0, k
        run = run + value if barred is None or not barred[k] else -1
        best = max(best, (run, -first, k))
    total, first, last = best[0], -best[1], best[2]
    if total <= 0 or hits[first : last + 1].sum() < least:
        return None
    return first, last


def _find_recap(
    k: int,
    episodes: Sequence[EpisodeShots],
    unit: Sequence[np.ndarray],
    roles: list[_Roles],
    head: int,
    duplicate: float,
) -> None:
    """Finds the recap of episode `k` from those before it, whose roles are known."""
    found = [_best_source(unit[k][:head], unit[j], roles[j]) for j in range(k)]
    cosine = np.array([best for best, _ in found])
    hits = cosine.max(axis=0) >= duplicate
    shots = _densest(hits, LEAST, ~roles[k].free(len(unit[k]))[:head])
    if shots is None or not _is_beside(shots, roles[k].opening):
        return
    roles[k].recap = _stretch(episodes[k], shots)
    of = cosine.argmax(axis=0)
    roles[k].quotes = tuple(
        Quote(shot, episodes[of[shot]].film, int(found[of[shot]][1][shot]))
        for shot in range(shots[0], shots[1] + 1)
        if hits[shot]
    )


def _best_source(
    head: np.ndarray, unit: np.ndarray, roles: _Roles
) -> tuple[np.ndarray, np.ndarray]:
    """For each shot of a head the likest of an episode's own shots: its cosine, and which it is.

    The cosine is -1 where another shot of the head is still more like that one.
    """
    cosines = np.where(roles.free(len(unit)), head @ unit.T, -1.0)
    source = cosines.argmax(axis=1)
    best = cosines.max(axis=1)
    return np.where(best == cosines.max(axis=0)[source], best, -1.0), source


def _is_beside(shots: tuple[int, int], opening: Stretch | None) -> bool:
    near = [shots[0]]
    if opening:
        near += [shots[0] - opening.last, opening.first - shots[1]]
    return any(0 <= gap <= BESIDE for gap in near)
