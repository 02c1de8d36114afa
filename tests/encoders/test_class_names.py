"""The table of ImageNet classes: complete, in the order of the released classifier."""

from collections import defaultdict
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.models.pretrained import wheels
from vujax.data.images import preprocess_eval_image
from vujax.data.sources import open_source
from vujax.encoders.class_names import CLASS_TABLE, embed_class_names, read_class_names
from vujax.models import efficientnet
from vujax.models.image_spec import ImageSpec

A_CLASS = 1  # picture


class Counted:
    """A sentence encoder that counts its calls."""

    dim, digest = 4, "0" * 64

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.calls += 1
        vectors = np.random.default_rng(0).normal(size=(len(texts), self.dim)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_embeddings_are_computed_once_per_encoder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("VUJAX_CACHE", str(tmp_path))
    sentences, other = Counted(), Counted()
    found = embed_class_names(sentences)
    np.testing.assert_array_equal(embed_class_names(sentences), found)
    other.digest = "1" * 64
    embed_class_names(other)
    assert (sentences.calls, other.calls) == (1, 1)


@pytest.mark.parametrize("damage", ["cut", "pickle", "shape", "zeros"])
def test_a_damaged_cache_is_computed_again(tmp_path: Path, monkeypatch, damage: str) -> None:
    monkeypatch.setenv("VUJAX_CACHE", str(tmp_path))
    found = embed_class_names(Counted())
    (path,) = tmp_path.rglob("*.npy")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    else:
        others = {"pickle": np.array([{}]), "shape": found[:, :2], "zeros": 0 * found}
        np.save(path, others[damage], allow_pickle=True)
    np.testing.assert_array_equal(embed_class_names(again := Counted()), found)
    assert again.calls == 1
    np.testing.assert_array_equal(embed_class_names(again), found)
    assert again.calls == 1


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VUJAX_CACHE", str(tmp_path / "file"))
    assert embed_class_names(Counted()).shape == (1000, 4)


def test_the_table_is_whole() -> None:
    classes = read_class_names()
    assert len(classes) == efficientnet.CLASSES
    wnids = [entry.wnid for entry in classes]
    # The labels of ILSVRC 2012 follow the order of the ids.
    assert wnids == sorted(set(wnids)) and all(w[0] == "n" and w[1:].isdigit() for w in wnids)
    assert all(name.strip() == name != "" for e in classes for name in (e.name, *e.synonyms))
    known = {0: "tench", 207: "golden retriever", 388: "giant panda", 999: "toilet paper"}
    assert {label: classes[label].name.lower() for label in known} == known
    licence = CLASS_TABLE.with_name("LICENSE").read_text()
    assert "MIT License" in licence and "WordNet 3.0 Copyright" in licence


@pytest.mark.real_data
@pytest.mark.parity
@pytest.mark.usefixtures("optimized")
def test_the_order_is_the_classifiers(data_root: Path) -> None:
    """Pictures of 200 classes: the predicted label's id is the picture's, far above 1 in 1,000."""
    source = open_source("webdataset", path=str(data_root / "classes/tinyimagenet/*.tar"))
    pictures = defaultdict(list)
    for record in (source[i] for i in range(0, len(source), 4)):
        if len(own := pictures[record["fields"]["wnid"]]) < A_CLASS:
            own.append(
                preprocess_eval_image(record["image"], ImageSpec.square(efficientnet.IMAGE_SIZE))
            )
    truth = [wnid for wnid, own in pictures.items() for _ in own]
    images = [image for own in pictures.values() for image in own]
    variables = efficientnet.from_released(wheels.load("efficientnet-lite0"))
    apply = jax.jit(lambda x: efficientnet.EfficientNetLite0().apply(variables, x)[1]["logits"])
    batches = np.array_split(np.stack(images[: len(images) // 50 * 50]), len(images) // 50)
    labels = np.concatenate([np.argmax(apply(batch), axis=1) for batch in batches])
    wnids = [read_class_names()[label].wnid for label in labels]
    right = np.mean([a == b for a, b in zip(wnids, truth, strict=False)])
    shifted = np.mean([read_class_names()[(k + 1) % 1000].wnid == t for k, t in zip(labels, truth)])  # noqa: B905
    print(f"{right:.1%} of {len(labels)} pictures are named rightly; shifted by one {shifted:.1%}")
    assert len(pictures) == 200 and right > 0.2 > 10 * shifted
