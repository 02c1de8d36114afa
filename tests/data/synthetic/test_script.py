"""The script: scenes and shots as functions of the film."""

from collections import Counter

import pytest

from vujax.data.synthetic.captions import EVENT_PHRASES, PLACE_PHRASES
from vujax.data.synthetic.figures import HEADS
from vujax.data.synthetic.places import PAINTERS
from vujax.data.synthetic.props import EVENTS as PROPS
from vujax.data.synthetic.script import NEVER_CLOSE, make_scene, make_shot
from vujax.data.synthetic.world import EVENTS, KINDS, PLACES, WINDOWLESS, make_film


def _shots(films: int = 12, scenes: int = 4):
    for number in range(films):
        film = make_film(0, "train", number)
        for n in range(scenes):
            scene = make_scene(film, n)
            yield from (make_shot(scene, k) for k in range(scene.shots))


@pytest.mark.parametrize(
    "words, table",
    [
        (KINDS, HEADS),
        (EVENTS, PROPS),
        (PLACES, PAINTERS),
        (EVENTS, EVENT_PHRASES),
        (PLACES, PLACE_PHRASES),
    ],
)
def test_every_word_can_be_drawn_and_said(words, table):
    assert set(words) == set(table)


def test_a_film_is_a_function_of_its_key():
    make_film.cache_clear()
    first = make_film(3, "train", 5)
    make_film.cache_clear()
    assert first == make_film(3, "train", 5)
    for other in ((4, "train", 5), (3, "validation", 5), (3, "train", 6)):
        assert make_film(*other).palette != first.palette


def test_cast_and_places_recur_within_a_film():
    for shot in _shots():
        film = shot.scene.film
        assert shot.lead.character in film.cast
        assert shot.scene.place in film.places
        assert len({c.kind for c in film.cast}) == 4


def test_scenes_have_2_to_15_shots_and_reverse_shots_change_sides():
    for number in range(30):
        scene = make_scene(make_film(0, "train", number), 0)
        assert 2 <= scene.shots <= 15
        if len(scene.roles) == 2:
            a, b = make_shot(scene, 0), make_shot(scene, 1)
            assert a.lead != b.lead and a.side == -b.side


def test_facts_are_only_what_can_be_seen():
    for shot in _shots():
        facts = shot.facts
        assert ("time" in facts) == (shot.scene.place not in WINDOWLESS)
        assert ("companion" in facts) == (shot.companion is not None)
        assert not (facts["framing"] == "close" and facts["event"] in NEVER_CLOSE)
        assert shot.companion is None or shot.companion != shot.lead
        assert shot.companion is None or shot.framing != "close"


def test_no_place_or_kind_is_rare():
    counts = Counter(value for s in _shots(60) for value in (s.scene.place, s.lead.event))
    assert all(counts[word] > 20 for word in (*PLACES, *EVENTS))
