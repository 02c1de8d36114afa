"""Files of embeddings with captions, and their training batches."""

import contextlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vujax.data.captions import (
    CaptionDataset,
    EmbeddingPairs,
    batch_spec,
    concat_pairs,
    read_embedding_pairs,
    write_embedding_pairs,
)

CAPTIONS = (("a boat", "the boat"), (), ("a dog",), (" ", "a cat", "two cats", "cats"))


def some(**changes) -> EmbeddingPairs:
    """Four pictures, one without captions."""
    vectors = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    keys = tuple(f"p{i}" for i in range(4))
    return EmbeddingPairs(**dict(embeddings=vectors, captions=CAPTIONS, keys=keys) | changes)


def test_a_file_comes_back(tmp_path):
    pairs = some(encoder="lite", digest="ab" * 32)
    found = read_embedding_pairs(write_embedding_pairs(pairs, tmp_path / "deep" / "pairs.parquet"))
    np.testing.assert_array_equal(found.embeddings, pairs.embeddings)
    assert found.embeddings.dtype == np.float32
    assert (found.captions, found.keys) == (pairs.captions, pairs.keys)
    assert (found.encoder, found.digest, found.dim) == ("lite", "ab" * 32, 5)


def test_other_peoples_files(tmp_path):
    vectors = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64(), 2))
    table = pa.table(
        {"vector": vectors, "key": ["a", "b"], "captions": [["x"], []], "more": [1, 2]}
    )
    pq.write_table(table, tmp_path / "mine.parquet")
    found = read_embedding_pairs(tmp_path / "mine.parquet")
    assert found.embeddings.tolist() == [[1, 2], [3, 4]] and found.encoder == ""


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.parquet does not exist"):
        read_embedding_pairs(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("PAR1")
    with pytest.raises(ValueError, match=r"text.parquet is damaged, or has no columns key"):
        read_embedding_pairs(tmp_path / "text.parquet")
    ragged = pa.table({"key": ["a"], "captions": [["x"]], "vector": [[1.0, 2.0]]})
    pq.write_table(ragged, tmp_path / "ragged.parquet")
    with pytest.raises(ValueError, match=r"vector \(lists of one length"):
        read_embedding_pairs(tmp_path / "ragged.parquet")
    vector = pa.array([[1.0], None], pa.list_(pa.float32(), 1))
    table = pa.table({"key": ["a", "b"], "captions": [["x"], ["y"]], "vector": vector})
    pq.write_table(table, tmp_path / "null.parquet")
    with pytest.raises(ValueError, match="lacks its key, captions or vector"):
        read_embedding_pairs(tmp_path / "null.parquet")


def test_numbers_are_finite_and_belong_together():
    with pytest.raises(ValueError, match="embedding of 'p2' contains NaN"):
        some(embeddings=np.where(np.arange(4)[:, None] == 2, np.nan, np.ones((4, 5))))
    with pytest.raises(ValueError, match="do not belong together"):
        some(keys=("a",))


def test_joined():
    both = concat_pairs([some(), some(keys=tuple("abcd"))])
    assert both.keys == ("p0", "p1", "p2", "p3", *"abcd") and both.embeddings.shape == (8, 5)
    with pytest.raises(ValueError, match="embeddings of different encoders cannot be mixed: "):
        concat_pairs([some(), some(encoder="lite")])
    with pytest.raises(ValueError, match="name at least one source"):
        concat_pairs([])


def test_pictures_without_captions_are_left_out():
    kept = some().captioned()
    assert kept.keys == ("p0", "p2", "p3")
    assert kept.captions[-1] == ("a cat", "two cats", "cats")
    with pytest.raises(ValueError, match="no image has a caption"):
        CaptionDataset(some(captions=((), (" ",), (), ())), vocab=600, context=8)


def batches(rows: CaptionDataset, steps: int, **options) -> list[dict[str, np.ndarray]]:
    with contextlib.closing(rows.train_batches(**options)) as found:
        return [next(found) for _ in range(steps)]


def test_batches_are_functions_of_seed_and_step():
    rows = CaptionDataset(some(), vocab=600, context=8)
    assert rows.examples == 3
    whole = batches(rows, 6, batch_size=4, seed=1)
    for name, shape in batch_spec(5, 8, 4).items():
        assert whole[0][name].shape == shape.shape and whole[0][name].dtype == shape.dtype
    later = batches(rows, 2, batch_size=4, seed=1, start_step=4)
    halves = [batches(rows, 6, batch_size=4, seed=1, host=h, hosts=2) for h in (0, 1)]
    for name in whole[0]:
        np.testing.assert_array_equal(later[1][name], whole[5][name])
        for step in range(6):
            joint = np.concatenate([half[step][name] for half in halves])
            np.testing.assert_array_equal(joint, whole[step][name])
    other = batches(rows, 6, batch_size=4, seed=2)
    assert any((a["tokens"] != b["tokens"]).any() for a, b in zip(whole, other, strict=True))


def test_every_caption_of_a_picture_is_taken_in_turn():
    rows = CaptionDataset(some(), vocab=600, context=12)
    found: dict[bytes, set[str]] = {}
    for batch in batches(rows, 20, batch_size=4, seed=0):
        for vector, tokens in zip(batch["vector"], batch["tokens"], strict=True):
            found.setdefault(vector.tobytes(), set()).add(rows.tokenizer.decode(tokens))
    kept = rows.pairs
    wanted = {v.tobytes(): set(own) for v, own in zip(kept.embeddings, kept.captions, strict=True)}
    assert found == wanted
