"""Streams of examples and mixtures of sources."""

import itertools

import numpy as np
import pytest
from ml_collections import ConfigDict

from tests.data.samples import write_shards
from vujax.data.pipeline import SHUFFLE_WINDOW, Mixture, derive_seed, open_mixture, shuffle_mixture

# Thousands of records: grain's shuffle is slow for a few.
SIZE = 3000


class Numbers:
    """A source by its size only."""

    classes = None

    def __init__(self, size: int):
        self.size = size

    def __len__(self) -> int:
        return self.size


def mixture(weights=(1.0,), sizes=(SIZE,)) -> Mixture:
    names = tuple("abc"[: len(sizes)])
    return Mixture(names, tuple(Numbers(n) for n in sizes), tuple(weights))


def first(mixed: Mixture, count: int, seed: int = 0) -> np.ndarray:
    """[count 2]: source and record."""
    stream = shuffle_mixture(mixed, seed)
    return np.array([stream[i] for i in range(count)])


def test_each_epoch_has_every_record_once_in_another_order():
    epochs = first(mixture(), 2 * SIZE)[:, 1].reshape(2, SIZE)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(SIZE), (2, 1)))
    orders = np.stack([*epochs, np.arange(SIZE)])
    assert np.abs(np.corrcoef(orders) - np.eye(3)).max() < 0.08  # 4 standard deviations


def test_a_seed_is_not_the_next_epoch_of_the_one_before():
    starts = {
        tuple(shuffle_mixture(mixture(), seed)[epoch * SIZE + i][1] for i in range(4))
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(starts) == 25


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0), (0.7, 0.2)])
def test_weights_hold_in_every_stretch(weights):
    found = first(mixture(weights, (SIZE, 5000)), 2 * SHUFFLE_WINDOW)[:, 0].reshape(
        2, SHUFFLE_WINDOW
    )
    share = weights[1] / sum(weights)
    np.testing.assert_allclose(found.mean(-1), share, atol=0.002)
    # within a batch as by chance
    rows = found.reshape(-1, 64).sum(-1)
    assert 0.6 < rows.std() / np.sqrt(64 * share * (1 - share)) < 1.3


def test_no_host_gets_the_rows_of_one_source():
    found = first(mixture((1.0, 1.0), (SIZE, SIZE)), SHUFFLE_WINDOW)[:, 0]
    for hosts in (2, 4):
        for host in range(hosts):
            assert 0.44 < found[host::hosts].mean() < 0.56


def test_another_source_leaves_the_order_of_the_first():
    alone = first(mixture(), SHUFFLE_WINDOW // 2)[:, 1]
    both = first(mixture((1.0, 1.0), (SIZE, SIZE)), SHUFFLE_WINDOW)
    assert sorted(both[both[:, 0] == 0, 1]) == sorted(alone)


def test_sources_of_one_size_have_orders_of_their_own():
    found = first(mixture((1.0, 1.0), (SIZE, SIZE)), SHUFFLE_WINDOW)
    a, b = (set(found[found[:, 0] == number, 1]) for number in (0, 1))
    assert a != b


def test_folded_seeds_differ():
    seeds = {derive_seed(seed, name) for seed, name in itertools.product(range(20), "abc")}
    assert len(seeds) == 60
    assert all(0 <= seed < 2**31 for seed in seeds)
    with pytest.raises(ValueError, match="must not be negative"):
        derive_seed(-1, "a")


def test_opens_what_a_config_names(tmp_path):
    path = write_shards(tmp_path, 5)
    config = ConfigDict(
        {
            "one": {"kind": "webdataset", "path": path, "weight": 2.0},
            "two": {"kind": "webdataset", "path": path, "hold_out": {"modulo": 3, "remainder": 1}},
        }
    )
    mixed = open_mixture(config)
    assert (mixed.names, mixed.weights) == (("one", "two"), (2.0, 1.0))
    assert mixed.examples == 5 + len(mixed.sources[1])
    assert open_mixture(mixed) is mixed
    assert open_mixture({"own": Numbers(3)}).examples == 3


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({}, "data.sources is empty"),
        ({"a": {"kind": "webdataset", "weight": 0.0}}, "data.sources.a.weight must be positive"),
        ({"a": {"path": "x"}}, "data.sources.a needs a kind"),
        ({"a": Numbers(0)}, "data.sources.a has no record"),
    ],
)
def test_wrong_sources(sources, message):
    with pytest.raises(ValueError, match=message):
        open_mixture(sources)
