"""Class names against TFDS's own lists."""

import json

import pytest

from vujax.evals import class_names


def test_imagenet_names_by_wordnet_id_in_any_order():
    found = class_names.name_imagenet_classes(["n01440764", "n02979186", "n02012849", "n03126707"])
    assert found == ("tench", "cassette player", "crane bird", "crane machine")
    assert class_names.name_imagenet_classes(["red_fox", "b"]) == ("red fox", "b")


def test_imagenet_names_are_all_different():
    table = class_names._imagenet_names()
    assert len(table) == len({name.lower() for name in table.values()}) == 1000
    assert (table["n02113186"], table["n02963159"]) == ("Cardigan Welsh corgi", "cardigan")


def test_unknown_wordnet_id():
    with pytest.raises(ValueError, match="n00000001 is not one of ImageNet"):
        class_names.name_imagenet_classes(["n01440764", "n00000001"])


def test_numbers_are_no_names():
    assert (
        class_names.fixed_names(class_names.STL10)([str(i) for i in range(10)]) == class_names.STL10
    )
    assert class_names.fixed_names(class_names.STL10)(None) == class_names.STL10
    assert class_names.fixed_names(class_names.STL10)(["big_cat", "dog"]) == ("big cat", "dog")
    for naming in (
        class_names.clean_labels,
        class_names.clean_scene_paths,
        class_names.name_imagenet_classes,
    ):
        for labels in (["0", "1"], None):
            with pytest.raises(ValueError, match="by number only"):
                naming(labels)


def test_rules():
    labels = ["/c/church/outdoor", "temple/asia", "/a/abbey"]
    assert class_names.clean_scene_paths(labels) == ("outdoor church", "asia temple", "abbey")
    assert class_names.clean_labels_except({"a_b": "c"})(["a_b", "d_e"]) == ("c", "d e")


def test_lists_written_here_are_in_label_order():
    assert (len(class_names.CIFAR100), class_names.CIFAR100[1], class_names.CIFAR100[99]) == (
        100,
        "aquarium fish",
        "worm",
    )
    for listed in (class_names.CIFAR10, class_names.CIFAR100, class_names.STL10):
        assert list(listed) == sorted(set(listed))  # all three sets number their classes by name


@pytest.mark.real_data
def test_names_agree_with_independent_lists(data_root):
    entries = json.loads((data_root / "classes/tinyimagenet/classes.json").read_text())
    ours = class_names.name_imagenet_classes([entry["wnid"] for entry in entries])
    different = [n for n, e in zip(ours, entries, strict=True) if n != e["synonyms"][0]]
    assert different == ["crane machine"]
    cifar = json.loads((data_root / "classes/cifar10/classes.json").read_text())
    assert cifar == list(class_names.CIFAR10)
