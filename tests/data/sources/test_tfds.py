"""TFDS data sets without TensorFlow."""

import importlib.resources
import io
import pickle
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.data.samples import encoded, pixels
from vujax.data.images import preprocess_eval_image
from vujax.data.records import BadSample
from vujax.data.sources import open_source
from vujax.data.sources.tfds import TfdsSource
from vujax.models.image_spec import ImageSpec


class TinyPairs(tfds.core.GeneratorBasedBuilder):
    """Six pictures, prepared here without TensorFlow."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        text = tfds.features.Text()
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cat", "dog", "owl"]),
            "captions": tfds.features.Sequence({"text": text, "id": np.int64}),
            "titles": tfds.features.Sequence(text),
            "title": text,
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for i in range(6):
            yield (
                i,
                {
                    "image": io.BytesIO(encoded(i, "PNG")),
                    "label": i % 3,
                    "captions": [{"text": f"{word} {i}", "id": i} for word in ("one", "two")],
                    "titles": [f"title {i}", f"name {i}"],
                    "title": f"title é {i}",
                },
            )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        # TFDS asks for the backport when it writes, though the standard library has the module.
        patch.setitem(sys.modules, "importlib_resources", importlib.resources)
        TinyPairs(data_dir=str(folder), file_format="array_record").download_and_prepare()
    return str(folder)


def numbers(source):
    return [int(r["captions"][0].split()[-1]) for r in source]


def test_records_without_tensorflow(data_dir):
    source = TfdsSource(
        "tiny_pairs", split="train", data_dir=data_dir, caption="title", key="title"
    )
    assert "tensorflow" not in sys.modules
    assert source.classes == ("cat", "dog", "owl")
    assert sorted(numbers(source)) == list(range(6))
    for number, found in zip(numbers(source), source, strict=True):
        assert found["image"].startswith(b"\x89PNG")
        np.testing.assert_array_equal(
            preprocess_eval_image(found["image"], ImageSpec.square(24)), pixels(number)
        )
        assert (found["label"], found["key"]) == (number % 3, f"title é {number}")
        assert found["fields"]["title"] == f"title é {number}"
    with pytest.raises(IndexError):
        source[6]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("captions.text", ["one {}", "two {}"]),
        ("titles", ["title {}", "name {}"]),
        (["title", "titles"], ["title é {}", "title {}", "name {}"]),
        (None, []),
    ],
)
def test_captions_from_nested_features(data_dir, caption, expected):
    name = "tiny_pairs:1.0.0"
    source = open_source("tfds", name=name, split="train", data_dir=data_dir, caption=caption)
    number = source[2]["fields"]["title"].split()[-1]
    assert source[2]["captions"] == [text.format(number) for text in expected]
    assert source[2]["key"] == "train-2"


def test_parts_of_a_split(data_dir):
    options = dict(data_dir=data_dir, caption="title")
    parts = [TfdsSource("tiny_pairs", split=f"train[{s}]", **options) for s in ("2:", ":2")]
    assert [len(part) for part in parts] == [4, 2]
    assert sorted(numbers(parts[0]) + numbers(parts[1])) == list(range(6))


def test_captions_in_another_encoding_are_bad_or_decoded_by_option(data_dir):
    options = dict(split="train", data_dir=data_dir, caption="titles")
    example = {"image": b"x", "label": 0, "titles": [b"one", "caf\xe9".encode("latin-1")]}
    source, latin = (
        TfdsSource("tiny_pairs", **options, **o) for o in ({}, {"encoding": "latin-1"})
    )
    source._data = latin._data = [example]
    with pytest.raises(
        BadSample, match="example 0 of tiny_pairs train: its feature 'titles' is not"
    ):
        source[0]
    assert latin[0]["captions"] == ["one", "café"]


def test_a_pickled_source_reads_the_same(data_dir):
    source = TfdsSource("tiny_pairs", split="train", data_dir=data_dir)
    assert list(pickle.loads(pickle.dumps(source))) == list(source)


def test_what_is_missing_is_named(data_dir, tmp_path):
    with pytest.raises(ValueError, match=r"has no feature 'text': it has \['captions', 'image'"):
        TfdsSource("tiny_pairs", split="train", data_dir=data_dir, caption="text")
    with pytest.raises(ValueError, match=r"has no feature 'captions\.words'"):
        TfdsSource("tiny_pairs", split="train", data_dir=data_dir, caption="captions.words")
    with pytest.raises(ValueError, match="has no feature 'class'"):
        TfdsSource("tiny_pairs", split="train", data_dir=data_dir, label="class")
    with pytest.raises(FileNotFoundError, match="'no_such_set' was not found in"):
        TfdsSource("no_such_set", split="train", data_dir=data_dir)
    with pytest.raises(FileNotFoundError, match=r"cifar10.* is not prepared as array_record"):
        TfdsSource("cifar10", split="train", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="test"):
        TfdsSource("tiny_pairs", split="test", data_dir=data_dir)
