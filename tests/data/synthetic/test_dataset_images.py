"""Captioned frames: records, shares of noise, labels, wrong options."""

import pickle
import zlib
from collections import Counter

import numpy as np
import pytest

from vujax.data.synthetic import SyntheticImages
from vujax.data.synthetic.captions import CLASSES, GENERIC


def _same(a: dict, b: dict) -> bool:
    images = np.array_equal(a["image"], b["image"])
    return images and all(a[k] == b[k] for k in ("key", "captions", "label"))


def test_records_are_pure_functions_of_the_index():
    source = SyntheticImages(frames=50)
    forward = [source[i] for i in range(10)]
    again = SyntheticImages(frames=50)
    for i in reversed(range(10)):
        assert _same(forward[i], again[i])


def test_pickled_sources_give_the_same_records():
    source = SyntheticImages("validation", seed=3, label="kind", captions_per_image=2)
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source
    assert _same(source[7], copy[7])


def test_record_has_the_agreed_form():
    record = SyntheticImages(image_size=48, captions_per_image=3)[np.int64(5)]
    assert set(record) == {"key", "image", "captions", "label"}
    assert record["image"].shape == (48, 48, 3) and record["image"].dtype == np.uint8
    assert len(record["captions"]) == 3 and all(isinstance(c, str) for c in record["captions"])
    assert isinstance(record["label"], int)


def test_golden_captions_and_picture():
    """Recorded once: a change here changes every published figure of the synthetic films."""
    source = SyntheticImages()
    assert [source[i]["captions"][0] for i in (0, 1, 5, 9)] == [
        "at dusk, a robot with a telescope at school",
        "a cat wearing orange playing a guitar",
        "in the daytime, an astronaut holding an umbrella in front of a clown",
        "a wizard in front of a clown in the desert",
    ]
    assert abs(float(source[0]["image"].mean()) - 93.28) < 0.05


@pytest.mark.parametrize("captions_per_image", [1, 2])
def test_shares_of_noise_are_exact(captions_per_image: int):
    source = SyntheticImages(
        frames=500, generic=0.2, swapped=0.1, captions_per_image=captions_per_image
    )
    noise = Counter(n for i in range(500) for n in source.truth(i).noise)
    total = 500 * captions_per_image
    assert noise == {"none": 0.7 * total, "generic": 0.2 * total, "swapped": 0.1 * total}


def test_noise_is_what_truth_says_it_is():
    source = SyntheticImages(frames=400)
    untrue = 0
    for i in range(400):
        truth = source.truth(i)
        text, noise = source_text(source, i), truth.noise[0]
        assert text == truth.captions[0].text
        assert (text in GENERIC) == (noise == "generic")
        assert noise != "none" or truth.captions[0].fits(truth.facts)
        untrue += not truth.captions[0].fits(truth.facts)
    # Only a swap can be untrue, and most swaps are.
    assert 0.8 * 40 < untrue <= 40


def source_text(source: SyntheticImages, index: int) -> str:
    return source[index]["captions"][0]


def test_validation_captions_are_all_true():
    source = SyntheticImages("validation")
    for i in range(len(source)):
        truth = source.truth(i)
        assert truth.noise == ("none",) and truth.captions[0].fits(truth.facts)


def test_captions_are_many_to_many():
    """Check that a caption fits several frames and a frame several captions."""
    truths = [SyntheticImages("validation").truth(i) for i in range(300)]
    fits = np.array([[t.captions[0].fits(image.facts) for t in truths] for image in truths])
    assert (fits.sum(axis=0) > 1).mean() > 0.5
    assert (fits.sum(axis=1) > 1).mean() > 0.5


def test_splits_are_disjoint():
    train, held_out = SyntheticImages(frames=300), SyntheticImages("validation", frames=300)
    palettes = [{s.truth(i).shot.scene.film.palette for i in range(300)} for s in (train, held_out)]
    assert not palettes[0] & palettes[1]
    pictures = [{zlib.crc32(s[i]["image"]) for i in range(100)} for s in (train, held_out)]
    assert not pictures[0] & pictures[1]
    assert len(pictures[0]) == 100
    assert train.classes == held_out.classes


@pytest.mark.parametrize("label", list(CLASSES))
def test_labels_name_the_truth(label: str):
    source = SyntheticImages("validation", label=label)
    for i in range(0, 60, 7):
        name, facts = source.classes[source[i]["label"]], source.truth(i).facts
        if label in ("kind", "character"):
            assert facts["kind"] in name
        if label in ("colour", "character"):
            assert facts["colour"] in name
        assert name in CLASSES[label].values()


def test_every_class_occurs_in_validation():
    source = SyntheticImages("validation", label="character", frames=1024)
    for name, least in (("place", 30), ("kind", 50), ("event", 50), ("colour", 50)):
        counts = Counter(source.truth(i).facts[name] for i in range(1024))
        assert len(counts) == len(CLASSES[name]) and min(counts.values()) >= least


@pytest.mark.parametrize(
    "options, message",
    [
        ({"split": "test"}, "unknown split 'test'; expected one of: train, validation"),
        ({"label": "mood"}, "unknown label 'mood'; expected one of: place"),
        ({"frames": 0}, "frames must be at least 1, got 0"),
        ({"image_size": -1}, "image_size must be at least 1, got -1"),
        ({"generic": 0.9, "swapped": 0.2}, "together at most 1"),
        ({"swapped": -0.1}, "neither below 0"),
        ({"frames": 1, "swapped": 0.5}, "at least 2 frames"),
    ],
)
def test_wrong_options_say_so(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        SyntheticImages(**options)


@pytest.mark.parametrize("index", [-1, 10])
def test_an_index_outside_says_so(index: int):
    with pytest.raises(IndexError, match=f"record {index} is outside 0..9"):
        SyntheticImages(frames=10)[index]
