"""Embeddings of whole data sets: equal on any devices, each example once."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.evals.fakes import unit_rows
from vujax.evals.features import extract, extract_texts, padded_size, place_rows, text_batches
from vujax.models.tokenizers.clip import tokenize

WEIGHTS = unit_rows(np.random.default_rng(0), 12, 5)


def encode(variables, batch):
    return jnp.matmul(
        batch["image"].reshape(len(batch["image"]), -1), variables, precision="highest"
    )


def data(n):
    return np.random.default_rng(1).normal(size=(n, 2, 2, 3)).astype(np.float32)


def batches(images, size, hosts=1):
    """Join batches of several hosts: host 0's rows, then host 1's ..."""
    for start in range(0, len(images), size):
        position = np.concatenate([np.arange(start + h, start + size, hosts) for h in range(hosts)])
        mask = position < len(images)
        image = images[np.where(mask, position, 0)]
        label = np.where(mask, position % 7, -1)
        yield {
            "image": image,
            "mask": mask,
            "position": position.astype(np.int32),
            "label": label.astype(np.int32),
        }


@pytest.mark.parametrize(("size", "hosts"), [(8, 1), (16, 1), (16, 2), (32, 4), (48, 1)])
def test_equal_for_all_sizes_devices_and_hosts(mesh1, mesh8, size, hosts):
    images = data(43)
    expected = images.reshape(43, -1).astype(np.float64) @ WEIGHTS
    for mesh in (mesh1, mesh8):
        found = extract(encode, WEIGHTS, batches(images, size, hosts), mesh=mesh)
        chex.assert_trees_all_close(found["embeddings"], np.float32(expected), atol=2e-6)
        np.testing.assert_array_equal(found["position"], np.arange(43))
        np.testing.assert_array_equal(found["label"], np.arange(43) % 7)
        assert found["embeddings"].dtype == np.float32


def test_compiled_once_for_all_calls(mesh8):
    traces = []

    def counted(variables, batch):
        traces.append(1)
        return encode(variables, batch)

    for _ in range(3):
        extract(counted, WEIGHTS, batches(data(20), 8), mesh=mesh8)
    assert len(traces) == 1


def test_bfloat16_results_become_float32(mesh8):
    def half(variables, batch):
        return encode(variables, batch).astype(jnp.bfloat16)

    found = extract(half, WEIGHTS, batches(data(9), 8), mesh=mesh8)
    assert found["embeddings"].dtype == np.float32


def test_missing_and_repeated_examples_are_errors(mesh1):
    every = list(batches(data(24), 8))
    for broken in (every[1:], [*every, every[0]]):
        with pytest.raises(ValueError, match="must see each example once"):
            extract(encode, WEIGHTS, broken, mesh=mesh1)
    with pytest.raises(ValueError, match="no batch to encode"):
        extract(encode, WEIGHTS, [], mesh=mesh1)


def test_a_batch_that_does_not_divide_names_the_devices(mesh8):
    with pytest.raises(ValueError, match="8 devices"):
        extract(encode, WEIGHTS, batches(data(10), 10), mesh=mesh8)


def test_texts_in_order(mesh1, mesh8):
    def first_word(variables, batch):
        return batch["tokens"][:, 1:2] * jnp.ones((1, 2))

    texts = [f"{i % 5} more" for i in range(21)]
    found = [
        extract_texts(
            first_word,
            {},
            texts,
            mesh=mesh,
            batch_size=size,
            tokenizer=functools.partial(tokenize, context=16),
        )
        for mesh, size in ((mesh1, 4), (mesh8, 8), (mesh8, 100))
    ]
    assert found[0].shape == (21, 2)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[0][:5], found[0][5:10])
    assert len(np.unique(found[0][:5, 0])) > 1


def test_text_batches_of_two_hosts_hold_each_text_once(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    positions = []
    for host in (0, 1):
        monkeypatch.setattr(jax, "process_index", lambda host=host: host)
        mine = list(
            text_batches(["a"] * 13, batch_size=8, tokenizer=functools.partial(tokenize, context=8))
        )
        assert [len(b["tokens"]) for b in mine] == [4, 4]
        positions += [b["position"][b["mask"]] for b in mine]
    assert sorted(np.concatenate(positions)) == list(range(13))


def test_padded_size(mesh1, mesh8):
    assert padded_size(1000, 256, mesh8) == 256
    assert padded_size(13, 256, mesh8) == 16
    assert padded_size(13, 256, mesh1) == 13
    assert padded_size(1000, 100, mesh8) == 104


def test_place_rows_pads_with_fill(mesh8):
    placed = place_rows(np.arange(10, dtype=np.int32), mesh8, fill=-1)
    assert placed.sharding.spec == jax.sharding.PartitionSpec("data")
    np.testing.assert_array_equal(np.asarray(placed), [*range(10), *[-1] * 6])
