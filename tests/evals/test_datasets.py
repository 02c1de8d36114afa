"""Every entry of the registry against the builder that TFDS ships, and scored end to end.

A few examples with the builder's own features are prepared as array_record, then read, named and
classified by the oracle of `fakes`, all without TensorFlow.
"""

import importlib.resources
import io
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tests.evals.fakes import SIZE, STEP, Oracle, knowing
from vujax.evals import build_evaluator
from vujax.evals.datasets import DATASETS, open_dataset
from vujax.evals.prompt_templates import TEMPLATES, format_prompts

PART_OF_IMAGENET = ("imagenet_r", "imagenet_a")  # 200 of the 1,000 classes have pictures
PER_CLASS = ("pets", "flowers102", "caltech101")  # scored by the mean over classes
CLASSES = 6  # that occur in the prepared sets, at most
NAMES = {  # one class of each set, known independently: label -> name
    "imagenet": {0: "tench", 207: "golden retriever", 999: "toilet tissue"},
    "imagenet_v2": {1: "goldfish"},
    "imagenet_r": {1: "goldfish"},
    "imagenet_a": {6: "stingray"},
    "imagenet_sketch": {985: "daisy"},
    "cifar10": {0: "airplane", 9: "truck"},
    "cifar100": {0: "apple", 39: "keyboard", 58: "pickup truck", 99: "worm"},
    "food101": {0: "apple pie", 100: "waffles"},
    "pets": {0: "Abyssinian", 14: "german shorthaired pointer"},
    "flowers102": {0: "pink primrose", 59: "pink-yellow dahlia"},
    "dtd": {0: "banded", 46: "zigzagged"},
    "sun397": {0: "abbey", 8: "outdoor apartment building"},
    "places365": {0: "airfield", 8: "outdoor apartment building"},
    "caltech101": {0: "accordion", 1: "airplane"},
    "cars": {0: "AM General Hummer SUV 2000", 195: "smart fortwo Convertible 2012"},
    "stl10": {2: "car", 7: "monkey"},
    "eurosat": {0: "fields of annual crops", 8: "a river"},
    "resisc45": {2: "baseball diamond"},
    "mnist": {7: "7"},
    "svhn": {0: "0"},
    "fashion_mnist": {0: "t-shirt or top", 9: "Ankle boot"},
    "pcam": {1: "lymph node tissue with a tumour"},
}


def png(level, shape):
    height, width, channels = (s or d for s, d in zip(shape, (20, 24, 3), strict=True))
    pixels = np.full((height, width, channels), level, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG")
    file.seek(0)
    return file


def value(feature, label, number):
    """Anything that `feature` takes; pictures show the label."""
    if isinstance(feature, tfds.features.ClassLabel):
        return label % feature.num_classes
    if isinstance(feature, tfds.features.Image):
        return png(STEP * label, feature.shape)
    if isinstance(feature, tfds.features.BBoxFeature):
        return tfds.features.BBox(0.0, 0.0, 1.0, 1.0)
    return f"text {number}"


def prepare(builder, split, labels):
    """Write examples of `labels` as the builder would."""
    features = builder.info.features
    examples = (
        (n, {name: value(feature, label, n) for name, feature in features.items()})
        for n, label in enumerate(labels)
    )
    builder._split_generators = lambda *_, **__: {split: examples}
    builder.download_and_prepare(file_format="array_record")


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    # TFDS asks for the backport when it writes, though the standard library has the module.
    monkeypatch.setitem(sys.modules, "importlib_resources", importlib.resources)
    return str(tmp_path)


def test_every_entry_is_tested():
    assert NAMES.keys() == DATASETS.keys()


@pytest.mark.parametrize("name", DATASETS)
def test_builder_classes_and_names(name):
    entry = DATASETS[name]
    builder = tfds.builder(entry.builder, data_dir="/nowhere")
    label = builder.info.features["label"]
    names = entry.naming(tuple(label.names))
    assert label.num_classes == entry.classes == len(names)
    assert len({n.casefold() for n in names}) == entry.classes
    for n in names:
        assert n == n.strip()
        assert not set(n) & set("_/()?#\t") or name == "cars"  # 'Ram C/V Cargo Van'
        assert name in ("mnist", "svhn") or any(c.isalpha() for c in n)
        assert not n.startswith("n0")
    assert {label: names[label] for label in NAMES[name]} == NAMES[name]
    assert entry.templates in TEMPLATES
    assert isinstance(builder.info.features["image"], tfds.features.Image)


@pytest.mark.parametrize("name", DATASETS)
def test_scored_end_to_end_without_tensorflow(name, data_dir, mesh8):
    entry = DATASETS[name]
    count = min(CLASSES, entry.classes)
    labels = [*range(count), 1, 0]
    prepare(tfds.builder(entry.builder, data_dir=data_dir), entry.split, labels)
    evaluator = build_evaluator(
        name, {"kind": name, "source": {"data_dir": data_dir}}, model=Oracle(count), mesh=mesh8
    )
    names = open_dataset(name, data_dir=data_dir).classes
    known = {
        text: label
        for label in range(count)
        for text in format_prompts([names[label]], entry.templates)
    }
    scores = evaluator(knowing(known))
    assert scores["top1"] == scores["mean_class"] == 1.0
    assert scores["classes"] == (count if name in PART_OF_IMAGENET else entry.classes)
    assert scores["examples"] == len(labels)
    assert evaluator.headline == ("mean_class" if name in PER_CLASS else "top1")
    swapped = {text: (label + 1) % count for text, label in known.items()}
    assert evaluator(knowing(swapped))["top1"] == 0.0
    assert "tensorflow" not in sys.modules


def test_prepared_names_win_over_ours(data_dir):
    builder = tfds.builder("cifar10", data_dir=data_dir)
    builder.info.features["label"].names = [f"kind_{i}" for i in range(10)]
    prepare(builder, "test", [0, 1])
    assert open_dataset("cifar10", data_dir=data_dir).classes[3] == "kind 3"


def test_another_split_for_a_probe(data_dir, mesh1):
    prepare(tfds.builder("stl10", data_dir=data_dir), "train", [0, 1, 2, 0])
    source = open_dataset("stl10", data_dir=data_dir, split="train")
    assert (len(source), source.classes[2]) == (4, "car")
    with pytest.raises((FileNotFoundError, ValueError), match="test"):
        open_dataset("stl10", data_dir=data_dir)


def test_a_folder_by_wordnet_id(tmp_path, mesh1):
    for number, wordnet_id in enumerate(("n01440764", "n02979186")):
        folder = tmp_path / "val" / wordnet_id
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(png(STEP * number, (SIZE, SIZE, 3)).read())
    source = {"layout": "folder", "path": str(tmp_path / "val")}
    with pytest.raises(ValueError, match=r"imagenet has 1000 classes, .* has 2"):
        open_dataset("imagenet", **source)
    config = {"kind": "zero_shot", "source": {"kind": "folder", "path": source["path"]}}
    config |= {"classes": "imagenet", "templates": "name"}
    evaluator = build_evaluator("x", config, model=Oracle(2), mesh=mesh1)
    assert evaluator(knowing({"tench": 0, "cassette player": 1}))["top1"] == 1.0


def test_not_prepared_says_where(tmp_path):
    with pytest.raises(FileNotFoundError, match="cifar10"):
        open_dataset("cifar10", data_dir=str(tmp_path))
