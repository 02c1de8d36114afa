"""Captions: facts in the text, generic captions, classes."""

from collections import Counter

import pytest

from vujax.data.synthetic.captions import (
    CLASSES,
    EVENT_PHRASES,
    GENERIC,
    MAIN,
    PLACE_PHRASES,
    Caption,
    find_class,
    make_caption,
    make_generic_caption,
)

FACTS = {
    "place": "harbour",
    "kind": "astronaut",
    "colour": "orange",
    "event": "guitar",
    "framing": "close",
    "time": "night",
    "weather": "rain",
    "companion": "bear",
}


@pytest.fixture(scope="module")
def captions() -> list[Caption]:
    return [make_caption(FACTS, ("test", i)) for i in range(400)]


def test_captions_state_only_facts_and_at_least_a_main_one(captions):
    for caption in captions:
        assert caption.fits(FACTS)
        assert any(name in MAIN for name, _ in caption.facts)


def test_the_words_say_what_the_facts_say(captions):
    """Check that each stated fact is in the text, and no other one."""
    signs = {
        "kind": ("astronaut",),
        "colour": ("orange",),
        "place": PLACE_PHRASES["harbour"],
        "event": EVENT_PHRASES["guitar"],
        "companion": ("bear",),
        "framing": ("close-up",),
    }
    for caption in captions:
        for name, words in signs.items():
            assert (name in dict(caption.facts)) == any(word in caption.text for word in words)


def test_wording_varies_and_grammar_holds(captions):
    texts = [caption.text for caption in captions]
    assert len(set(texts)) > 300
    for text in texts:
        assert "a astronaut" not in text and "a orange" not in text and "{" not in text
        assert text == text.strip() and "  " not in text


def test_fits_is_false_for_other_facts():
    caption = Caption("a bear in the forest", (("kind", "bear"), ("place", "forest")))
    assert caption.fits(FACTS | {"kind": "bear", "place": "forest"})
    assert not caption.fits(FACTS | {"kind": "bear"})
    assert not caption.fits({})


def test_generic_captions_fit_everything():
    texts = Counter(make_generic_caption(("test", i)).text for i in range(300))
    assert set(texts) == set(GENERIC)
    assert make_generic_caption(("test", 0)).fits({})


@pytest.mark.parametrize("label", list(CLASSES))
def test_classes_are_readable_and_distinct(label: str):
    names = list(CLASSES[label].values())
    assert len(set(names)) == len(names)
    assert find_class(FACTS, label) in CLASSES[label]


def test_class_names_read_like_captions():
    assert CLASSES["place"]["harbour"] == "someone in the harbour"
    assert CLASSES["kind"]["astronaut"] == "an astronaut"
    assert CLASSES["character"]["king in orange"] == "a king in orange"
    assert len(CLASSES["character"]) == 80
