"""Files of features, their splits and their training batches."""

import contextlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vujax.data.captions import EmbeddingPairs, read_embedding_pairs
from vujax.data.feature_pairs import (
    FeatureDataset,
    FeaturePairs,
    batch_spec,
    concat_feature_pairs,
    read_feature_pairs,
    shuffle_captions,
    split_pairs,
    write_feature_pairs,
)

CAPTIONS = (("a boat", "the boat"), ("a dog",), ("a cat", "two cats", "cats"), ("a dog",))


def some_pairs(captions=CAPTIONS, seed: int = 0, **changes) -> FeaturePairs:
    rng, n = np.random.default_rng(seed), len(captions)
    images = EmbeddingPairs(
        rng.normal(size=(n, 5)).astype(np.float32), captions, tuple(f"p{i}" for i in range(n)),
        "lite", "ab" * 32,
    )  # fmt: skip
    texts = rng.normal(size=(sum(map(len, captions)), 3)).astype(np.float32)
    return FeaturePairs(**dict(images=images, texts=texts, text_encoder="minilm") | changes)


def many_pairs(n: int) -> FeaturePairs:
    return some_pairs(tuple((f"thing {i}",) for i in range(n)))


def save_npz(folder: Path, **changes) -> Path:
    arrays = (
        dict(image=np.eye(4, 5), text=np.eye(4, 3), captions=np.array(["a", "b", " ", "d"]))
        | changes
    )
    np.savez(folder / "pairs.npz", **{k: v for k, v in arrays.items() if v is not None})
    return folder / "pairs.npz"


def test_a_file_comes_back_and_serves_captioners(tmp_path):
    pairs = some_pairs(text_digest="cd", shuffled=np.array([0, 1, 0, 1], bool))
    path = write_feature_pairs(pairs, tmp_path / "pairs.parquet")
    found = read_feature_pairs(path)
    np.testing.assert_array_equal(found.images.embeddings, pairs.images.embeddings)
    np.testing.assert_array_equal(found.texts, pairs.texts)
    np.testing.assert_array_equal(found.shuffled, pairs.shuffled)
    assert (found.captions, found.images.keys) == (pairs.captions, pairs.images.keys)
    assert (found.text_encoder, found.text_digest) == ("minilm", "cd")
    assert (found.images.encoder, found.images.digest) == ("lite", "ab" * 32)
    assert read_embedding_pairs(path).captions == CAPTIONS


def test_arrays_of_any_origin(tmp_path):
    found = read_feature_pairs(save_npz(tmp_path))
    assert found.captions == (("a",), ("b",), ("d",))  # without the blank one
    assert found.texts.tolist() == np.eye(4, 3)[[0, 1, 3]].tolist()
    assert found.images.keys == ("0", "1", "3") and found.images.encoder == ""
    assert found.shuffled is None
    named = read_feature_pairs(
        save_npz(tmp_path, key=np.array(list("wxyz")), shuffled=np.ones(4), encoder="lite")
    )
    assert named.images.keys == ("w", "x", "z") and named.images.encoder == "lite"
    assert named.shuffled.tolist() == [True] * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(text=np.eye(3)), r"image \[4, 5\], text \[3, 3\] and captions \[4\]: give arrays"),
        (dict(captions=np.array(["a"])), r"captions \[1\]: give arrays"),
        (dict(text=None), r"no arrays image \[n d1\], text \[n d2\] and captions"),
        (dict(image=np.full((4, 5), np.nan)), "the embedding of '0' contains NaN"),
        (dict(text=np.full((4, 3), np.inf)), "a caption of '0' contains NaN or infinity"),
        (dict(shuffled=np.ones(2)), "'shuffled' has the shape"),
    ],
)
def test_arrays_that_do_not_belong_together(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        read_feature_pairs(save_npz(tmp_path, **changes))
    assert "pairs.npz" in str(error.value)


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.npz does not exist"):
        read_feature_pairs(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("PK")
    with pytest.raises(ValueError, match=r"text.npz is damaged, or has no arrays"):
        read_feature_pairs(tmp_path / "text.npz")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match=r"expected one of: .parquet, .npz"):
        read_feature_pairs(tmp_path / "a.txt")
    path = write_feature_pairs(some_pairs(), tmp_path / "pairs.parquet")
    pq.write_table(pq.read_table(path).drop_columns("text"), path)
    with pytest.raises(ValueError, match=r"has no column text .*vujax pairs features"):
        read_feature_pairs(path)
    with pytest.raises(ValueError, match="4 images have 7 captions, but the embeddings of texts"):
        some_pairs(texts=np.zeros((6, 3), np.float32))


def test_joined():
    both = concat_feature_pairs([some_pairs(), some_pairs(seed=1)])
    assert len(both) == 8 and len(both.texts) == 14 and both.shuffled is None
    with pytest.raises(ValueError, match=r"different text encoders cannot be mixed: clip \[3\]"):
        concat_feature_pairs([some_pairs(), some_pairs(text_encoder="clip")])


def test_taken_images_keep_their_captions():
    pairs = some_pairs()
    taken = pairs.take([2, 0])
    np.testing.assert_array_equal(taken.texts, pairs.texts[[3, 4, 5, 0, 1]])
    assert taken.captions == (CAPTIONS[2], CAPTIONS[0])
    assert taken.owner.tolist() == [0, 0, 0, 1, 1]


def test_a_split_depends_on_the_record_only():
    pairs, rule = many_pairs(200), dict(field="key", modulo=5)
    train, held_out = (split_pairs(pairs, rule, split) for split in ("train", "validation"))
    assert sorted(train.images.keys + held_out.images.keys) == sorted(pairs.images.keys)
    assert 20 < len(held_out) < 60
    fewer = split_pairs(pairs.take(range(150, 50, -1)), rule, "validation")
    assert set(fewer.images.keys) < set(held_out.images.keys)
    assert split_pairs(pairs, None, "train") is split_pairs(pairs, dict(modulo=0), "train") is pairs


def test_equal_images_and_equal_captions_stay_on_one_side():
    pairs = many_pairs(100)
    copies = concat_feature_pairs([pairs, pairs.take(range(100))])
    renamed = EmbeddingPairs(
        copies.images.embeddings, copies.captions, tuple(f"k{i}" for i in range(200))
    )
    held_out = split_pairs(FeaturePairs(renamed, copies.texts), dict(modulo=3), "validation")
    places = {int(key[1:]) for key in held_out.images.keys}
    assert {(place + 100) % 200 for place in places} == places
    same = some_pairs(tuple((f"Thing  {i % 10}",) for i in range(60)))
    held_out = split_pairs(same, dict(field="caption", modulo=3), "validation")
    assert len(held_out) == 6 * len(set(held_out.captions))


def test_a_split_needs_both_sides():
    with pytest.raises(ValueError, match="1 pairs cannot be split"):
        split_pairs(many_pairs(1), dict(modulo=2), "train")
    with pytest.raises(ValueError, match=r"unknown hold_out.field 'id'"):
        split_pairs(many_pairs(9), dict(field="id"), "train")


def test_shuffled_captions_are_recorded():
    pairs = many_pairs(50)
    wrong = shuffle_captions(pairs, 0.4, seed=1)
    assert wrong.shuffled.sum() == 20
    moved = [a != b for a, b in zip(pairs.captions, wrong.captions, strict=True)]
    assert wrong.shuffled.tolist() == moved
    row_by_caption = dict(zip(pairs.captions, pairs.texts, strict=True))
    for own, row in zip(wrong.captions, wrong.texts, strict=True):
        np.testing.assert_array_equal(row, row_by_caption[own])
    np.testing.assert_array_equal(wrong.images.embeddings, pairs.images.embeddings)
    same = some_pairs((("A dog",), ("a  dog",), ("a dog",)))
    assert not shuffle_captions(same, 1.0).shuffled.any()  # another's caption, but an equal one
    with pytest.raises(ValueError, match="from 0 to 1, got 2"):
        shuffle_captions(pairs, 2)


def test_nothing_to_contrast():
    with pytest.raises(ValueError, match="1 pair cannot be learned from"):
        FeatureDataset(many_pairs(1))
    with pytest.raises(ValueError, match="all 3 images have the same caption 'A dog'"):
        FeatureDataset(some_pairs((("A dog",), ("a  dog",), ("a dog",))))


def batches(data: FeatureDataset, steps: int, **options) -> list[dict[str, np.ndarray]]:
    with contextlib.closing(data.train_batches(**options)) as found:
        return [next(found) for _ in range(steps)]


def test_batches_hold_an_image_with_one_of_its_captions():
    pairs = some_pairs()
    data = FeatureDataset(pairs)
    found = batches(data, 12, batch_size=4, seed=1)
    for name, shape in batch_spec(5, 3, 4).items():
        assert found[0][name].shape == shape.shape and found[0][name].dtype == shape.dtype
    later = batches(data, 1, batch_size=4, seed=1, start_step=11)
    np.testing.assert_array_equal(later[0]["tokens"], found[11]["tokens"])
    seen = {
        (image.tobytes(), text.tobytes())
        for batch in found
        for image, text in zip(batch["image"], batch["tokens"], strict=True)
    }
    rows = zip(pairs.owner, pairs.texts, strict=True)
    assert seen == {(pairs.images.embeddings[i].tobytes(), text.tobytes()) for i, text in rows}
