"""Themed films: meaning is not the palette; the other films stay what they were."""

import hashlib
import json
from fractions import Fraction

import numpy as np
import pytest

from vujax.data.synthetic.dataset_scenes import open_synthetic_scenes
from vujax.data.synthetic.films import build_film_truth, build_set_truth
from vujax.data.synthetic.ground_truth import Settings
from vujax.data.synthetic.json_values import to_json_value
from vujax.data.synthetic.script import make_scene
from vujax.data.synthetic.world import GENRES, THEME_BY_PLACE, THEMES, make_film

FILMS = [make_film(0, "themed-train", number) for number in range(60)]


def test_films_without_themes_did_not_change():
    """Recorded before there were themes: a change here changes every published figure."""
    settings = Settings(0, "train", 1.0, Fraction(24), 36, 64, 16000, 1)
    truths = build_set_truth(settings, 3), build_film_truth(settings, 2)
    words = "".join(json.dumps(to_json_value(truth)) for truth in truths)
    digest = hashlib.sha256(words.encode()).hexdigest()
    assert digest == "7b5270865df8c1a38c393213a7745493e8c16841ac8fbf388e65b7d4cfe36ad4"


def test_a_genre_tells_of_two_themes_and_has_no_look():
    by_genre = {genre.name: [f for f in FILMS if f.genre.name == genre.name] for genre in GENRES}
    for films in by_genre.values():
        assert len({film.themes for film in films}) == 1
        assert len({film.genre for film in films}) == len({film.palette for film in films})
        assert len({film.genre.gain for film in films}) == len(films) > 1
    themes = [films[0].themes for films in by_genre.values()]
    assert all(sum(theme in pair for pair in themes) == 2 for theme in THEMES)


def test_most_scenes_are_of_the_films_themes_and_events_are_of_the_scenes():
    scenes = [make_scene(film, number) for film in FILMS for number in range(10)]
    of_themes = [THEME_BY_PLACE[scene.place] in scene.film.themes for scene in scenes]
    assert 0.75 < np.mean(of_themes) < 0.95
    for scene in scenes:
        events = THEMES[THEME_BY_PLACE[scene.place]][2:]
        assert {role.event for role in scene.roles} <= set(events)


@pytest.mark.parametrize("split", ["themed-train", "themed-validation"])
def test_scenes_are_labeled_by_theme(split):
    scenes = open_synthetic_scenes(split=split, films=2, minutes=0.5)
    for theme, place in zip(scenes.labels["theme"], scenes.labels["place"], strict=True):
        assert {THEME_BY_PLACE[name] for name in place} == theme
    assert all(f"-{split}-" in movie for movie in scenes.movies)
