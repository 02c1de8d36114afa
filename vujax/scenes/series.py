"""Structure of a series: openings, recaps, end credits and recurring settings of its episodes.

    structure = analyze_series([EpisodeShots(film, vectors, seconds, boundaries), ...])
    structure.episodes[1].recap             # ShotRange(first=0, last=5, start_s=0.0, end_s=11.2)
    structure.returning()                   # {3: [("episode-1", 4), ("episode-2", 0)], ...}

Shot embeddings are centered on the mean of the series and compared by cosine similarity. The
similarity thresholds for near-duplicate shots and for recurring settings are estimated from the
series itself, see `vujax.scenes.recurrence`.

An opening is a run of near-duplicates in the same order near the start of more than half of the
episodes, and end credits are such a run near their ends. A recap is a run of shots at the start or
next to the opening that repeats shots of earlier episodes outside of their own openings, recaps and
credits.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vujax.scenes.recurrence import (
    center,
    estimate_duplicate_cosine,
    find_duplicates,
    group_settings,
)
from vujax.utils.deprecation import deprecated_alias

# Share of the film, and seconds, that are searched for openings and recaps.
HEAD_WINDOW = (0.4, 900.0)
TAIL_WINDOW = (0.25, 600.0)  # the same for end credits
MIN_SHOTS = 3  # of an opening or a recap
MIN_CREDITS_SHOTS = 1  # end credits often are one long shot of rolling text
MAX_SKIP = 2  # shots that a run may skip, because a detector may miss or add one
MAX_GAP = 3  # shots between a recap and the start of the film or the opening


@dataclass(frozen=True, eq=False)
class EpisodeShots:
    """Shots of one episode.

    Attributes:
      film: id, unique in the series.
      vectors: shot embeddings, float `[n d]`, of any norm.
      seconds: start and end of each shot, float `[n 2]`.
      boundaries: scene boundaries, increasing int `[k]`: a scene starts with shot boundary + 1.
    """

    film: str
    vectors: np.ndarray
    seconds: np.ndarray
    boundaries: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """First shot of each scene, int64 `[k+1]`."""
        return np.concatenate([[0], np.asarray(self.boundaries, np.int64) + 1])


@dataclass(frozen=True)
class ShotRange:
    """A run of shots.

    Attributes:
      first: index of the first shot.
      last: index of the last shot, inclusive.
      start_s: start of the first shot in seconds.
      end_s: end of the last shot in seconds.
    """

    first: int
    last: int
    start_s: float
    end_s: float

    begin_s = deprecated_alias("begin_s", "start_s")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields under their names in series.json."""
        return dict(first=self.first, last=self.last, begin_s=self.start_s, end_s=self.end_s)


@dataclass(frozen=True)
class RecapQuote:
    """Repetition in a recap: shot `shot` repeats shot `source` of the earlier episode `film`."""

    shot: int
    film: str
    source: int


@dataclass(frozen=True)
class EpisodeStructure:
    """Structure of one episode.

    Attributes:
      film: id of the episode.
      groups: setting of each scene; scenes of all episodes with the same number share place and
        cast. None for scenes that are opening, recap or closing.
      recap: shots of the recap, or None.
      opening: shots of the opening, or None.
      closing: shots of the end credits, or None.
      quotes: repeated shots of the recap.
    """

    film: str
    groups: tuple[int | None, ...]
    recap: ShotRange | None
    opening: ShotRange | None
    closing: ShotRange | None
    quotes: tuple[RecapQuote, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields under their names in series.json."""
        ranges = {name: getattr(self, name) for name in ("recap", "opening", "closing")}
        return asdict(self) | {name: span and span.to_dict() for name, span in ranges.items()}


@dataclass(frozen=True)
class SeriesStructure:
    """Structure of a series.

    Attributes:
      episodes: in the order of the input.
      duplicate: minimum cosine of near-duplicate shots; None for one episode.
      same: minimum similarity of scenes of one setting; None for one scene.
    """

    episodes: tuple[EpisodeStructure, ...]
    duplicate: float | None
    same: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of series.json."""
        return dict(
            episodes=tuple(episode.to_dict() for episode in self.episodes),
            duplicate=self.duplicate,
            same=self.same,
        )

    def returning(self) -> dict[int, list[tuple[str, int]]]:
        """Return the settings of at least two scenes, with (film, index) of each scene."""
        groups: dict[int, list[tuple[str, int]]] = {}
        for episode in self.episodes:
            for scene, group in enumerate(episode.groups):
                if group is not None:
                    groups.setdefault(group, []).append((episode.film, scene))
        return {group: scenes for group, scenes in groups.items() if len(scenes) > 1}


def analyze_series(episodes: Sequence[EpisodeShots]) -> SeriesStructure:
    """Find openings, recaps, end credits and recurring settings.

    Two episodes are compared at a time, so memory grows with the embeddings and with the square of
    the number of scenes, not of shots.

    Args:
      episodes: in broadcast order; for a single one, only recurring settings are found.

    Raises:
      ValueError: shapes do not match, a value is not finite, or two episodes have the same id.
    """
    _check(episodes)
    unit = center([episode.vectors for episode in episodes])
    duplicate = estimate_duplicate_cosine(unit) if len(episodes) > 1 else None
    roles = [_Roles() for _ in episodes]
    if duplicate is not None and duplicate > 0:  # otherwise all shots look the same
        roles = _roles(episodes, unit, duplicate)
    scenes = [_scenes(e, u, r) for e, u, r in zip(episodes, unit, roles, strict=True)]
    groups, same = group_settings(scenes)
    structures = [
        EpisodeStructure(e.film, tuple(g), r.recap, r.opening, r.closing, r.quotes)
        for e, g, r in zip(episodes, groups, roles, strict=True)
    ]
    return SeriesStructure(tuple(structures), duplicate, same)


def _scenes(episode: EpisodeShots, unit: np.ndarray, roles: "_Roles") -> list[np.ndarray]:
    """Return each scene's story shots, or none if they are less than half of the scene."""
    free = roles.free(len(unit))
    length = episode.seconds[:, 1] - episode.seconds[:, 0]
    scenes = []
    for shots in np.split(np.arange(len(unit)), episode.starts[1:]):
        story = shots[free[shots]]
        is_story = 2 * length[story].sum() >= length[shots].sum()
        scenes.append(unit[story if is_story else story[:0]])
    return scenes


def _check(episodes: Sequence[EpisodeShots]) -> None:
    if not episodes:
        raise ValueError("a series needs at least one episode")
    dims = {np.shape(e.vectors)[1:] for e in episodes}
    if len(dims) > 1 or len(next(iter(dims))) != 1:
        raise ValueError(f"embeddings of the episodes must be [shots d] with one d, got {dims}")
    films = [e.film for e in episodes]
    for e in episodes:
        shots, boundaries = len(e.vectors), np.asarray(e.boundaries)
        if films.count(e.film) > 1:
            raise ValueError(f"two episodes have the id {e.film}; give each its own")
        if shots == 0 or np.shape(e.seconds) != (shots, 2):
            raise ValueError(
                f"{e.film} has {shots} embeddings and seconds {np.shape(e.seconds)}; expected at "
                "least one shot, and start and end of each"
            )
        if len(boundaries) and not (
            boundaries[0] >= 0 and boundaries[-1] < shots - 1 and (np.diff(boundaries) > 0).all()
        ):
            raise ValueError(f"{e.film}: scene boundaries must increase within 0..{shots - 2}")
        if not (np.isfinite(e.vectors).all() and np.isfinite(e.seconds).all()):
            raise ValueError(
                f"{e.film} has a value that is not finite; compute its embeddings again"
            )


# Openings, end credits, recaps


@dataclass
class _Roles:
    recap: ShotRange | None = None
    opening: ShotRange | None = None
    closing: ShotRange | None = None
    quotes: tuple[RecapQuote, ...] = ()

    def free(self, shots: int) -> np.ndarray:
        """Return a mask of the shots without a role, bool `[shots]`."""
        free = np.ones(shots, bool)
        for stretch in (self.recap, self.opening, self.closing):
            if stretch:
                free[stretch.first : stretch.last + 1] = False
        return free


def _roles(
    episodes: Sequence[EpisodeShots], unit: Sequence[np.ndarray], duplicate: float
) -> list[_Roles]:
    share, max_s = HEAD_WINDOW
    heads = [_window(e.seconds, share, max_s) for e in episodes]
    share, max_s = TAIL_WINDOW
    tails = [_window(-e.seconds[::-1, ::-1], share, max_s) for e in episodes]
    openings = _common_runs([u[:n] for u, n in zip(unit, heads, strict=True)], duplicate, MIN_SHOTS)
    # End credits are an opening in reverse.
    ends = [u[::-1][:n] for u, n in zip(unit, tails, strict=True)]
    closings = _common_runs(ends, duplicate, MIN_CREDITS_SHOTS)
    roles = []
    for e, opening, closing in zip(episodes, openings, closings, strict=True):
        last = len(e.seconds) - 1
        shots = None
        if closing:
            end = last if closing[0] <= MAX_SKIP else last - closing[0]
            shots = (last - closing[1], end)
        if shots and shots[0] <= (opening[1] if opening else 0):
            shots = None  # the film is too short for both
        roles.append(_Roles(opening=_stretch(e, opening), closing=_stretch(e, shots)))
    for k in range(1, len(episodes)):
        _find_recap(k, episodes, unit, roles, heads[k], duplicate)
    return roles


def _window(seconds: np.ndarray, share: float, max_s: float) -> int:
    """Count the shots that start in the first part of a film."""
    start, end = seconds[0, 0], seconds[-1, 1]
    return int(np.searchsorted(seconds[:, 0], start + min(share * (end - start), max_s)))


def _stretch(episode: EpisodeShots, shots: tuple[int, int] | None) -> ShotRange | None:
    if shots is None:
        return None
    first, last = shots
    return ShotRange(first, last, float(episode.seconds[first, 0]), float(episode.seconds[last, 1]))


def _common_runs(
    unit: Sequence[np.ndarray], duplicate: float, min_shots: int
) -> list[tuple[int, int] | None]:
    """Return the first and last shot of each episode's run that most other episodes share."""
    votes = [np.zeros(len(u), int) for u in unit]
    for i, a in enumerate(unit):
        for j in range(i):
            for shot, other in _longest_run(find_duplicates(a @ unit[j].T, duplicate), min_shots):
                votes[i][shot] += 1
                votes[j][other] += 1
    needed = max(1, len(unit) // 2)  # more than half of the episodes, this one included
    return [_densest(v >= needed, min_shots) for v in votes]


def _longest_run(same: np.ndarray, min_shots: int) -> list[tuple[int, int]]:
    """Find the longest chain of true cells of `[a b]`; both indices grow by 1 to 1 + MAX_SKIP."""
    steps = [(i, j) for i in range(1, MAX_SKIP + 2) for j in range(1, MAX_SKIP + 2)]
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
    return run[::-1] if len(run) >= min_shots else []


def _densest(
    hits: np.ndarray, min_hits: int, barred: np.ndarray | None = None
) -> tuple[int, int] | None:
    """Find the first and last index of the interval with the most hits minus misses (Kadane).

    Args:
      hits: bool `[n]`.
      min_hits: minimum number of hits; with fewer the result is None.
      barred: bool `[n]`, positions that no interval contains.
    """
    worth = np.where(hits, 1, -1)
    best, run, first = (0, 0, 0), 0, 0
    for k, value in enumerate(worth.tolist()):
        if run <= 0:
            run, first = 0, k
        run = run + value if barred is None or not barred[k] else -1
        best = max(best, (run, -first, k))
    total, first, last = best[0], -best[1], best[2]
    if total <= 0 or hits[first : last + 1].sum() < min_hits:
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
    """Find the recap of episode `k` from those before it, whose roles are known."""
    matches = [_best_source(unit[k][:head], unit[j], roles[j]) for j in range(k)]
    cosine = np.array([best for best, _ in matches])
    hits = cosine.max(axis=0) >= duplicate
    shots = _densest(hits, MIN_SHOTS, ~roles[k].free(len(unit[k]))[:head])
    if shots is None or not _is_beside(shots, roles[k].opening):
        return
    roles[k].recap = _stretch(episodes[k], shots)
    nearest = cosine.argmax(axis=0)
    roles[k].quotes = tuple(
        RecapQuote(shot, episodes[nearest[shot]].film, int(matches[nearest[shot]][1][shot]))
        for shot in range(shots[0], shots[1] + 1)
        if hits[shot]
    )


def _best_source(
    head: np.ndarray, unit: np.ndarray, roles: _Roles
) -> tuple[np.ndarray, np.ndarray]:
    """Return cosine and index of the most similar story shot of an episode, per shot of a head.

    The cosine is -1 where another shot of the head is more similar to that shot.
    """
    cosines = np.where(roles.free(len(unit)), head @ unit.T, -1.0)
    source = cosines.argmax(axis=1)
    best = cosines.max(axis=1)
    return np.where(best == cosines.max(axis=0)[source], best, -1.0), source


def _is_beside(shots: tuple[int, int], opening: ShotRange | None) -> bool:
    near = [shots[0]]
    if opening:
        near += [shots[0] - opening.last, opening.first - shots[1]]
    return any(0 <= gap <= MAX_GAP for gap in near)
