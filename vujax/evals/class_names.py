"""Human-readable class names of the evaluation sets.

They are TFDS's own lists, cleaned by rules, or written here. A name is part of a sentence ("a photo
of a {}."), so it is lower case where that reads well, without underscores, WordNet ids, path
components or numbers.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

Naming = Callable[[Sequence[str] | None], tuple[str, ...]]


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(name.replace("_", " ") for name in text.split())


CIFAR10 = _split_names("airplane automobile bird cat deer dog frog horse ship truck")
STL10 = _split_names("airplane bird car cat deer dog horse monkey ship truck")
DIGITS = _split_names("0 1 2 3 4 5 6 7 8 9")
PCAM = ("healthy lymph node tissue", "lymph node tissue with a tumour")
CIFAR100 = _split_names("""
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
    cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
    lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
    oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
    spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm
""")
PETS = {"german_shorthaired": "german shorthaired pointer"}
FLOWERS = {"pink-yellow dahlia?": "pink-yellow dahlia"}
EUROSAT = {
    "AnnualCrop": "fields of annual crops",
    "Forest": "forest",
    "HerbaceousVegetation": "herbaceous vegetation",
    "Highway": "a highway",
    "Industrial": "industrial buildings",
    "Pasture": "pasture",
    "PermanentCrop": "fields of permanent crops",
    "Residential": "residential buildings",
    "River": "a river",
    "SeaLake": "a sea or lake",
}
FASHION = {"T-shirt/top": "t-shirt or top"}
CALTECH101 = {
    "airplanes": "airplane",
    "background_google": "cluttered background",
    "car_side": "car seen from the side",
    "cougar_body": "whole cougar",
    "cougar_face": "cougar's face",
    "crocodile_head": "crocodile's head",
    "faces": "person's face",
    "faces_easy": "cropped face",
    "flamingo_head": "flamingo's head",
    "leopards": "leopard",
    "motorbikes": "motorbike",
    "water_lilly": "water lily",
    "yin_yang": "yin and yang symbol",
}


def clean_labels(labels: Sequence[str] | None) -> tuple[str, ...]:
    """Replace underscores by spaces: 'apple_pie' -> 'apple pie'.

    Raises:
      ValueError: there are no labels, or they are numbers.
    """
    if not labels or all(label.isdigit() for label in labels):
        raise ValueError(
            "the source knows its classes by number only; give their names with classes=[...]"
        )
    return tuple(" ".join(label.replace("_", " ").split()) for label in labels)


def clean_labels_except(changes: Mapping[str, str]) -> Naming:
    """Return a naming by `clean_labels`, except for the labels in `changes`."""

    def naming(labels: Sequence[str] | None) -> tuple[str, ...]:
        plain = clean_labels(labels)
        return tuple(changes.get(label, name) for label, name in zip(labels, plain, strict=True))

    return naming


def fixed_names(names: tuple[str, ...]) -> Naming:
    """Return a naming by `names`, or by `clean_labels` where the builder has labels."""

    def naming(labels: Sequence[str] | None) -> tuple[str, ...]:
        numbered = not labels or all(label.isdigit() for label in labels)
        return names if numbered else clean_labels(labels)

    return naming


def clean_scene_paths(labels: Sequence[str] | None) -> tuple[str, ...]:
    """Convert scene paths, qualifier first: '/c/church/outdoor' -> 'outdoor church'."""
    parts = [re.sub(r"^/\w/", "", label).split("/") for label in labels or ()]
    return clean_labels([" ".join(reversed(part)) for part in parts])


def name_imagenet_classes(labels: Sequence[str] | None) -> tuple[str, ...]:
    """Convert WordNet ids ('n01440764') to ImageNet's names ('tench').

    Other labels go through `clean_labels`. The names are the synonym lists that the
    tensorflow_datasets package carries for its SI-Score data set, in ImageNet's order; a class is
    named by its first synonym, or by the last one where two classes share the first (cardigan,
    maillot).

    Raises:
      ValueError: a WordNet id that is not one of ImageNet's 1,000.
    """
    if not labels or not all(re.fullmatch(r"n\d{8}", label) for label in labels):
        return clean_labels(labels)
    table = _imagenet_names()
    unknown = [label for label in labels if label not in table]
    if unknown:
        raise ValueError(f"{unknown[0]} is not one of ImageNet's 1,000 classes")
    return tuple(table[label] for label in labels)


@functools.cache
def _imagenet_names() -> dict[str, str]:
    # Imported here: it takes a second, and only ImageNet's relatives need it.
    import tensorflow_datasets as tfds
    from tensorflow_datasets.datasets.siscore.labels import IMAGENET_LABELS_LIST

    wordnet_ids = tfds.builder("imagenet2012").info.features["label"].names
    plain = (re.sub("[()]", "", entry) for entry in IMAGENET_LABELS_LIST)  # "crane (bird)"
    synonyms = [entry.split(", ") for entry in plain]
    firsts = Counter(entry[0].lower() for entry in synonyms)
    chosen = [entry[0] if firsts[entry[0].lower()] == 1 else entry[-1] for entry in synonyms]
    return dict(zip(wordnet_ids, chosen, strict=True))
