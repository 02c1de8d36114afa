"""Series with known structure: random embeddings, and synthetic films."""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from vujax.data.synthetic.editing import Edit
from vujax.data.synthetic.screen import Screen
from vujax.data.synthetic.series import make_episode
from vujax.evals.synthetic_difficulty.frames import color_histograms
from vujax.scenes.recurrence import compute_similarities, group_settings
from vujax.scenes.series import EpisodeShots, ShotRange, analyze_series

DIM = 256
SETTINGS = 8


@dataclass
class Maker:
    """Maker of episodes: shots of a setting differ slightly, repeats hardly."""

    seed: int = 0
    shot: float = 0.5
    again: float = 0.08
    rng: np.random.Generator = field(init=False)

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)
        self.settings = self._noise(SETTINGS)
        self.opening, self.credits = self._noise(6), self._noise(5)

    def _noise(self, shots: int) -> np.ndarray:
        return self.rng.normal(size=(shots, DIM))

    def repeated(self, shots: np.ndarray) -> np.ndarray:
        return shots + self.again * self._noise(len(shots))

    def scene(self, setting: int, shots: int = 8) -> np.ndarray:
        return self.settings[setting] + self.shot * self._noise(shots)

    def episode(self, name: str, *scenes: np.ndarray) -> EpisodeShots:
        vectors = np.concatenate(scenes) + 3.0  # an offset in common, as features have
        ends = np.arange(1, len(vectors) + 1) * 2.0
        borders = np.cumsum([len(scene) for scene in scenes])[:-1] - 1
        return EpisodeShots(name, vectors, np.stack([ends - 2, ends], axis=1), borders)


def _series(maker: Maker) -> list[EpisodeShots]:
    """Return four episodes; the opening of the third follows its first scene."""
    again, story = maker.repeated, maker.scene
    stories = [[story(k % SETTINGS) for k in range(n, n + 7)] for n in (0, 3, 6, 9)]
    of = [np.concatenate(scenes) for scenes in stories]
    recaps = [
        None,
        again(of[0][[3, 20, 41, 50]]),
        again(np.concatenate([of[0][[9]], of[1][[4, 30, 44]]])),
        again(np.concatenate([of[0][[30]], of[2][[11, 25, 52, 53]]])),
    ]
    episodes = []
    for number, (recap, scenes) in enumerate(zip(recaps, stories, strict=True)):
        opening, credits = again(maker.opening), again(maker.credits)
        parts = [opening, *scenes] if number != 2 else [scenes[0], opening, *scenes[1:]]
        parts = ([] if recap is None else [recap]) + [*parts, credits]
        episodes.append(maker.episode(f"episode {number}", *parts))
    return episodes


def _shots(stretch: ShotRange | None) -> tuple[int, int] | None:
    return stretch and (stretch.first, stretch.last)


@pytest.mark.parametrize("seed", range(3))
def test_all_that_episodes_have_in_common(seed: int):
    episodes = _series(Maker(seed))
    found = analyze_series(episodes).episodes
    assert [_shots(e.opening) for e in found] == [(0, 5), (4, 9), (12, 17), (5, 10)]
    assert [_shots(e.recap) for e in found] == [None, (0, 3), (0, 3), (0, 4)]
    lasts = [len(e.vectors) - 1 for e in episodes]
    assert [_shots(e.closing) for e in found] == [(last - 4, last) for last in lasts]
    assert (found[1].recap.start_s, found[1].recap.end_s) == (0.0, 8.0)
    # Shots of a story begin behind the opening, and from episode 1 on behind the recap.
    quotes = [(q.shot, q.film, q.source) for q in found[2].quotes]
    assert quotes == [
        *((0, "episode 0", 9 + 6), (1, "episode 1", 4 + 10)),
        *((2, "episode 1", 30 + 10), (3, "episode 1", 44 + 10)),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_scenes_that_return(seed: int):
    found = analyze_series(_series(Maker(seed)))
    true = [[k % SETTINGS for k in range(n, n + 7)] for n in (0, 3, 6, 9)]
    groups = [[g for g in e.groups if g is not None] for e in found.episodes]
    flat, truth = (list(chain.from_iterable(of)) for of in (groups, true))
    assert len(set(zip(flat, truth, strict=True))) == len(set(truth)) == len(set(flat))
    assert list(dict.fromkeys(flat)) == sorted(set(flat))  # counted as they appear
    assert found.episodes[1].groups[:2] == (None, None) and found.episodes[1].groups[-1] is None
    (first, *others) = found.returning()[groups[0][0]]
    assert first == ("episode 0", 1) and ("episode 1", 7) in others


def test_units_and_offsets_of_the_vectors_do_not_matter():
    episodes = _series(Maker())
    moved = [
        EpisodeShots(e.film, 1000 * e.vectors - 200, e.seconds + 7, e.boundaries) for e in episodes
    ]
    one, two = analyze_series(episodes), analyze_series(moved)
    assert [e.groups for e in one.episodes] == [e.groups for e in two.episodes]
    assert [e.quotes for e in one.episodes] == [e.quotes for e in two.episodes]
    assert one.duplicate == pytest.approx(two.duplicate, abs=1e-4)
    assert two.episodes[0].opening.start_s == 7.0


def test_a_shot_that_a_detector_missed_does_not_end_a_run():
    episodes = _series(Maker())
    e = episodes[1]
    kept = np.delete(np.arange(len(e.vectors)), 6)  # of the opening, 4 to 9
    episodes[1] = EpisodeShots(e.film, e.vectors[kept], e.seconds[kept], e.boundaries - 1)
    episodes[1].boundaries[0] += 1
    found = analyze_series(episodes).episodes
    assert [_shots(e.opening) for e in found] == [(0, 5), (4, 8), (12, 17), (5, 10)]


def test_a_shot_that_two_recaps_quote_is_from_the_story():
    maker = Maker()
    settings = ((0, 1, 2, 3), (4, 5, 1, 2), (6, 7, 4, 0))
    told = [[maker.scene(k) for k in of] for of in settings]
    recap = maker.repeated(np.concatenate(told[0])[[5, 17, 29]])  # the very same twice
    episodes = [
        maker.episode("0", *told[0]),
        maker.episode("1", recap, *told[1]),
        maker.episode("2", np.concatenate([recap[::-1], maker.repeated(told[1][3][:1])]), *told[2]),
    ]
    found = analyze_series(episodes).episodes
    sources = [("0", 5), ("0", 17), ("0", 29)]
    assert [(q.film, q.source) for q in found[1].quotes] == sources
    assert [(q.film, q.source) for q in found[2].quotes] == [*sources[::-1], ("1", 27)]


def test_an_opening_is_no_recap_of_one_that_was_not_found():
    """In the first episode it stands at the end, where none is looked for."""
    maker = Maker()
    told = [[maker.scene(k) for k in range(n, n + 4)] for n in range(4)]
    episodes = [
        maker.episode(str(n), *([opening, *scenes] if n else [*scenes, opening]))
        for n, scenes in enumerate(told)
        if (opening := maker.repeated(maker.opening)) is not None
    ]
    found = analyze_series(episodes).episodes
    assert [_shots(e.opening) for e in found] == [None, (0, 5), (0, 5), (0, 5)]
    assert [e.recap for e in found] == [None] * 4


def test_other_texts_at_the_very_end_belong_to_the_credits():
    maker = Maker()
    episodes = []
    for n in range(3):
        story = [maker.scene(k) for k in range(n, n + 5)]
        credits = np.concatenate([maker.repeated(maker.credits), maker._noise(2)])
        episodes.append(maker.episode(f"episode {n}", *story, credits))
    found = analyze_series(episodes).episodes
    assert [_shots(e.closing) for e in found] == [(40, 46)] * 3
    assert [e.opening for e in found] == [None] * 3


@pytest.mark.parametrize("seed", range(5))
def test_films_with_nothing_in_common(seed: int):
    rng = np.random.default_rng(seed)
    makers = [Maker(int(rng.integers(1 << 30))) for _ in range(3)]
    episodes = [
        maker.episode(f"film {n}", *(maker.scene(k) for k in range(6)))
        for n, maker in enumerate(makers)
    ]
    found = analyze_series(episodes)
    assert not any(e.recap or e.opening or e.closing or e.quotes for e in found.episodes)
    assert found.returning() == {}


def test_one_film_has_scenes_that_return_and_nothing_else():
    maker = Maker()
    film = maker.episode("film", *(maker.scene(k) for k in (0, 1, 0, 2, 1, 0)))
    found = analyze_series([film])
    assert found.episodes[0].groups == (0, 1, 0, 2, 1, 0) and found.duplicate is None
    assert found.returning() == {
        0: [("film", 0), ("film", 2), ("film", 5)],
        1: [("film", 1), ("film", 4)],
    }
    (episode,) = found.episodes
    assert (episode.recap, episode.opening, episode.closing, episode.quotes) == (None,) * 3 + ((),)


@pytest.mark.parametrize("shots", [1, 2])
@pytest.mark.parametrize("count", [1, 3])
def test_films_of_one_or_two_shots(shots: int, count: int):
    maker = Maker()
    episodes = [maker.episode(f"film {n}", maker._noise(shots)) for n in range(count)]
    found = analyze_series(episodes)
    assert [len(e.groups) for e in found.episodes] == [1] * count
    assert [e.groups for e in found.episodes] == [(n,) for n in range(count)]


@pytest.mark.parametrize("value, rounding", [(0.0, 0.0), (5.0, 1e-6)])
def test_films_in_which_all_looks_the_same(value: float, rounding: float):
    seconds = np.stack([np.arange(30.0), np.arange(30.0) + 1], axis=1)
    borders = np.array([9, 19])
    noise = rounding * np.random.default_rng(0).normal(size=(2, 30, 8))
    episodes = [
        EpisodeShots(f, value + n, seconds, borders) for f, n in zip("ab", noise, strict=True)
    ]
    found = analyze_series(episodes)
    assert [e.groups for e in found.episodes] == [(0, 0, 0)] * 2  # they cannot be told apart


def test_similarity_by_hand():
    east, north = np.eye(2, dtype=np.float32)
    films = [[np.stack([east]), np.stack([east, north])], [], [np.stack([north, north, east])]]
    np.testing.assert_allclose(
        compute_similarities(films), [[1, 0.75, 2 / 3], [0.75, 1, 1], [2 / 3, 1, 1]]
    )
    groups, same = group_settings([[np.stack([east])], [np.zeros((0, 2), np.float32)]])
    assert (groups, same) == ([[0], [None]], None)


def _bad(**changes) -> list[EpisodeShots]:
    seconds = np.stack([np.arange(4.0), np.arange(4.0) + 1], axis=1)
    facts = dict(film="b", vectors=np.ones((4, 3)), seconds=seconds, boundaries=np.array([1]))
    return [EpisodeShots(**facts | {"film": "a"}), EpisodeShots(**facts | changes)]


@pytest.mark.parametrize(
    "episodes, message",
    [
        ([], "at least one episode"),
        (_bad(film="a"), "two episodes have the id a"),
        (_bad(vectors=np.ones((4, 2))), "with one d"),
        (_bad(vectors=np.ones((3, 3))), "b has 3 embeddings and seconds"),
        (_bad(vectors=np.full((4, 3), np.nan)), "b has a value that is not finite"),
        (_bad(boundaries=np.array([3])), "scene boundaries must increase within 0..2"),
        (_bad(boundaries=np.array([1, 1])), "b: scene boundaries must increase"),
    ],
)
def test_what_does_not_fit_says_so(episodes: list[EpisodeShots], message: str):
    with pytest.raises(ValueError, match=message):
        analyze_series(episodes)


def _colours(edit: Edit) -> np.ndarray:
    """Return the color histogram of the middle frame of each shot."""
    screen = Screen(edit, 36, 64)
    frames = [screen.frame((clip.start + clip.end) // 2) for clip in edit.clips]
    return color_histograms(np.stack(frames), 8)


def test_a_made_series_by_its_colours():
    made = [make_episode(7, "train", Fraction(24), 2.5, number) for number in range(3)]
    episodes = []
    for number, episode in enumerate(made):
        clips, fps = episode.edit.clips, float(episode.edit.fps)
        seconds = np.array([(clip.start, clip.end) for clip in clips]) / fps
        borders = np.flatnonzero(np.diff([clip.part for clip in clips]))
        episodes.append(EpisodeShots(str(number), _colours(episode.edit), seconds, borders))
    found = analyze_series(episodes)
    for episode, of in zip(made, found.episodes, strict=True):
        parts = [episode.edit.parts[clip.part].role for clip in episode.edit.clips]
        for role in ("recap", "opening", "closing"):
            shots = [k for k, part in enumerate(parts) if part == role]
            stretch = getattr(of, role)
            said = list(range(stretch.first, stretch.last + 1)) if stretch else []
            assert len(set(said) ^ set(shots)) <= 2, role
    asked = [(q.shot, str(q.episode), q.source) for e in made for q in e.quotes]
    right = {(q.shot, q.film, q.source) for e in found.episodes for q in e.quotes} & set(asked)
    assert len(right) > 0.7 * len(asked)


@pytest.mark.real_data
def test_end_credits_of_a_real_series(data_root: Path):
    """All eleven episodes of BBC Planet Earth end with one shot of credits, of about a minute."""
    episodes = []
    for path in sorted((data_root / "boundaries").glob("bbc_*.npz")):
        film = np.load(path)
        seconds = film["shots"] / 25.0
        borders = np.flatnonzero(film["boundary"])
        episodes.append(EpisodeShots(path.stem, film["vgg19"], seconds, borders))
    found = analyze_series(episodes).episodes
    lasts = [len(episode.vectors) - 1 for episode in episodes]
    assert [_shots(e.closing) for e in found] == [(last, last) for last in lasts]
    assert all(50 < e.closing.end_s - e.closing.start_s < 70 for e in found)
    assert not any(e.recap for e in found)
