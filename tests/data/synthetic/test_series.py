"""Series: settings that return, openings, recaps, credits, and their files."""

import dataclasses
import hashlib
import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vujax.data.synthetic.editing import CUT, Card
from vujax.data.synthetic.films import (
    build_episode_truth,
    build_film_truth,
    build_series_truth,
    build_set_truth,
)
from vujax.data.synthetic.ground_truth import (
    EpisodeTruth,
    Settings,
    read_truth,
    write_truth,
)
from vujax.data.synthetic.json_values import to_json_value
from vujax.data.synthetic.screen import Screen
from vujax.data.synthetic.series import MAX_SETTINGS, Episode, get_setting, make_episode
from vujax.data.synthetic.video import write_set

FPS = Fraction(24)
SIZE = (36, 64)
SETTINGS = Settings(0, "train", 1.0, FPS, 36, 64, 16000, 1)


def _episodes(seed: int, count: int = 4, minutes: float = 3.0) -> list[Episode]:
    return [make_episode(seed, "train", FPS, minutes, number) for number in range(count)]


def _shots(episode: Episode, role: str) -> list[int]:
    parts = episode.edit.parts
    return [k for k, clip in enumerate(episode.edit.clips) if parts[clip.part].role == role]


def test_roles_of_an_episode():
    cold = set()
    for seed in range(6):
        for number, episode in enumerate(_episodes(seed, minutes=1.0)):
            roles = [part.role for part in episode.edit.parts]
            assert roles.count("opening") == roles.count("closing") == 1 and roles[-1] == "closing"
            assert roles.count("recap") == (number > 0) and ("recap" not in roles[1:])
            cold.add(roles.index("opening") - (number > 0))
            assert [group is None for group in episode.groups] == [r != "story" for r in roles]
    assert cold == {0, 1}


def test_scenes_return_to_the_same_place_and_cast_within_and_across_episodes():
    episodes = _episodes(1)
    of: dict[int, set] = {}
    for episode in episodes:
        scenes = [part.scene for part in episode.edit.parts]
        for group, scene in zip(episode.groups, scenes, strict=True):
            if scene:
                of.setdefault(group, set()).add(get_setting(scene))
        story = [group for group in episode.groups if group is not None]
        assert all(a != b for a, b in pairwise(story))  # a border is always one of settings
    assert all(len(settings) == 1 for settings in of.values())
    assert len({next(iter(s)) for s in of.values()}) == len(of)  # one number for each setting
    story = [(n, g) for n, e in enumerate(episodes) for g in e.groups if g is not None]
    pairs = [(a, b) for k, a in enumerate(story) for b in story[:k] if a[1] == b[1]]
    assert sum(a[0] == b[0] for a, b in pairs) > 2 < sum(a[0] != b[0] for a, b in pairs)
    assert 0.3 < len(of) / len(story) < 0.8


def test_a_long_series_ends_finding_new_settings():
    episodes = _episodes(0, count=24, minutes=2.0)
    groups = {group for episode in episodes for group in episode.groups} - {None}
    assert groups == set(range(MAX_SETTINGS))


def test_the_opening_shows_the_same_frames_in_all_episodes():
    episodes = _episodes(2)
    seen = []
    for episode in episodes:
        shots, edit = _shots(episode, "opening"), episode.edit
        assert isinstance(edit.clips[shots[-1]].take, Card)
        assert all(edit.clips[k].into.kind == CUT for k in shots[1:])
        screen = Screen(edit, *SIZE)
        frames = [f for k in shots[1:-1] for f in range(edit.clips[k].start, edit.clips[k].end, 9)]
        seen.append(np.stack([screen.frame(frame) for frame in frames]))
    assert all((other == seen[0]).all() for other in seen[1:])


def test_credits_share_all_but_the_names():
    cards = [
        [e.edit.clips[k].take for k in _shots(e, "closing")[1:]] for e in _episodes(2, minutes=1.0)
    ]
    assert all(of[1:] == cards[0][1:] for of in cards)
    assert len({c[0].lines for c in cards}) == len(cards)


def test_a_recap_shows_frames_of_the_episodes_that_it_quotes():
    episodes = _episodes(3)
    quotes = [(e, quote) for e in episodes for quote in e.quotes]
    assert len(quotes) >= 12 and {q.episode for _, q in quotes} > {0}
    for episode, quote in quotes[::3]:
        edit, source = episode.edit, episodes[quote.episode].edit
        clip, of = edit.clips[quote.shot], source.clips[quote.source]
        assert quote.shot in _shots(episode, "recap") and clip.take == of.take
        middle = (clip.alone.start + clip.alone.stop) // 2
        ago = edit.time_s(quote.shot, middle) - source.time_s(quote.source, of.alone.start)
        there = of.alone.start + round(ago * FPS)
        assert there in of.alone
        np.testing.assert_array_equal(
            Screen(edit, *SIZE).frame(middle), Screen(source, *SIZE).frame(there)
        )
    order = [[(q.episode, q.source) for q in e.quotes] for e in episodes]
    assert all(at == sorted(set(at)) for at in order)


def test_an_episode_does_not_depend_on_how_many_there_are():
    assert build_series_truth(SETTINGS, 2).films == build_series_truth(SETTINGS, 4).films[:2]
    make_episode.cache_clear()
    last = make_episode(0, "train", FPS, 1.0, 3)
    assert last == _episodes(0, minutes=1.0)[3]
    with pytest.raises(ValueError, match="got 100"):
        make_episode(0, "train", FPS, 1.0, 100)


@pytest.mark.parametrize("fps", [Fraction(5), Fraction(24000, 1001)])
def test_excerpts_fit_at_any_rate(fps: Fraction):
    for number in range(1, 4):
        before = [make_episode(4, "train", fps, 1.0, n) for n in range(number)]
        for quote in make_episode(4, "train", fps, 1.0, number).quotes:
            edit = make_episode(4, "train", fps, 1.0, number).edit
            clip, source = edit.clips[quote.shot], before[quote.episode].edit
            of = source.clips[quote.source]
            end_s = edit.time_s(quote.shot, clip.end - 1)
            assert end_s <= source.time_s(quote.source, of.alone.stop - 1) + 1e-9


def test_truth_of_episodes(tmp_path: Path):
    truth = build_episode_truth(SETTINGS, 2)
    assert type(read_truth(write_truth(tmp_path / "it.json", truth))) is EpisodeTruth
    assert read_truth(tmp_path / "it.json") == truth and truth.name == "episode-0002"
    assert truth.quotes[0].episode in ("episode-0000", "episode-0001")
    assert truth.scenes[0].role == "recap" and len(truth.groups) == len(truth.scenes)
    for damaged, message in (
        (dict(groups=truth.groups[1:]), "'groups' has another length"),
        (dict(groups=(7, *truth.groups[1:])), "'groups\\[0\\]' must be null"),
        (dict(quotes=truth.quotes[1:]), "'quotes' are not of the shots of the recap"),
    ):
        write_truth(tmp_path / "it.json", dataclasses.replace(truth, **damaged))
        with pytest.raises(ValueError, match=message):
            read_truth(tmp_path / "it.json")


def test_films_are_what_they_were():
    """Recorded before there were series: their truths and sets did not change by a byte."""
    settings = Settings(0, "train", 0.5, Fraction(24000, 1001), 180, 320, 48000, 1)
    digest = hashlib.sha256()
    for truth in (
        *(build_film_truth(settings, n) for n in range(20)),
        build_set_truth(settings, 20),
    ):
        digest.update(json.dumps(to_json_value(truth)).encode())
    assert digest.hexdigest() == "ee5cb2e720d1d1c7c0e766c5d09f0b349c19859c329b522fdd65d19a866002ac"


def test_episodes_as_files(tmp_path: Path):
    options = dict(height=16, width=32, fps=5, minutes=0.1, sound_rate=8000, series=True)
    write_set(tmp_path, 2, workers=1, **options)
    names = {path.name for path in tmp_path.iterdir()}
    stems = ("episode-0000", "episode-0001")
    assert names == {"set.json", *(f"{s}{e}" for s in stems for e in (".mp4", ".truth.json"))}
    assert [film.name for film in read_truth(tmp_path / "set.json").films] == list(stems)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_set(tmp_path, 2, workers=1, **options)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="at most 100 episodes"):
        write_set(tmp_path, 101, **options)
